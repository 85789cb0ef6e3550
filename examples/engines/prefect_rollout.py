"""Roll out with Prefect: a flow cuts a plan into parts, and workers of a work pool carry them out, each once.

`python prefect_rollout.py deploy POOL` makes the part known to a pool; `python prefect_rollout.py run plan.json
report.json` rolls out. The workers need `part.py` and what its first lines name. State, retries and the UI are
Prefect's; what was done is in the journals, so that a part may be run again, by whichever worker, after any crash.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from part import run_part
from prefect import flow, get_client, task
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import Crashed

from launch_sync.fleet import FleetReport, Plan

FOLDER = Path(__file__).resolve().parent


class PartFailed(Exception):
    """A part did not come to a good end; Prefect shows why."""


@flow(name="launch-part", log_prints=True)
def launch_part(part: str) -> None:
    """Carry out one part; this runs on the workers."""
    report = run_part(Plan.from_json(part))
    print(report)
    if report.failures or report.unfinished:
        raise PartFailed(report.summary)


@task(name="part", retries=4, retry_delay_seconds=1)
def carry(part: str, patience: float) -> None:
    """Have a worker carry out a part; Prefect calls this again if the worker crashes or is not heard of."""
    run = run_deployment("launch-part/worker", parameters={"part": part}, timeout=0)
    assert isinstance(run, FlowRun)
    with get_client(sync_client=True) as prefect:
        state = prefect.read_flow_run(run.id).state
        while state is not None and not state.is_final() and not _is_overdue(state, patience):
            time.sleep(1)
            state = prefect.read_flow_run(run.id).state
        if state is None or not state.is_final():
            # Its machine may be gone. If it is not, the journal keeps the next attempt waiting until it has ended.
            prefect.set_flow_run_state(run.id, Crashed(message=f"not heard of for {patience:g} s"), force=True)
    if state is None or not state.is_completed():
        raise PartFailed(f"the part's flow run {run.name} is {'unknown' if state is None else state.name}")


def _is_overdue(state: State, patience: float) -> bool:
    """Whether a worker has had a part for too long; one that waits for a free worker is not lost."""
    return not state.is_scheduled() and datetime.now(UTC) - state.timestamp > timedelta(seconds=patience)


@flow(name="launch-rollout", log_prints=True)
def launch_rollout(plan: str, size: int = 20, patience: float = 1800.0) -> None:
    """Cut a plan into parts, and wait until the workers have carried out all of them."""
    parts = [part.to_json() for part in Plan.from_json(plan).split(size)]
    carry.map(parts, patience).result()


def main(plan: Plan, size: int = 20, patience: float = 1800.0) -> FleetReport:
    launch_rollout(plan.to_json(), size, patience)
    # Everything is done: asked again, the journals only tell.
    return FleetReport.joined(plan, [run_part(part) for part in plan.split(size)])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["deploy", pool]:
            source = launch_part.from_source(source=str(FOLDER), entrypoint="prefect_rollout.py:launch_part")
            source.deploy(name="worker", work_pool_name=pool, print_next_steps=False)
        case ["run", plan, report, *patience]:
            joined = main(Plan.load(plan), patience=float(patience[0]) if patience else 1800.0)
            print(joined.summary)
            Path(report).write_text(joined.to_json(), "utf-8")
        case _:
            sys.exit(__doc__)
