"""Which place in the queue for the budget a watcher's requests take."""

from __future__ import annotations

import contextlib

import pytest

from launch_async import DeploymentRef, NotFoundError
from launch_async.emulator import LaunchEmulator
from launch_async.rate_limit import LocalRateLimiter, Priority
from tests.support.clients import client_of

REF = DeploymentRef("a" * 24, "b" * 24, "c" * 24)


class Recording(LocalRateLimiter):
    """A limiter that remembers the priority of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.priorities: list[Priority] = []

    async def acquire(self, *args, priority=Priority.INTERACTIVE, **options):
        self.priorities.append(priority)
        return await super().acquire(*args, priority=priority, **options)


@pytest.mark.parametrize(
    ("ask", "priority"),
    [
        (lambda launch: launch.poll_once(REF), Priority.POLL),
        (lambda launch: anext(launch.follow_logs(REF)), Priority.POLL),
        (lambda launch: anext(launch.tail_server_logs(REF)), Priority.POLL),
        (lambda launch: launch.deployments.get("a" * 24, "b" * 24, "c" * 24), Priority.INTERACTIVE),
    ],
    ids=["poll", "follow", "tail", "get"],
)
async def test_a_watcher_goes_behind_a_call_that_somebody_waits_for(ask, priority) -> None:
    limiter = Recording()
    async with LaunchEmulator() as emulator, client_of(emulator, limiter=limiter) as launch:
        with contextlib.suppress(NotFoundError):
            await ask(launch)

    assert set(limiter.priorities) == {priority}
