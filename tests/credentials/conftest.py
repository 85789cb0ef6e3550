"""What the tests of credentials share: an emulator that does not count, and a clock that is only moved."""

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
