"""Roll out with Dask: the workers of a cluster run the parts of a plan, each part once.

Start the program with `python dask_rollout.py tcp://scheduler:8786 plan.json report.json`. The workers need `part.py`
and its environment variables. If Dask loses a worker, it repeats the worker's parts, even finished ones. The journals
make such a repetition harmless.
"""

from __future__ import annotations

import sys
from pathlib import Path

from distributed import Client
from part import run_part

from launch_sync.fleet import FleetReport, Plan


def main(scheduler: str, plan: Plan, size: int = 5) -> FleetReport:
    parts = plan.split(size)
    with Client(scheduler) as dask:
        futures = dask.map(run_part, parts, key=[f"part-{part.uid}" for part in parts], retries=3)
        return FleetReport.joined(plan, dask.gather(futures))


if __name__ == "__main__":
    report = main(sys.argv[1], Plan.load(sys.argv[2]))
    print(report.summary)
    Path(sys.argv[3]).write_text(report.to_json(), "utf-8")
    sys.exit(0 if report.is_success else 1)
