"""`follow_all`: the logs of several deployments as one stream. Lines that arrive together are in time order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Final, TypeAlias

import attrs

from launch_async._views import Displayable
from launch_async.errors import LaunchError
from launch_async.models.deployment import Deployment, DeploymentRef
from launch_async.models.log import LogLine
from launch_async.watch.log_cursor import by_time
from launch_async.watch.task_scope import task_scope

__all__ = ["FollowedLine", "Source", "merged"]

_HOLD_S: Final = 1.0
_QUEUE_SIZE: Final = 500

Source: TypeAlias = Callable[[DeploymentRef], AsyncGenerator[Deployment | LogLine, None]]
"""Starts to follow a deployment."""


@attrs.frozen
class FollowedLine(Displayable):
    """A line of one of several followed logs.

    Attributes:
        ref: Reference to the deployment.
        line: The line.
    """

    ref: DeploymentRef
    line: LogLine

    def __str__(self) -> str:
        return f"{self.ref.deployment_uid[:8]} {self.line}"


@attrs.frozen
class _End:
    """The end of one log; `error` is set if the SDK could not follow the log."""

    error: BaseException | None = None


async def merged(refs: Iterable[DeploymentRef], source: Source) -> AsyncGenerator[FollowedLine, None]:
    """Yield the lines of several logs. Lines wait for up to 1 s, so that earlier lines of other logs can come first.

    Raises:
        LaunchError: The SDK could not follow a log. The error is raised when all other logs have ended.
    """
    queue: asyncio.Queue[FollowedLine | _End] = asyncio.Queue(_QUEUE_SIZE)
    places = list(dict.fromkeys(refs))
    running, errors = len(places), list[BaseException]()

    async def follow(ref: DeploymentRef) -> None:
        end = _End()
        try:
            async with contextlib.aclosing(source(ref)) as events:
                async for event in events:
                    if isinstance(event, LogLine):
                        await queue.put(FollowedLine(ref, event))
        except Exception as error:  # noqa: BLE001, RUF100 - it is raised by the iterator
            end = _End(error)
        await queue.put(end)

    async with task_scope(follow(ref) for ref in places):
        while running:
            batch = await _batch(queue, running)
            ends = [item for item in batch if isinstance(item, _End)]
            running -= len(ends)
            errors += [end.error for end in ends if end.error is not None]
            for line in _in_order(item for item in batch if isinstance(item, FollowedLine)):
                yield line
    if errors:
        raise _first(errors)


async def _batch(queue: asyncio.Queue[FollowedLine | _End], running: int) -> list[FollowedLine | _End]:
    """Return the items that arrive within 1 s of the first item; earlier if all logs have ended."""
    batch = [await queue.get()]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_HOLD_S):
            while sum(isinstance(item, _End) for item in batch) < running and len(batch) < _QUEUE_SIZE:
                batch.append(await queue.get())
    return batch


def _in_order(lines: Iterable[FollowedLine]) -> list[FollowedLine]:
    """Return lines in time order. A line without a time stays after its predecessor in the same log."""
    logs: dict[DeploymentRef, list[FollowedLine]] = {}
    for followed in lines:
        logs.setdefault(followed.ref, []).append(followed)
    stamped = [pair for log in logs.values() for pair in by_time(log, lambda followed: followed.line.timestamp)]
    return [followed for _, followed in sorted(stamped, key=lambda pair: pair[0])]


def _first(errors: list[BaseException]) -> BaseException:
    error = errors[0]
    if len(errors) > 1 and isinstance(error, LaunchError):
        error.add_note(f"The SDK could not follow {len(errors) - 1} other deployments either")
    return error
