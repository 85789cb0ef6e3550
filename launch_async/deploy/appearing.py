"""What the service shows late after it was created: it is looked for again and again (FACTS §4)."""

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

_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
_LONGEST_ABSENCE: Final = 300.0


async def appeared(
    look: Callable[[], Awaitable[A | None]], what: str, created: str, again: str, deadline: Deadline
) -> A:
    """Look again and again, with growing pauses, for what comes with something new.

    Args:
        look: Returns it if it is there.
        what: What is looked for, in words.
        created: What it comes with, in words; that was created.
        again: How to look for it later.
        deadline: When it must be there.

    Raises:
        WaitTimeout: It did not appear; the project stays, and its deployment may still come.
    """
    patience, failures = min(deadline.remaining, _LONGEST_ABSENCE), FailureStreak()
    try:
        async with asyncio.timeout(patience):
            for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
                try:
                    if (found := await look()) is not None:
                        return found
                    failures.clear()
                except NotFoundError:
                    # A project that was created just now may not be found everywhere yet.
                    failures.clear()
                except LaunchError as error:
                    # As with polls: a look that fails now and then does not matter.
                    if failures.is_final(error, asyncio.get_running_loop().time()):
                        raise
                await asyncio.sleep(pause)
    except LaunchError as error:
        error.ambiguous = True
        error.add_note(f"{created} was created; do not create it again")
        raise
    except TimeoutError:
        pass
    why = f"The last look failed: {failures.last}. " if failures.last is not None else ""
    raise WaitTimeout(
        f"{created} was created, but {what} did not appear within {patience:.0f} s. {why}It may still come: {again}"
    ) from failures.last
