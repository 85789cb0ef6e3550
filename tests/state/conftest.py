"""An emulator with a fleet of three brands, and a client without delays."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from launch_async import LaunchClient
from launch_async.emulator import LaunchEmulator
from tests.fleet.conftest import QUICK
from tests.support.clients import client_of

VARIABLES = [("API_URL", "https://api.example.com"), ("API_TOKEN", "hunter2")]


@pytest.fixture
async def emulator() -> AsyncIterator[LaunchEmulator]:
    async with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator:
        for name in ("shop-de", "shop-fr", "shop-uk"):
            emulator.add_project(name, environments=["preview", "staging"], git=True, variables=VARIABLES)
        emulator.ledger.clear()
        yield emulator


@pytest.fixture
async def client(emulator: LaunchEmulator) -> AsyncIterator[LaunchClient]:
    async with client_of(emulator, retry=QUICK) as client:
        yield client
