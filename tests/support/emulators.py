"""The fixture of an emulator without a rate limit, for the tests of several packages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from launch_async.emulator import LaunchEmulator


@pytest.fixture
async def emulator() -> AsyncIterator[LaunchEmulator]:
    """A running emulator with one project."""
    async with LaunchEmulator(rate_limit=None) as running:
        running.add_project("landing")
        yield running
