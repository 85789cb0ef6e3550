"""Wait for events on a real event loop, and move its clock, so that tests of deadlines need no real time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true, at most a minute."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - The other end of a socket sets no event here.
            await asyncio.sleep(0.001)


def let_pass(seconds: float) -> None:
    """Move the clock of the running loop forward, so that its timers end earlier by `seconds`."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]
