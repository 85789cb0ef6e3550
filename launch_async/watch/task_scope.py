"""Tasks that one async iterator owns: they end with it, whatever way it ends.

A task group would not do: it belongs to the task that entered it, and an iterator may be stepped by several.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine, Iterable


@contextlib.asynccontextmanager
async def task_scope(work: Iterable[Coroutine[object, object, None]]) -> AsyncGenerator[None, None]:
    """Run coroutines for as long as the context lasts; those that still run at its end are cancelled."""
    tasks = [asyncio.get_running_loop().create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
