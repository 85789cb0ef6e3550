"""Releases and previews in virtual time: `python -m benchmarks.releases`. Counts losses, repetitions and false alarms.

A thousand bad releases run in separate worlds (`tests/worlds/releases.py`): a fifth of all requests fails, the process
is killed at any await, and another process resumes. Ten thousand healthy releases run with default checks and an edge
that is cold for 30 seconds. Five hundred previews have creators and sweepers that are killed, on machines with wrong
clocks. The benchmark also counts the requests of a restore, besides polls.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from benchmarks._report import Mark, Report, arguments, write_report
from tests.support.timed_releases import COLD_S, healthy_releases, preview_life, requests_of_restoration
from tests.worlds.oracle import Kind
from tests.worlds.releases import bad_release, violations_of_release
from tests.worlds.world import run_world

BAD: Final = 1000
HEALTHY: Final = 10_000
PREVIEWS: Final = 500


def measure(seed: int, bad: int, healthy: int, previews: int) -> Report:
    """Run each part once."""
    logging.disable(logging.WARNING)
    began = time.perf_counter()
    wrong, killed, restored = _bad_releases(seed, bad)
    print(f"{bad} bad releases, {killed} kills: {restored} restored ({time.perf_counter() - began:.0f} s)", flush=True)
    false_alarms = healthy_releases(healthy)
    print(f"{healthy} healthy releases over an edge that is cold for {COLD_S:.0f} s: {false_alarms} called unhealthy")
    life = preview_life(previews, seed)
    print(f"{previews} previews, {life.created} created, {life.kills} kills, {life.sweeps} sweeps: {life}")
    with tempfile.TemporaryDirectory() as folder:
        requests, what = requests_of_restoration(Path(folder))
    print(f"requests to check and restore, without polls: {dict(what)} ({time.perf_counter() - began:.0f} s)\n")
    return Report(
        f"{bad} bad releases, {healthy} healthy ones, {previews} previews",
        [],
        [
            Mark("bad releases that were not restored", [bad - restored], 0, "less"),
            Mark("bad releases with a repeated build", [wrong[Kind.TWICE]], 0, "less"),
            Mark("bad releases with another fault", [wrong.total() - wrong[Kind.TWICE]], 0, "less"),
            Mark("healthy releases reported as unhealthy", [false_alarms], 0, "less"),
            Mark("previews alive one sweep after their end", [life.outlived], 0, "less"),
            Mark("deleted environments that are protected or no previews", [life.protected_deleted], 0, "less"),
            Mark("previews deleted too early or created twice", [life.early + life.doubled], 0, "less"),
            Mark("requests to check and restore, without polls", [requests], 5, "less"),
        ],
    )


def _bad_releases(seed: int, count: int) -> tuple[Counter[Kind], int, int]:
    """Return the faults, the number of killed processes, and the number of restored releases."""
    wrong, killed, restored = Counter[Kind](), 0, 0
    for number in range(seed * count, (seed + 1) * count):
        ending = run_world(number, {"bad release": bad_release}, oracle=violations_of_release)
        wrong.update(one.kind for one in ending.violations)
        killed += ending.account.faults["killed"]
        restored += not ending.violations
        if ending.violations:
            print(ending, flush=True)
    return wrong, killed, restored


def main() -> None:
    """Measure, and write the report."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--seed", type=int, default=0, help="seed of the worlds; default 0")
    parser.add_argument("--bad", type=int, default=BAD, help=f"bad releases; default {BAD}")
    parser.add_argument("--healthy", type=int, default=HEALTHY, help=f"healthy releases; default {HEALTHY}")
    parser.add_argument("--previews", type=int, default=PREVIEWS, help=f"previews; default {PREVIEWS}")
    options = parser.parse_args()
    report = measure(options.seed, options.bad, options.healthy, options.previews)
    write_report(report, options.json)


if __name__ == "__main__":
    main()
