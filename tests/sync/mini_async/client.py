"""A client with every shape of method."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, overload

from mini_async._base import Base
from mini_async.data import OnThing, Thing
from mini_async.plugs import Credentials

if TYPE_CHECKING:
    from decimal import Decimal

    from mini_async.listing import Listing

__all__ = ["Client", "Shelf", "connect"]

_DEFAULT = Thing(0)


class Shelf(Base):
    """Things, one after another."""

    label: str

    async def __aiter__(self) -> AsyncIterator[Thing]:
        for thing in self._things:
            yield thing

    async def move_to(self, other: Shelf) -> None:
        """Move everything to another shelf."""
        other._things.extend(self._things)
        self._things.clear()


class Client:
    """A client.

    Use it as an async context manager::

        import asyncio

        async with Client() as client:
            thing = (await client.get(1)).number
            numbers = [thing.number async for thing in client.watch(3)]

    We await your feedback.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        price: Decimal | None = None,
        draw: Callable[[], float] = float,
    ) -> None:
        self._credentials = credentials
        self._price = price
        self.draw_count: int = 0
        self.name = "client"
        self.closed = False
        self._note = ""

    def __repr__(self) -> str:
        return "<Client>"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Make a client from the environment."""
        return cls()

    @staticmethod
    def version() -> str:
        """Return the version."""
        return "1.0"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close it."""
        self.closed = True

    @cached_property
    def shelf(self) -> Shelf:
        """The one shelf."""
        return Shelf([Thing(1), Thing(2), Thing(3)])

    @property
    def note(self) -> str:
        """A note."""
        return self._note

    @note.setter
    def note(self, value: str) -> None:
        self._note = value

    def things(self, *, limit: int | None = None) -> Listing[Thing]:
        """List things."""
        from mini_async.listing import Listing

        return Listing([Thing(number) for number in range(limit or 5)])

    def other_shelf(self, name: Literal["left", "right"] = "left") -> Shelf | None:
        """Return another shelf, if there is one."""
        return Shelf([]) if name == "right" else None

    def with_name(self, name: str) -> Client:
        """Return a client of another name."""
        client = Client()
        client.name = name
        return client

    async def get(self, number: int, /, default: Thing = _DEFAULT) -> Thing:
        """Return a thing.

        >>> await client.get(1)
        Thing(number=1)
        """
        return Thing(number) if number else default

    async def weigh(self, things: Iterable[Thing] | None = None) -> int:
        """Weigh things."""
        return sum(thing.number for thing in things or ())

    @overload
    async def find(self, number: int, *, strict: Literal[True]) -> Thing: ...
    @overload
    async def find(self, number: int, *, strict: bool = False) -> Thing | None: ...
    async def find(self, number: int, *, strict: bool = False) -> Thing | None:
        """Return a thing, or None unless `strict`."""
        return Thing(number) if strict or number else None

    async def make(self, *numbers: int, on_thing: OnThing | None = None) -> list[Thing]:
        """Make things, and pass each to the callback."""
        made = [Thing(number) for number in numbers]
        for thing in made:
            await asyncio.sleep(0)
            if on_thing is not None:
                on_thing(thing)
        return made

    async def put_on(self, shelf: Shelf | None, thing: Thing) -> int:
        """Put a thing on a shelf; return how many are there."""
        if shelf is None:
            return 0
        shelf._things.append(thing)
        return len(shelf)

    def watch(self, count: int) -> AsyncIterator[Thing]:
        """Watch things come."""
        return self._watch(count)

    async def follow(self) -> AsyncGenerator[Thing, None]:
        """Follow things."""
        yield Thing(1)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[str]:
        """Hold a lock."""
        yield "locked"

    def transaction(self) -> AbstractAsyncContextManager[str]:
        """Hold a transaction."""
        return self.locked()

    async def _watch(self, count: int) -> AsyncIterator[Thing]:
        for number in range(count):
            yield Thing(number)


async def connect(name: str) -> Client:
    """Return a client that is connected."""
    client = Client()
    client.name = name
    return client
