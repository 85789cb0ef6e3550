"""Rows of the SDK's objects as a pandas data frame, for notebooks and reports."""

from __future__ import annotations

import enum
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, cast

import attrs

from launch_async._views import FRAME
from launch_async.errors import ConfigurationError, InvalidArgumentError
from launch_async.fleet.report.report import FleetReport
from launch_async.models.log import Log
from launch_async.models.page import Page

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["to_frame"]

_UNNAMED: Final = frozenset({"scheme"})
_COMPUTED: Final = ("url", "seconds")
_LABELS: Final = ("name", "key", "url", "uid")


def to_frame(items: Iterable[object]) -> pd.DataFrame:
    """Return a data frame with a row for each item, and a column for each of its fields.

    A nested object has columns such as `repository.username`; a list of objects has one column with their names.
    Secrets, such as the values of variables, have no column. Times are columns of UTC time stamps, with NaT for a
    missing time.

    Args:
        items: Projects, environments, deployments, log lines or any other objects of this SDK, as a `Page`, a list, or
            an iterator. Pass a pager of `launch_async` as `await pager.to_list()`, and a pager of `launch_sync`
            directly.

    Raises:
        ConfigurationError: pandas is not installed.
        InvalidArgumentError: `items` is not iterable, or contains an object that is not from this SDK.
    """
    return _frame([_row(item) for item in _each(items)])


FRAME.of(Page)(to_frame)
FRAME.of(Log)(to_frame)


@FRAME.of(FleetReport)
def _report(report: FleetReport) -> pd.DataFrame:
    times = ("started_at", "ended_at")
    rows = [{**one.to_dict(), **{name: getattr(one, name) for name in times}} for one in report.outcomes]
    return _frame(rows, times=times)


def _frame(rows: Sequence[Mapping[str, object]], *, times: Container[str] = ()) -> pd.DataFrame:
    """Return rows as a data frame; `times` are columns of time stamps even if no row has a time."""
    try:
        import pandas as pd
    except ImportError:
        raise ConfigurationError(
            "to_frame needs pandas, which is not installed. Install it with: pip install "
            "'contentstack-launch[notebook]'"
        ) from None
    frame = pd.DataFrame.from_records(rows)
    for name in frame.columns:
        if name in times or any(isinstance(row.get(name), datetime) for row in rows):
            frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


def _each(items: object) -> Iterable[object]:
    if not isinstance(items, Iterable):
        raise InvalidArgumentError(
            "items",
            f"must be a Page, a list or an iterator, not {type(items).__name__}. Pass a pager of launch_async as "
            "await pager.to_list()",
        )
    return cast("Iterable[object]", items)


def _row(item: object) -> dict[str, object]:
    if not attrs.has(type(item)):
        raise InvalidArgumentError("items", f"must contain objects of this SDK, not {type(item).__name__}")
    return _columns(item)


def _columns(item: object, prefix: str = "") -> dict[str, object]:
    columns: dict[str, object] = {}
    for field in _shown_fields(item):
        value: object = getattr(item, field)
        if attrs.has(type(value)):
            columns |= _columns(value, f"{prefix}{field}.")
        else:
            columns[prefix + field] = _plain(value)
    return columns


def _shown_fields(item: object) -> list[str]:
    kind = type(item)
    fields = [
        field.name
        for field in attrs.fields(cast("type[attrs.AttrsInstance]", kind))
        if field.repr and field.name not in _UNNAMED and not field.metadata.get("secret")
    ]
    return fields + [name for name in _COMPUTED if isinstance(getattr(kind, name, None), property)]


def _plain(value: object) -> object:
    """Return the value of a cell: enums and paths as text, several objects as their names."""
    if isinstance(value, tuple):
        return tuple(_name(part) for part in cast("tuple[object, ...]", value))
    if isinstance(value, enum.Enum):
        return cast("object", value.value)
    return str(value) if isinstance(value, PurePath) else value


def _name(part: object) -> object:
    if not attrs.has(type(part)):
        return _plain(part)
    fields = _shown_fields(part)
    return next((getattr(part, name) for name in _LABELS if name in fields), str(part))
