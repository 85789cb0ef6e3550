"""`Breather`: yield to other tasks during long work on the event loop."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

__all__ = ["Breather"]

_TURN_S: Final = 0.005


class Breather:
    """Yields to the event loop if the coroutine has run for more than 5 ms without a wait."""

    def __init__(self) -> None:
        self._since = perf_counter()

    async def breathe(self) -> None:
        """Let other tasks run if 5 ms have passed. Call this method between small pieces of work."""
        if perf_counter() - self._since > _TURN_S:
            await asyncio.sleep(0)
            self._since = perf_counter()
