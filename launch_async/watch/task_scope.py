"""Tasks of one async iterator, which end together with the iterator.

A task group belongs to the task that entered it, but several tasks may use one iterator.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine, Iterable


@contextlib.asynccontextmanager
async def task_scope(work: Iterable[Coroutine[object, object, None]]) -> AsyncGenerator[None, None]:
    """Run coroutines in the background of a context, and cancel the unfinished ones at its end."""
    tasks = [asyncio.get_running_loop().create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
