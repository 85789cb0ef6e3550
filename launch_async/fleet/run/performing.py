"""The interface between a run and a workflow that carries out the tasks of a mixed plan."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from launch_async.fleet.plan.targets import Target
from launch_async.resources._create.reconciling import C, CreationOptions, ReconcilingCreate

__all__ = ["Performer", "Work"]


class Work(Protocol):
    """One operation for the workflow: turns to send, the journal, and the results of earlier operations."""

    @property
    def key(self) -> str:
        """Key of the operation."""
        ...

    @property
    def target(self) -> Target:
        """The target, with the UIDs that earlier operations have created."""
        ...

    @property
    def created(self) -> Mapping[str, str]:
        """The UIDs that this operation has created so far, including those of an interrupted run."""
        ...

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Wait for a turn to send requests that change nothing, and hold it."""
        ...

    async def in_turn(self, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """Do repeatable work. The run writes the intent into the journal before the first request."""
        ...

    async def create(self, creation: Callable[[CreationOptions[C]], ReconcilingCreate[C]]) -> C:
        """Create something once, or adopt what an interrupted run has created."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. Raise an error if the run is paused or stopped."""
        ...

    def note_created(self, **uids: str) -> None:
        """Record the UIDs of created objects before the operation ends."""
        ...

    def done(self, message: str, **uids: str) -> None:
        """Record that the operation has succeeded, and the UIDs that it created."""
        ...


class Performer(Protocol):
    """Carries out the tasks of a mixed plan."""

    async def perform(self, work: Work) -> None:
        """Carry out one operation, and call `work.done` at its end.

        Raises:
            LaunchError: The operation failed.
        """
        ...
