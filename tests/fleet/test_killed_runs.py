"""A run that is killed again and again still does every operation exactly once."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch_async.workflows.fleet.plan import Plan
from launch_async.workflows.fleet.report import FleetReport
from tests.fleet.victim import PRELOADED, client_of, main, run_or_resume

_TARGETS = 60
_KILLS = 50


@pytest.fixture
def server() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "launch_async.emulator", "--rate-limit", "none", "--build-seconds", "0.02"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)


async def _planned(server: dict[str, str]) -> Plan:
    async with client_of(server) as client:
        project = await client.projects.create_from_git(
            "shop",
            repository_name="acme/shop",
            username="acme",
            repository_url="https://git.example/acme/shop",
            git_branch="main",
            environment_name="environment-0",
        )
        for number in range(1, _TARGETS):
            await client.environments.create_from_git(project.uid, f"environment-{number}", git_branch="main")
        # A new client knows the service's clock to a second: what is younger than that may seem to be of the run.
        await asyncio.sleep(1.2)
        return await client.fleet.plan_redeploy(await client.fleet.select())


async def _deployments(server: dict[str, str], plan: Plan) -> list[int]:
    async with client_of(server) as client:
        return [
            await client.deployments.list(one.target.project_uid, one.target.environment_uid).total()
            for one in plan.operations
        ]


def test_a_run_that_is_killed_fifty_times_deploys_every_target_once(server: dict[str, str], tmp_path: Path) -> None:
    plan = asyncio.run(_planned(server))
    journal = tmp_path / "run.journal"
    children = multiprocessing.get_context("forkserver")
    children.set_forkserver_preload(list(PRELOADED))
    dice = random.Random(20)
    exit_codes: list[int | None] = []
    for _ in range(_KILLS):
        # Few moments pass between two kills, so that all fifty find work left to interrupt.
        child = children.Process(target=main, args=(server, plan.to_json(), str(journal), dice.randrange(1, 24)))
        child.start()
        child.join(30)
        exit_codes.append(child.exitcode)

    report: FleetReport = asyncio.run(run_or_resume(server, plan, journal, None))

    # One deployment came with each environment, and the run added one.
    assert asyncio.run(_deployments(server, plan)) == [2] * _TARGETS
    assert report.is_success
    assert exit_codes == [-signal.SIGKILL] * _KILLS
