"""A rollout on the workers of an engine deploys every environment exactly once, although one worker is killed.

The tests run the command lines of the pages. They change only addresses and timeouts.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_server import free_port

from launch_async.fleet import Plan
from tests.engines.conftest import ENGINES, TARGETS, Launch, Machines, answers, until
from tools.pages import lines_of


@pytest.fixture
def plan(launch: Launch, tmp_path: Path) -> Plan:
    plan = launch.plan()
    plan.save(tmp_path / "plan.json")
    return plan


@pytest.fixture
def machines(launch: Launch, redis_url: str, tmp_path: Path) -> Iterator[Machines]:
    (tmp_path / "journals").mkdir()
    for program in ENGINES.glob("*.py"):
        (tmp_path / program.name).symlink_to(program)
    settings = {"PYTHONPATH": str(ENGINES), "REDIS_URL": redis_url, "ROLLOUT_JOURNALS": str(tmp_path / "journals")}
    machines = Machines(tmp_path, {**launch.environment, **settings})
    yield machines
    machines.end()


def lose_one_worker(
    launch: Launch, machines: Machines, worker: subprocess.Popen[str], rollout: subprocess.Popen[str]
) -> dict[str, object]:
    """Kill a worker when half of the environments are deployed, and return the report of the rollout."""
    until(lambda: len(launch.deployed()) >= TARGETS // 2 or rollout.poll() is not None, "half is done")
    assert rollout.poll() is None, machines.log()
    machines.kill(worker)
    until(lambda: rollout.poll() is not None, "the rollout has ended")
    assert rollout.returncode == 0, machines.log()
    return json.loads((machines.folder / "report.json").read_text("utf-8"))


def test_dask_deploys_every_environment_once_although_a_worker_is_killed(
    launch: Launch, plan: Plan, machines: Machines
) -> None:
    (scheduler, worker, run) = (line.text for line in lines_of("docs/how-to/dask.md"))
    address = f"tcp://127.0.0.1:{free_port()}"
    machines.type("scheduler", f"{scheduler} --host {address} --no-dashboard")
    there = worker.replace("tcp://scheduler:8786", f"{address} --host 127.0.0.1 --no-dashboard")
    workers = [machines.type(f"worker-{n}", there) for n in range(3)]

    rollout = machines.type("rollout", run.replace("tcp://scheduler:8786", address))
    report = lose_one_worker(launch, machines, workers[0], rollout)

    assert launch.deployed() == sorted(one.target.environment_uid for one in plan.operations)
    assert report["totals"] == {"succeeded": TARGETS}
    assert launch.requests_in_a_second() <= 12


def test_prefect_deploys_every_environment_once_although_a_worker_is_killed(
    launch: Launch, plan: Plan, machines: Machines, postgres_url: str
) -> None:
    (server, export, pool, deploy, worker, run) = (line.text for line in lines_of("docs/how-to/prefect.md"))
    port = str(free_port())
    ((name, url),) = re.findall(r"^export (\w+)=(\S+)", export)
    machines.environment.update(
        {name: url.replace("4200", port)},
        PREFECT_SERVER_API_PORT=port,
        PREFECT_HOME=str(machines.folder / "prefect"),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_UI_ENABLED="false",
        PREFECT_WORKER_QUERY_SECONDS="1",
        PREFECT_WORKER_PREFETCH_SECONDS="1",
        DO_NOT_TRACK="1",
        ROLLOUT_JOURNALS=postgres_url,
    )
    machines.type("server", server)
    until(lambda: answers(f"http://127.0.0.1:{port}/api/health"), "the server answers")
    assert machines.type("pool", pool).wait() == 0, machines.log()
    assert machines.type("deploy", deploy).wait() == 0, machines.log()
    workers = [machines.type(f"worker-{n}", worker.replace(" #", f" --name machine-{n} #")) for n in range(3)]

    rollout = machines.type("rollout", run.replace("1800", "20"))
    report = lose_one_worker(launch, machines, workers[0], rollout)

    assert launch.deployed() == sorted(one.target.environment_uid for one in plan.operations)
    assert report["totals"] == {"succeeded": TARGETS}
    assert launch.requests_in_a_second() <= 12
