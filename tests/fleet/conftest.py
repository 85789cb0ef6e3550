"""A Launch with three small projects, and a client without delays."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import AsyncIterator, Generator

import pytest

from launch_async import LaunchClient, RetryPolicy
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import Plan
from tests.support.clients import client_of

QUICK = RetryPolicy(
    attempts=6, refusals=4, backoff_base=0.01, backoff_cap=0.05, look_up_delays=(0.05, 0.1), settle_after=0.15
)


def created(emulator: LaunchEmulator) -> list[str]:
    """Return the environment of each deployment so far."""
    return sorted(one.parent for one in emulator.ledger.created if one.noun == "deployment")


def uids(plan: Plan) -> list[str]:
    return sorted(one.target.environment_uid for one in plan.operations)


@pytest.fixture
async def emulator() -> AsyncIterator[LaunchEmulator]:
    async with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator:
        for name in ("blog", "docs", "shop"):
            variables = [("LIMIT", "7"), ("OLD", "1")]
            emulator.add_project(
                name, environments=["preview", "staging"], git=True, variables=variables, deployments=1
            )
        emulator.ledger.clear()
        yield emulator


@pytest.fixture
async def client(emulator: LaunchEmulator) -> AsyncIterator[LaunchClient]:
    async with client_of(emulator, retry=QUICK) as client:
        yield client


@pytest.fixture
async def plan(client: LaunchClient) -> Plan:
    return await client.fleet.plan_redeploy(await client.fleet.select())


@contextlib.contextmanager
def room_for(size: int) -> Generator[None]:
    """Limit the size of files, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
