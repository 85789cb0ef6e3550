"""Event loops from outside: which one runs here, what time it is, and how to call something on another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["call_on", "current_time", "keeps_machine_time"]


def call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> bool:
    """Call a function on a loop: at once if the loop runs here, soon if it runs elsewhere.

    Returns:
        False if the loop is closed, and the function will not be called.
    """
    if loop is _running_loop():
        callback()
        return True
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return False
    return True


def current_time() -> float:
    """Return the running loop's time in seconds; where none runs, that of the clock that ordinary loops share."""
    loop = _running_loop()
    return time.monotonic() if loop is None else loop.time()


def keeps_machine_time(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop's time passes as on the clock that all processes of the machine share: not if it is virtual."""
    if not isinstance(loop, asyncio.BaseEventLoop):
        return True  # another implementation, such as uvloop, whose clock is the system's
    return getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
