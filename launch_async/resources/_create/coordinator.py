"""Creations at one place of the service, as one event loop knows them: sent side by side, looked up one at a time.

Whoever has lost an answer must not take for its own what another call of this loop is just creating. So a look-up
waits until nothing is being sent to that place, and nothing is sent there while it looks.
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
"""Places and UIDs of what a loop knows the call of: no lost answer is about one of them."""
_REMEMBERED: Final = 10_000


def coordinator_of(name: str) -> CreationCoordinator:
    """Return the running loop's record of a place; it is forgotten when nobody holds it."""
    loop = asyncio.get_running_loop()
    places = _places.setdefault(loop, weakref.WeakValueDictionary())
    return places.setdefault(name, CreationCoordinator(name, _known.setdefault(loop, OrderedDict())))


@attrs.frozen(eq=False)
class UnresolvedCreation:
    """A request whose answer is lost.

    Attributes:
        request: What it asks for: of two equal ones, either may have what the other has created.
        fits: Says of something created whether it is what was asked for; None where that cannot be seen.
    """

    request: Hashable
    fits: Callable[[Any], bool] | None = None


class CreationCoordinator:
    """Who is sending a creation to a place, who is looking one up, and which answers are lost."""

    def __init__(self, name: str, known: OrderedDict[tuple[str, str], None]) -> None:
        self._name = name
        self._known = known
        self._sending = 0
        self._lookers = 0
        self._looking = False
        self.lost: list[UnresolvedCreation] = []
        self._changed: asyncio.Future[None] | None = None

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncGenerator[None]:
        """Send a creation inside, once nobody looks any more."""
        await self._until(lambda: not self._lookers)
        self._sending += 1
        try:
            yield
        finally:
            self._sending -= 1
            self._wake()

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncGenerator[None]:
        """Look inside, once nothing is being sent and nobody else looks."""
        self._lookers += 1
        try:
            await self._until(lambda: not self._sending and not self._looking)
            self._looking = True
            try:
                yield
            finally:
                self._looking = False
        finally:
            self._lookers -= 1
            self._wake()

    @contextlib.contextmanager
    def losing(self, lost: UnresolvedCreation) -> Generator[None]:
        """Note a lost answer until it is known what became of it."""
        self.lost.append(lost)
        try:
            yield
        finally:
            self.lost.remove(lost)

    def remember(self, uid: str) -> None:
        """Note that it is known which call has created something."""
        self._known[self._name, uid] = None
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def knows(self, uid: str) -> bool:
        """Return whether it is known which call has created something."""
        return (self._name, uid) in self._known

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            if self._changed is None:
                self._changed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._changed)

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None
