"""One page of a listing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar, overload

import attrs

from launch_async._views import FRAME, Displayable
from launch_async.models.base import WireModel

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@attrs.frozen(slots=False, kw_only=True)
class Pagination(WireModel):
    """Position and size of a page (`Pagination` in `openapi.yaml`).

    Attributes:
        count: Number of items in the whole listing; None if the service does not send it.
        limit: Page size that the service used.
        skip: Number of items before this page; the service sends null for 0.
    """

    count: int | None = None
    limit: int | None = None
    skip: int | None = None


@attrs.frozen
class Page(Displayable, Generic[T_co]):
    """One page of a listing: a sequence of its items.

    Attributes:
        items: The items in the order of the service, which is not documented.
        skip: Number of items before this page.
        total: Number of items in the whole listing; None if the service does not send it.
    """

    items: tuple[T_co, ...]
    skip: int = 0
    total: int | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T_co, ...]: ...
    def __getitem__(self, index: int | slice) -> T_co | tuple[T_co, ...]:
        return self.items[index]

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas data frame with a row for each item of the page.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        return FRAME(self)


class Listed(Displayable, list[T]):
    """A list that notebooks show as a table."""
