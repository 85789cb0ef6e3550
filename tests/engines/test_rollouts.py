"""A rollout on an engine's own workers deploys every environment exactly once, though one worker is lost half-way."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_server import free_port

from launch_async import Plan
from tests.engines.conftest import ENGINES, TARGETS, Crew, Launch, answers, until


@pytest.fixture
def plan(launch: Launch, tmp_path: Path) -> Plan:
    plan = launch.plan()
    plan.save(tmp_path / "plan.json")
    return plan


@pytest.fixture
def crew(launch: Launch, redis_url: str, tmp_path: Path) -> Iterator[Crew]:
    (tmp_path / "journals").mkdir()
    settings = {"PYTHONPATH": str(ENGINES), "REDIS_URL": redis_url, "ROLLOUT_JOURNALS": str(tmp_path / "journals")}
    crew = Crew(tmp_path, {**launch.environment, **settings})
    yield crew
    crew.end()


def lose_one_worker(
    launch: Launch, crew: Crew, worker: subprocess.Popen[str], rollout: subprocess.Popen[str]
) -> dict[str, object]:
    """Kill a worker when half of the environments are deployed, and return the report of the rollout."""
    until(lambda: len(launch.deployed()) >= TARGETS // 2 or rollout.poll() is not None, "half is done")
    assert rollout.poll() is None, crew.log()
    crew.kill(worker)
    until(lambda: rollout.poll() is not None, "the rollout has ended")
    assert rollout.returncode == 0, crew.log()
    return json.loads((crew.folder / "report.json").read_text("utf-8"))


def test_dask_deploys_every_environment_once_though_a_worker_is_lost(launch: Launch, plan: Plan, crew: Crew) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    crew.start("scheduler", "-m", "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard")
    options = ["--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard", "--no-nanny"]
    workers = [crew.start(f"worker-{n}", "-m", "distributed.cli.dask_worker", address, *options) for n in range(3)]

    rollout = crew.start("rollout", str(ENGINES / "dask_rollout.py"), address, "plan.json", "report.json")
    report = lose_one_worker(launch, crew, workers[0], rollout)

    assert launch.deployed() == sorted(one.target.environment_uid for one in plan.operations)
    assert report["totals"] == {"succeeded": TARGETS}
    assert launch.most_in_a_second() <= 10


def test_prefect_deploys_every_environment_once_though_a_worker_is_lost(
    launch: Launch, plan: Plan, crew: Crew, postgres_url: str
) -> None:
    port = free_port()
    crew.environment.update(
        PREFECT_API_URL=f"http://127.0.0.1:{port}/api",
        PREFECT_HOME=str(crew.folder / "prefect"),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_UI_ENABLED="false",
        PREFECT_WORKER_QUERY_SECONDS="1",
        PREFECT_WORKER_PREFETCH_SECONDS="1",
        DO_NOT_TRACK="1",
        ROLLOUT_JOURNALS=postgres_url,
    )
    crew.start("server", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    until(lambda: answers(f"http://127.0.0.1:{port}/api/health"), "the server answers")
    pool = crew.start("pool", "-m", "prefect", "work-pool", "create", "machines", "--type", "process")
    assert pool.wait() == 0, crew.log()
    worker = ["-m", "prefect", "worker", "start", "--pool", "machines", "--limit", "1"]
    workers = [crew.start(f"worker-{n}", *worker, "--name", f"machine-{n}") for n in range(3)]
    deploy = crew.start("deploy", str(ENGINES / "prefect_rollout.py"), "deploy", "machines")
    assert deploy.wait() == 0, crew.log()

    rollout = crew.start("rollout", str(ENGINES / "prefect_rollout.py"), "run", "plan.json", "report.json", "20")
    report = lose_one_worker(launch, crew, workers[0], rollout)

    assert launch.deployed() == sorted(one.target.environment_uid for one in plan.operations)
    assert report["totals"] == {"succeeded": TARGETS}
    assert launch.most_in_a_second() <= 10
