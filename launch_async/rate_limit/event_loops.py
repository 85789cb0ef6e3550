"""Helpers for code that several event loops use: the current time, and calls on another loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["call_on", "current_time", "uses_machine_clock"]


def call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> bool:
    """Call a function on a loop: immediately if the loop runs in this thread, and soon otherwise.

    Returns:
        False if the loop is closed. The function is then not called.
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
    """Return the time of the running loop in seconds, or of the monotonic clock if no loop runs."""
    loop = _running_loop()
    return time.monotonic() if loop is None else loop.time()


def uses_machine_clock(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop uses the clock that all processes of the machine share. A loop in virtual time does not."""
    if not isinstance(loop, asyncio.BaseEventLoop):
        return True  # Another implementation, such as uvloop, uses the clock of the system.
    return getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
