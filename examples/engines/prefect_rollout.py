"""Roll out with Prefect: a flow splits a plan into parts, and the workers of a work pool run each part once.

`python prefect_rollout.py deploy POOL` registers the flow of a part with a pool.
`python prefect_rollout.py run plan.json report.json` starts the rollout. The workers need `part.py` and its environment
variables. Prefect provides the state, the retries and the user interface. The journals record the finished operations,
so any worker can repeat a part after a crash.
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
    """A part failed. Prefect shows the reason."""


@flow(name="launch-part", log_prints=True)
def launch_part(part: str) -> None:
    """Run one part. The workers call this flow."""
    report = run_part(Plan.from_json(part))
    print(report)
    if report.failures or report.unfinished:
        raise PartFailed(report.summary)


@task(name="part", retries=4, retry_delay_seconds=1)
def carry(part: str, patience: float) -> None:
    """Let a worker run a part. Prefect retries this task if the worker crashes or does not respond."""
    run = run_deployment("launch-part/worker", parameters={"part": part}, timeout=0)
    assert isinstance(run, FlowRun)
    with get_client(sync_client=True) as prefect:
        state = prefect.read_flow_run(run.id).state
        while state is not None and not state.is_final() and not _is_overdue(state, patience):
            time.sleep(1)
            state = prefect.read_flow_run(run.id).state
        if state is None or not state.is_final():
            # The machine may be lost. If it still runs the part, the next attempt waits for the journal.
            prefect.set_flow_run_state(run.id, Crashed(message=f"no response for {patience:g} s"), force=True)
    if state is None or not state.is_completed():
        raise PartFailed(f"The flow run {run.name} of the part is {'unknown' if state is None else state.name}")


def _is_overdue(state: State, patience: float) -> bool:
    """Whether a part runs for too long. A part that waits for a free worker is not overdue."""
    return not state.is_scheduled() and datetime.now(UTC) - state.timestamp > timedelta(seconds=patience)


@flow(name="launch-rollout", log_prints=True)
def launch_rollout(plan: str, size: int = 20, patience: float = 1800.0) -> None:
    """Split a plan into parts, and wait until the workers have run all of them."""
    parts = [part.to_json() for part in Plan.from_json(plan).split(size)]
    carry.map(parts, patience).result()


def main(plan: Plan, size: int = 20, patience: float = 1800.0) -> FleetReport:
    launch_rollout(plan.to_json(), size, patience)
    # All parts are done, so this only reads the journals.
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
