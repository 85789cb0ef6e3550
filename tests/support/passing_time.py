"""Time that passes at once, on a loop that talks to the world: what has a deadline is not hurried, and nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so; after a minute it will not be."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what happens at the other end of a socket sets no event here
            await asyncio.sleep(0.001)


def let_pass(seconds: float) -> None:
    """Move the clock of the running loop: all its timers are that much nearer."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]
