"""A listing that is read page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import Generic, TypeVar

__all__ = ["Listing"]

T = TypeVar("T")
C = TypeVar("C", bound=type)


def labelled(words: str) -> Callable[[C], C]:
    """Return a decorator that sets the label of a class."""

    def decorated(kind: C) -> C:
        kind.words = words  # type: ignore[attr-defined]
        return kind

    return decorated


@labelled("await listing")
class Listing(Generic[T]):
    """Some items."""

    def __init__(self, items: list[T]) -> None:
        self._items = items

    def _repr_html_(self) -> str:
        return "nothing can be awaited here"

    def __await__(self) -> Generator[object, None, list[T]]:
        return self._whole().__await__()

    async def _whole(self) -> list[T]:
        return [item async for item in self]

    async def page(self) -> list[T]:
        """Return the first page."""
        return self._items[:2]

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page:
                yield item

    async def pages(self) -> AsyncIterator[list[T]]:
        """Iterate over pages of two."""
        for start in range(0, len(self._items), 2):
            yield self._items[start : start + 2]
