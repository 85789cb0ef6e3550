"""A listing that the SDK reads page by page, also while the service adds and removes items.

Pages overlap or leave a gap if items appear or disappear between two requests. The service may leave out `count`,
return `skip` as null, and ignore `limit`. The pager returns every item once, by its UID. If the total becomes smaller,
the pager steps back and reads that part again. Without a count, the listing ends at the first page with no new item.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from launch_async._views import HTML
from launch_async.http.operation import check_page
from launch_async.models.base import IdentifiedModel

if TYPE_CHECKING:
    from launch_async.models.page import Page

__all__ = ["Pager", "unlike_a_list"]

_PAGE_SIZE: Final = 100
_MAX_OLD_PAGES: Final = 100
"""Number of consecutive pages without a new item after which the pager stops reading."""

T = TypeVar("T", bound=IdentifiedModel)
C = TypeVar("C", bound=type)


def unlike_a_list(awaited: str) -> Callable[[C], C]:
    """Make a pager raise an error with advice if a program uses it like a list: `len()`, an index or a condition.

    Type checkers do not see these methods, so they still report `len()` and an index.

    Args:
        awaited: The text before a call of the pager: `await ` or an empty string.
    """
    whole = "await pager" if awaited else "list(pager)"
    advice = {
        "__len__": f"A Pager has no len(), because it reads items later. Use len({whole}) or {awaited}pager.total()",
        "__getitem__": f"A Pager is not a list. Use {whole}, or {awaited}pager.first() for the first item",
        "__bool__": f"A Pager has no truth value, because it reads items later. Use {awaited}pager.first() is None",
    }

    def refusal(message: str) -> Callable[..., object]:
        def refuse(*_: object) -> object:
            raise TypeError(message)

        return refuse

    def decorated(kind: C) -> C:
        for name, message in advice.items():
            setattr(kind, name, refusal(message))
        return kind

    return decorated


@unlike_a_list("await ")
class Pager(Generic[T]):
    """A listing. Iterate over it to get every item, or call a method to get a page, the total or a list.

    The pager sends no request before that. Each iteration reads the listing again, and returns every item once, even if
    items appear or disappear between two pages.

    A notebook shows the first page. In launch_sync, the notebook requests this page. In launch_async, it shows the
    most recent response for the first page, because a view cannot wait for a response.
    """

    def __init__(
        self, fetch: Callable[[int, int], Awaitable[Page[T]]], *, limit: int | None = None, skip: int = 0
    ) -> None:
        check_page(limit, skip)
        self._fetch = fetch
        self._limit = limit or _PAGE_SIZE
        self._skip = skip
        self._shown: Page[T] | None = None
        """The most recent response for the first page, for notebooks."""

    def __repr__(self) -> str:
        return f"Pager(limit={self._limit}, skip={self._skip})"

    def _repr_html_(self) -> str:
        return HTML(self)

    @property
    def page_read(self) -> Page[T] | None:
        """The most recent response for the first page; None if the pager has not read it yet."""
        return self._shown

    def __await__(self) -> Generator[object, None, list[T]]:
        """Return every item, as `to_list()` does."""
        return self.to_list().__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Iterate over the pages. A page leaves out the items that an earlier page had."""
        from launch_async.models.page import Page

        seen: set[object] = set()
        position, known_total, old_pages = self._skip, None, 0
        while True:
            page = await self._fetch(self._limit, position)
            self._shown = page if position == self._skip else self._shown
            vanished = max(0, known_total - page.total) if known_total is not None and page.total is not None else 0
            known_total = page.total
            # A domain may have no UID. The pager then compares all its fields.
            listed = {item.uid or item: item for item in page.items}
            fresh = tuple(item for key, item in listed.items() if key not in seen)
            seen.update(listed)
            if fresh:
                yield Page(fresh, page.skip, page.total)
            old_pages = 0 if fresh else old_pages + 1
            if old_pages == _MAX_OLD_PAGES or (not fresh and page.total is None):
                return
            if vanished:
                # Items moved up, so the pager may have skipped some: step back and read these positions again.
                position = max(self._skip, position - vanished)
            elif page.items:
                position += len(page.items)
            else:
                return
            if page.total is not None and position >= page.total:
                return

    async def page(self) -> Page[T]:
        """Return one page: `limit` items (100 by default) after the first `skip` items."""
        self._shown = await self._fetch(self._limit, self._skip)
        return self._shown

    async def first(self) -> T | None:
        """Return the first item, or None if there is none."""
        page = await self._fetch(1, self._skip)
        return page.items[0] if page.items else None

    async def total(self) -> int:
        """Return the number of items in the whole listing. If the service does not report it, the pager counts them."""
        page = await self._fetch(1, 0)
        if page.total is not None:
            return page.total
        return sum([len(page) async for page in Pager(self._fetch).pages()])

    async def to_list(self) -> list[T]:
        """Return every item, in a list that notebooks show as a table.

        In launch_async, awaiting the pager returns the same list.
        """
        from launch_async.models.page import Listed

        return Listed([item async for item in self])
