"""A program without asyncio that presses Ctrl-C twice during a creation; exits with 0 if the program ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

from launch_async.http import Request, Response, Send
from launch_async.rate_limit import Permit, Priority
from launch_sync import Authtoken, LaunchClient
from launch_sync.fleet import Plan
from launch_sync.rate_limit import UnlimitedRateLimiter

answered, cancelled = threading.Event(), threading.Event()


class OneCreation(UnlimitedRateLimiter):
    """A budget for the names, one listing and the first creation. All other requests wait until they are cancelled."""

    places = 3

    async def acquire(
        self,
        operation: object = None,
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        self.places -= 1
        if self.places < 0:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
        return Permit()


async def hold_back_the_answer(request: Request, send: Send) -> Response:
    response = await send(request)
    if request.operation == "createDeployment":
        answered.set()
        await asyncio.Event().wait()
    return response


def press_twice() -> None:
    answered.wait()
    os.kill(os.getpid(), signal.SIGINT)
    cancelled.wait()
    os.kill(os.getpid(), signal.SIGINT)


def main(url: str, authtoken: str, organization_uid: str, plan: str, journal: str) -> None:
    threading.Thread(target=press_twice).start()
    with LaunchClient(
        Authtoken(authtoken),
        base_url=url,
        organization_uid=organization_uid,
        limiter=OneCreation(),
        middleware=[hold_back_the_answer],
    ) as launch:
        try:
            launch.fleet.run(Plan.load(plan), journal=journal, stop_on_failures=None)
        except KeyboardInterrupt:
            return
        raise AssertionError("the interruption was lost")


main(*sys.argv[1:])
