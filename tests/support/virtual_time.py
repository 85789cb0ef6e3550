"""An event loop in virtual time: its clock jumps to the next timer, and no test waits."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class _NeverWaiting(selectors.DefaultSelector):
    """A selector that moves the clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self.now += timeout
        return super().select(0 if timeout is not None else None)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: minutes on its clock take milliseconds."""

    def __init__(self) -> None:
        self._waiting = _NeverWaiting()
        super().__init__(self._waiting)

    def time(self) -> float:
        """Return the virtual time in seconds, which begins at 0."""
        return self._waiting.now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for threads without a time limit, because asyncio's five minutes would pass immediately."""
        await super().shutdown_default_executor()


def run(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def loop_time() -> float:
    """Return the time of the running loop, or 0 without a running loop."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0
