"""Operations of a mixed plan that somebody else knows how to carry out: what a run gives them, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from launch_async.fleet.plan.targets import Target
from launch_async.resources._create.reconciling import C, CreationOptions, ReconcilingCreate

__all__ = ["Performer", "Work"]


class Work(Protocol):
    """One operation, as its run sees it: turns, the journal, and what earlier operations have created."""

    @property
    def key(self) -> str:
        """Key of the operation."""
        ...

    @property
    def target(self) -> Target:
        """What it is about, with the UIDs of what earlier operations have created."""
        ...

    @property
    def created(self) -> Mapping[str, str]:
        """What this operation has created so far, also in an interrupted run."""
        ...

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Wait for a turn to send something that changes nothing, and hold it."""
        ...

    async def in_turn(self, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """Do some work that may be done again; its intent is written down before its first request."""
        ...

    async def create(self, creation: Callable[[CreationOptions[C]], ReconcilingCreate[C]]) -> C:
        """Create something once, or take over what an interrupted run has created."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, but not while the run is paused or stopped."""
        ...

    def note_created(self, **uids: str) -> None:
        """Write down what was created, before the operation has ended."""
        ...

    def done(self, message: str, **uids: str) -> None:
        """Write down that the operation has succeeded, and what it created."""
        ...


class Performer(Protocol):
    """Carries out the tasks of a mixed plan."""

    async def perform(self, work: Work) -> None:
        """Carry out one operation, and say what came of it by `work.done`.

        Raises:
            LaunchError: It failed.
        """
        ...
