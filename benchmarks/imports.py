"""Import time in a fresh interpreter, compared with aiohttp and widely used clients.

aiohttp creates two TLS contexts when it is imported, so the SDK imports aiohttp with the first request. Modules are
read from `__pycache__`. The benchmark subtracts the time of an interpreter that imports nothing.
"""

from __future__ import annotations

import resource
import subprocess
import sys

from benchmarks._report import Mark, Report, Row, present, ratios

AIOHTTP, OURS = "import aiohttp", "import launch_async"
STATEMENTS = {
    AIOHTTP: AIOHTTP,
    OURS: OURS,
    "  and its client": "from launch_async import LaunchClient",
    "import launch_sync": "import launch_sync",
    "import httpx": "import httpx",
    "import requests": "import requests",
    "import cloudflare": "import cloudflare",
}


def measure(rounds: int) -> Report:
    """Measure each import in every round."""
    found: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for statement in STATEMENTS.values():
        milliseconds(statement)
    for _ in range(rounds):
        empty = milliseconds("pass")
        for name, statement in STATEMENTS.items():
            found[name].append(milliseconds(statement) - empty)
    client = ratios(found["  and its client"], found[AIOHTTP])
    return Report(
        "Imports, processor time",
        [Row(name, "ms", samples, "less", name == AIOHTTP) for name, samples in found.items()],
        [
            Mark("import launch_async / import aiohttp", ratios(found[OURS], found[AIOHTTP]), 0.5, "less"),
            Mark("with its client / import aiohttp", client, None, "less"),
        ],
    )


def milliseconds(statement: str) -> float:
    """Return the processor time of an interpreter that runs one statement. It does not depend on other work."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    present(measure, __doc__, rounds=9)
