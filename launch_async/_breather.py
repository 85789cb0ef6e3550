"""`Breather`: long work on the event loop that lets others have their turn."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

__all__ = ["Breather"]

_TURN: Final = 0.005


class Breather:
    """Ends the turn of a coroutine once it has worked for five milliseconds without a wait."""

    def __init__(self) -> None:
        self._since = perf_counter()

    async def breathe(self) -> None:
        """Let others have a turn, if it is time for that; call it between small pieces of work."""
        if perf_counter() - self._since > _TURN:
            await asyncio.sleep(0)
            self._since = perf_counter()
