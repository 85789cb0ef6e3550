"""Wait until the service lists an object that it has just created."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from launch_async.deploy.deadline import Deadline
from launch_async.errors import LaunchError, NotFoundError, WaitTimeout
from launch_async.watch.schedule import FailureStreak

__all__ = ["appeared"]

A = TypeVar("A")

_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0)
_MAX_WAIT_S: Final = 300.0


async def appeared(
    find: Callable[[], Awaitable[A | None]], what: str, created: str, again: str, deadline: Deadline
) -> A:
    """Repeat a look-up with growing pauses until it finds the object.

    Args:
        find: Returns the object, or None if the service does not list it yet.
        what: Name of the object for error messages.
        created: Name of the created parent for error messages.
        again: How the user can look for the object later.
        deadline: When the object must be listed.

    Raises:
        WaitTimeout: The object did not appear. The parent remains, and the object may still appear.
    """
    limit, failures = min(deadline.remaining, _MAX_WAIT_S), FailureStreak()
    try:
        async with asyncio.timeout(limit):
            for pause in itertools.chain(_PAUSES_S, itertools.repeat(_PAUSES_S[-1])):
                try:
                    if (found := await find()) is not None:
                        return found
                    failures.clear()
                except NotFoundError:
                    # The service may not find a new project on all of its machines yet.
                    failures.clear()
                except LaunchError as error:
                    # A single failed look-up does not matter, as with polls.
                    if failures.is_final(error, asyncio.get_running_loop().time()):
                        raise
                await asyncio.sleep(pause)
    except LaunchError as error:
        error.ambiguous = True
        error.add_note(f"{created[:1].upper()}{created[1:]} was created. Do not create it again")
        raise
    except TimeoutError:
        pass
    why = f"The last request failed: {failures.last}. " if failures.last is not None else ""
    raise WaitTimeout(
        f"{created[:1].upper()}{created[1:]} was created, but {what} did not appear within {limit:.0f} s. {why}"
        f"It may still appear: {again}"
    ) from failures.last
