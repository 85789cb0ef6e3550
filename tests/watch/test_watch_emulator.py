"""Waiting and following against the emulator over real sockets, with 1, 20 and 200 deployments at the same time."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Literal

import pytest

from launch_async import Authtoken, Deployment, DeploymentRef, LaunchClient, RetryPolicy
from launch_async.emulator import FaultKind, LaunchEmulator
from tests.support.clients import client_of


async def _started(emulator: LaunchEmulator, client: LaunchClient, count: int) -> list[Deployment]:
    project = emulator.add_project("shop", environments=[f"environment-{number}" for number in range(count)], git=True)
    return await asyncio.gather(*(client.deployments.create(project.uid, uid) for uid in project.environments))


async def _lines(client: LaunchClient, started: list[Deployment]) -> dict[DeploymentRef, list[tuple[object, str]]]:
    followed: defaultdict[DeploymentRef, list[tuple[object, str]]] = defaultdict(list)
    async for event in client.follow_all(started):
        followed[event.ref].append((event.line.timestamp, event.line.message))
    return followed


async def _ends(client: LaunchClient, started: list[Deployment]) -> list[str]:
    return [deployment.uid async for deployment in client.as_completed(started)]


@pytest.mark.parametrize(
    ("count", "bound", "faults"),
    [(1, "exclusive", ()), (20, "inclusive", ("reset_before", "reset_after", "truncate")), (200, "exclusive", ())],
)
async def test_every_line_is_given_once_and_in_order_and_every_end_is_reported_once(
    count: int, bound: Literal["exclusive", "inclusive"], faults: tuple[FaultKind, ...]
) -> None:
    async with (
        LaunchEmulator(rate_limit=None, build_seconds=0.6, log_bound=bound) as emulator,
        client_of(emulator, retry=RetryPolicy(backoff_base=0.01)) as client,
    ):
        for kind in faults:
            emulator.faults.add(kind, operation="getDeploymentLogs", times=7)
            emulator.faults.add(kind, operation="getDeployment", times=2)
        started = await _started(emulator, client, count)
        followed, ended = await asyncio.gather(_lines(client, started), _ends(client, started))
        waited = await client.wait_all([deployment.ref.to_json() for deployment in started])
        wholes = [await client.deployments.logs(one.project_uid, one.environment_uid, one.uid) for one in started]

    for deployment, whole in zip(started, wholes, strict=True):
        given = followed[deployment.ref]
        assert Counter(given) == Counter((line.timestamp, line.message) for line in whole)
        assert [stamp for stamp, _ in given] == sorted(stamp for stamp, _ in given)
    assert sorted(ended) == sorted(deployment.uid for deployment in started)
    assert [deployment.uid for deployment in waited] == [deployment.uid for deployment in started]
    assert all(deployment.status.is_success for deployment in waited)


_TAKING_OVER = """
import sys
from launch_sync import Authtoken, LaunchClient

url, organization, token, ref = sys.argv[1:]
with LaunchClient(Authtoken(token), base_url=url, organization_uid=organization) as launch:
    status, ended = launch.poll_once(ref).status, launch.wait(ref).status
    print(status, ended, *(line.message for line in launch.follow_logs(ref)), sep="|")
"""


async def test_another_process_continues_with_only_a_reference_as_json() -> None:
    async with (
        LaunchEmulator(build_seconds=0.2) as emulator,
        LaunchClient(
            Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
        ) as client,
    ):
        [deployment] = await _started(emulator, client, 1)
        ref = deployment.ref.to_json()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _TAKING_OVER,
            *(emulator.url, emulator.organization_uid, emulator.authtoken, ref),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        output, _ = await child.communicate()
        lines = await client.deployments.logs(deployment.project_uid, deployment.environment_uid, deployment.uid)

    status, ended, *messages = output.decode().strip().split("|")
    assert status in {"QUEUED", "DEPLOYING", "LIVE"}
    assert ended == "LIVE"
    assert messages == [line.message for line in lines]
