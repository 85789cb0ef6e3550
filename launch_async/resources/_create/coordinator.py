"""Coordination of one event loop's creations at one place: sends run in parallel, look-ups run one at a time.

A call whose response is lost must not adopt an object that another call of this loop is creating. So a look-up waits
until no call sends a creation to the same place, and no call sends a creation during the look-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Generator, Hashable
from typing import Any, Final

import attrs

__all__ = ["CreationCoordinator", "UnresolvedCreation", "coordinator_of"]

_places: Final[
    weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.WeakValueDictionary[str, CreationCoordinator]]
] = weakref.WeakKeyDictionary()


_known: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, OrderedDict[tuple[str, str], None]]] = (
    weakref.WeakKeyDictionary()
)
"""Places and UIDs of objects whose creating call a loop knows. No lost response was about these objects."""
_REMEMBERED: Final = 10_000


def coordinator_of(name: str) -> CreationCoordinator:
    """Return the running loop's coordinator of a place. It exists as long as a call refers to it."""
    loop = asyncio.get_running_loop()
    places = _places.setdefault(loop, weakref.WeakValueDictionary())
    return places.setdefault(name, CreationCoordinator(name, _known.setdefault(loop, OrderedDict())))


@attrs.frozen(eq=False)
class UnresolvedCreation:
    """A request whose response is lost.

    Attributes:
        request: The content of the request. If two requests are equal, either call may take either result.
        fits: Returns whether a created object may be the requested object; None if the request names no source.
    """

    request: Hashable
    fits: Callable[[Any], bool] | None = None


class CreationCoordinator:
    """Counts the calls that send or look up creations at one place, and keeps the lost responses."""

    def __init__(self, name: str, known: OrderedDict[tuple[str, str], None]) -> None:
        self._name = name
        self._known = known
        self._sending = 0
        self._look_ups = 0
        self._is_looking = False
        self.lost: list[UnresolvedCreation] = []
        self._changed: asyncio.Future[None] | None = None

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncGenerator[None]:
        """Enter a block that sends a creation, after all look-ups have ended."""
        await self._until(lambda: not self._look_ups)
        self._sending += 1
        try:
            yield
        finally:
            self._sending -= 1
            self._wake()

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncGenerator[None]:
        """Enter a block that looks up creations, after all sends and other look-ups have ended."""
        self._look_ups += 1
        try:
            await self._until(lambda: not self._sending and not self._is_looking)
            self._is_looking = True
            try:
                yield
            finally:
                self._is_looking = False
        finally:
            self._look_ups -= 1
            self._wake()

    @contextlib.contextmanager
    def losing(self, lost: UnresolvedCreation) -> Generator[None]:
        """Keep a lost response while the block runs."""
        self.lost.append(lost)
        try:
            yield
        finally:
            self.lost.remove(lost)

    def remember(self, uid: str) -> None:
        """Record that the creating call of an object is known."""
        self._known[self._name, uid] = None
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def knows(self, uid: str) -> bool:
        """Return whether the creating call of an object is known."""
        return (self._name, uid) in self._known

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._changed is None:
                self._changed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._changed)

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None
