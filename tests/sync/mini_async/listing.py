"""A listing that is read page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic, TypeVar

__all__ = ["Listing"]

T = TypeVar("T")


class Listing(Generic[T]):
    """Some items."""

    def __init__(self, items: list[T]) -> None:
        self._items = items

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page:
                yield item

    async def pages(self) -> AsyncIterator[list[T]]:
        """Iterate over pages of two."""
        for start in range(0, len(self._items), 2):
            yield self._items[start : start + 2]
