"""A listing that is read page by page, and survives whatever the service does between two pages.

Offset pagination shifts when items appear or vanish meanwhile, `count` may be missing, `skip` comes back as null, and
a service may ignore `limit` (FACTS §4). Every item is given once, by its UID; a listing that shrinks is read again
where it may have moved past us; without a count, only a page with nothing new ends it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Final, Generic, TypeVar

from launch_async._views import HTML
from launch_async.http.operation import check_page
from launch_async.models.base import IdentifiedModel
from launch_async.models.page import Listed, Page

__all__ = ["Pager", "unlike_a_list"]

_PAGE_SIZE: Final = 100
_PATIENCE: Final = 100
"""Pages in a row without anything new after which a listing that never ends by itself is given up."""

T = TypeVar("T", bound=IdentifiedModel)
C = TypeVar("C", bound=type)


def unlike_a_list(awaited: str) -> Callable[[C], C]:
    """Make a pager's class say what to call, where a program takes it for a list: `len()`, an index, a condition.

    Python raises an error for the first two anyway, and type checkers report them: so they need not know of these.

    Args:
        awaited: What stands before a call of the pager: `await ` or nothing.
    """
    whole = "await pager" if awaited else "list(pager)"
    advice = {
        "__len__": f"a Pager has no len() before it is read: len({whole}), or {awaited}pager.total()",
        "__getitem__": f"a Pager is no list: {whole} gives the list, {awaited}pager.first() the first item",
        "__bool__": f"a Pager does not know before it is read whether it is empty: {awaited}pager.first() is None then",
    }

    def refusal(words: str) -> Callable[..., object]:
        def refuse(*_: object) -> object:
            raise TypeError(words)

        return refuse

    def decorated(kind: C) -> C:
        for name, words in advice.items():
            setattr(kind, name, refusal(words))
        return kind

    return decorated


@unlike_a_list("await ")
class Pager(Generic[T]):
    """A listing: iterate it for every item, or ask for a page, the total or a list.

    Nothing is requested before that, and each iteration reads the listing anew. An iteration gives every item once,
    also where items appear or vanish between two pages (FACTS §4).

    A notebook shows the first page: in launch_sync it is requested for that, in launch_async it is the one that was
    read last, because a view cannot wait for an answer.
    """

    def __init__(
        self, fetch: Callable[[int, int], Awaitable[Page[T]]], *, limit: int | None = None, skip: int = 0
    ) -> None:
        check_page(limit, skip)
        self._fetch = fetch
        self._limit = limit or _PAGE_SIZE
        self._skip = skip
        self._shown: Page[T] | None = None
        """The first page that was read last, for notebooks."""

    def __repr__(self) -> str:
        return f"Pager(limit={self._limit}, skip={self._skip})"

    def _repr_html_(self) -> str:
        return HTML(self)

    @property
    def page_read(self) -> Page[T] | None:
        """The first page as it was read last; None if nothing was read yet."""
        return self._shown

    def __await__(self) -> Generator[object, None, list[T]]:
        """Return every item, as `to_list()` does."""
        return self.to_list().__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Iterate over the pages; items that were on an earlier page are left out of a later one."""
        seen: set[object] = set()
        position, known_total, barren = self._skip, None, 0
        while True:
            page = await self._fetch(self._limit, position)
            self._shown = page if position == self._skip else self._shown
            vanished = max(0, known_total - page.total) if known_total is not None and page.total is not None else 0
            known_total = page.total
            # A domain may come without a UID: it is then told by all that it says.
            there = {item.uid or item: item for item in page.items}
            fresh = tuple(item for key, item in there.items() if key not in seen)
            seen.update(there)
            if fresh:
                yield Page(fresh, page.skip, page.total)
            barren = 0 if fresh else barren + 1
            if barren == _PATIENCE or (not fresh and page.total is None):
                return
            if vanished:
                # What stood before this page has moved up: step back, and read again what may have been passed over.
                position = max(self._skip, position - vanished)
            elif page.items:
                position += len(page.items)
            else:
                return
            if page.total is not None and position >= page.total:
                return

    async def page(self) -> Page[T]:
        """Return one page: `limit` items (100 by default) after the first `skip`."""
        self._shown = await self._fetch(self._limit, self._skip)
        return self._shown

    async def first(self) -> T | None:
        """Return the first item, or None if there is none."""
        page = await self._fetch(1, self._skip)
        return page.items[0] if page.items else None

    async def total(self) -> int:
        """Return how many items the whole listing has; where the service does not say, they are counted."""
        page = await self._fetch(1, 0)
        if page.total is not None:
            return page.total
        return sum([len(page) async for page in Pager(self._fetch).pages()])

    async def to_list(self) -> list[T]:
        """Return every item, in a list that notebooks show as a table.

        In launch_async, awaiting the pager itself does the same.
        """
        return Listed([item async for item in self])
