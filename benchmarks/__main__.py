"""Run all benchmarks, or the named ones. Write tables, JSON and pictures, and report what has become slower.

    python -m benchmarks [NAME ...] [--rounds N] [--requests N] [--no-store]

Each benchmark is a separate program (`python -m benchmarks.NAME`) and runs in a separate process. The runner writes its
results to `benchmarks/results/NAME.json` and draws them as `docs/images/performance-NAME.svg`. Before that, it compares
the results with the stored ones. It compares ratios of one run first, because they hardly depend on the machine.
Benchmarks in virtual time import their clock, servers and services from `tests/support/`, so that tests and benchmarks
measure the same code. No test imports a benchmark.

For a quick look, make the run short and do not store it: `--rounds 1 --requests 300 --no-store`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._picture import picture
from benchmarks._report import figure

HERE = Path(__file__).resolve().parent
RESULTS, PICTURES = HERE / "results", HERE.parent / "docs" / "images"
SLOWER = 0.10
"""Share by which a figure must be worse to be reported. The figure must also be outside of its previous range."""


def main() -> int:
    """Run the benchmarks, compare, store and draw the results."""
    names = sorted(path.stem for path in HERE.glob("[!_]*.py"))
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--rounds", type=int, help="samples of each figure")
    parser.add_argument(
        "--requests",
        type=int,
        help="requests of each sample, for benchmarks that follow a rate limit in real or virtual time",
    )
    parser.add_argument("--no-store", action="store_true", help="do not change the stored results and pictures")
    options = parser.parse_args()
    if unknown := {*options.names} - {*names}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    failed: list[str] = []
    for name in options.names or names:
        print(f"\n== {name}", flush=True)
        if not run(name, options.rounds, options.requests, store=not options.no_store):
            failed.append(name)
    if failed:
        print(f"\nMissed a goal, or failed: {', '.join(failed)}")
    return bool(failed)


def run(name: str, rounds: int | None, requests: int | None, *, store: bool) -> bool:
    """Run one benchmark. Return whether it succeeded and reached its goals."""
    kept = RESULTS / f"{name}.json"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "result.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(target)]
        command += ["--rounds", str(rounds)] if rounds else []
        command += ["--requests", str(requests)] if requests and takes_requests(name) else []
        ended = subprocess.run(command, check=False, cwd=HERE.parent).returncode
        if not target.exists():
            return False
        result = json.loads(target.read_text())
    if kept.exists():
        for line in slower(json.loads(kept.read_text()), result):
            print(f"slower than last time: {line}")
    if store:
        kept.write_text(json.dumps(result, indent=1) + "\n")
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / f"performance-{name}.svg").write_text(picture(result))
    return ended == 0 and all(mark["reached"] for mark in result["marks"])


def takes_requests(name: str) -> bool:
    """Return whether a benchmark has the option `--requests`, without running the benchmark."""
    return '"--requests"' in (HERE / f"{name}.py").read_text()


def slower(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the results that are worse by more than random variation."""
    found: list[str] = []
    for part, key in (("marks", "what"), ("rows", "name")):
        last = {(entry[key], entry["unit"]): entry for entry in before[part]}
        for entry in now[part]:
            old = last.get((entry[key], entry["unit"]))
            if old is None:
                continue
            sign = 1 if entry["better"] == "more" else -1
            worst = min(old["samples"], key=lambda sample: sign * sample)
            worse = sign * (old["median"] - entry["median"])
            if worse > SLOWER * abs(old["median"]) and sign * entry["median"] < sign * worst:
                medians = f"{figure(old['median'])} -> {figure(entry['median'])}"
                found.append(f"{entry[key]}: {medians} {entry.get('unit', '')}".rstrip())
    return found


if __name__ == "__main__":
    sys.exit(main())
