"""An emulator with one environment, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from launch_async import LaunchClient
from launch_async.emulator import LaunchEmulator
from tests.support.clients import client_of

VARIABLES = (("API_URL", "https://api.example.com"), ("LIMIT", "7"), ("SECRET", "s3cr3t-value"))


@pytest.fixture
async def emulator() -> AsyncIterator[LaunchEmulator]:
    """An emulator without a budget."""
    async with LaunchEmulator(rate_limit=None) as started:
        yield started


@pytest.fixture
async def client(emulator: LaunchEmulator) -> AsyncIterator[LaunchClient]:
    """A client of the emulator."""
    async with client_of(emulator) as launch:
        yield launch


@pytest.fixture
def uids(emulator: LaunchEmulator) -> tuple[str, str]:
    """A project and its environment, which has three variables."""
    project = emulator.add_project("night-sky", variables=VARIABLES)
    return project.uid, next(iter(project.environments))
