"""HTML for notebooks: small tables with the status in words, escaped text, and short lists.

Text keeps the colour of the page, so that it is readable in light and dark themes. A status is a word and a mark, and
its colour only repeats them. Styles are inline, because many front ends drop style sheets. The HTML has no scripts and
no images, and loads no other files. All text that is not `Markup` is escaped.
"""

from __future__ import annotations

import enum
import functools
import html
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias, TypeVar
from urllib.parse import urlsplit

from launch_async._text import count_of

__all__ = [
    "Cell",
    "Markup",
    "Severity",
    "TextLine",
    "ago",
    "badge",
    "card",
    "code",
    "details",
    "faint",
    "link",
    "links",
    "log",
    "row",
    "table",
    "text",
    "when",
]

T = TypeVar("T")

SHOWN: Final = 20
"""Number of rows that a table shows. A line below the table counts the other rows."""
LINES: Final = 40
"""Number of last lines that a log shows."""

_LONGEST: Final = 300
_TABLE: Final = "border-collapse:collapse;table-layout:auto;margin:0;font-size:inherit"
_CELL: Final = (
    "text-align:left;vertical-align:baseline;padding:.15em 1.2em .15em 0;max-width:48em;overflow-wrap:anywhere"
)
_FAINT: Final = "font-weight:400;opacity:.75"
_HEAD: Final = f"{_CELL};{_FAINT};white-space:nowrap"
_MONO: Final = "font-family:monospace;font-size:.95em;color:inherit;background:none"
_PRE: Final = f"{_MONO};line-height:1.4;margin:0;padding:.2em 0;max-height:24em;overflow:auto;white-space:pre-wrap"
_HERE: Final = ("127.0.0.1", "localhost")
_BADGE: Final = "white-space:nowrap;border-radius:.3em;padding:0 .5em"

_UID: Final = re.compile(r"\b[0-9a-f]{24}\b")
_ANSI: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
# Control characters, surrogates, and characters that change the direction of the text after them.
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


Cell: TypeAlias = "str | int | float | bool | datetime | None"
"""The value of a cell. Text is escaped unless it is `Markup`, a time is relative to now, None and "" are left out."""


class Severity(enum.Enum):
    """The severity of a status: a mark, and a colour that is visible on white and on black."""

    GOOD = ("✓", "#2da44e")
    BAD = ("✗", "#e5534b")
    WARNING = ("!", "#bf8700")
    BUSY = ("…", "#4184e4")
    IDLE = ("·", "#7d8590")

    @property
    def mark(self) -> str:
        """One character that identifies the severity without colour."""
        return self.value[0]

    @property
    def colour(self) -> str:
        """The colour in hexadecimal. It is never used for text."""
        return self.value[1]


class TextLine(NamedTuple):
    """One line of a log. Its label, such as a stage, is shown when it differs from the label of the previous line."""

    at: datetime | None
    label: str | None
    message: str


@functools.singledispatch
def row(item: object) -> Mapping[str, Cell]:
    """Return the cells of an item by column. Each class that is shown in tables registers a function."""
    return {type(item).__name__: str(item)}


def card(title: str, facts: Mapping[str, Cell], *below: Markup) -> str:
    """Return the card of one object: a title, its facts by name, and other content below."""
    rows = "".join(
        f'<tr><th scope="row" style="{_HEAD}">{text(name)}</th><td style="{_CELL}">{_cell(fact)}</td></tr>'
        for name, fact in facts.items()
        if _has_content(fact)
    )
    return _block(title, f"<tbody>{rows}</tbody>", *below)


def table(
    title: str, items: Sequence[T], *below: Markup, cells: Callable[[T], Mapping[str, Cell]] = row, shown: int = SHOWN
) -> Markup:
    """Return a table of the first items, without empty columns."""
    rows = [cells(item) for item in items[:shown]]
    columns = [
        column
        for column in dict.fromkeys(itertools.chain.from_iterable(rows))
        if any(_has_content(one.get(column)) for one in rows)
    ]
    head = "".join(f'<th scope="col" style="{_HEAD}">{text(column)}</th>' for column in columns)
    body = "".join(f"<tr>{_cells(one, columns)}</tr>" for one in rows)
    return _block(title, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>", _rest(len(items) - len(rows)), *below)


def log(lines: Sequence[TextLine], *, shown: int = LINES) -> Markup:
    """Return the last lines of a log, each with its time of day (UTC), and the number of earlier lines."""
    parts: list[str] = []
    if len(lines) > shown:
        parts.append(f'<span style="{_FAINT}">… {count_of(len(lines) - shown, "earlier line")}</span>\n')
    label = None
    for line in lines[-shown:]:
        if line.label and line.label != label:
            parts.append(f"<b>{text(line.label)}</b>\n")
            label = line.label
        time = "" if line.at is None else f'<span style="{_FAINT}">{line.at.astimezone(UTC):%H:%M:%S}</span>  '
        parts.append(f"{time}{text(line.message)}\n")
    return Markup(f'<pre style="{_PRE}">{"".join(parts)}</pre>')


def details(summary: str, body: Markup, *, is_open: bool = False) -> Markup:
    """Return content that opens with a click on its summary."""
    return Markup(f"<details{' open' if is_open else ''}><summary>{text(summary)}</summary>{body}</details>")


def faint(words: str) -> Markup:
    """Return a faint line, for example below a table."""
    return Markup(f'<div style="{_FAINT}">{text(words)}</div>')


def badge(status: str, severity: Severity) -> Markup:
    """Return a status: its mark and name in the colour of the text, with a border and background of its severity."""
    style = f"{_BADGE};border-left:.3em solid {severity.colour};background:{severity.colour}26"
    return Markup(f'<span style="{style}">{severity.mark}&nbsp;{text(status)}</span>')


def link(url: str | None, label: str | None = None) -> Markup:
    """Return a link to a web address, without a user name or password; only the text if it is not a web address."""
    try:
        parts = urlsplit(url or "")
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return text(label)
    address = parts._replace(netloc=host).geturl()
    shown = text(label or address.removesuffix("/"))
    if parts.scheme not in ("http", "https") or not host:
        return shown
    return Markup(f'<a href="{html.escape(_printable(address))}" target="_blank" rel="noopener noreferrer">{shown}</a>')


def links(urls: Iterable[str | None], *, shown: int = 3) -> Markup:
    """Return web addresses in one cell: the first addresses, and the number of other addresses.

    An address without a scheme is https, or http if it is on this machine, because emulators run there.
    """
    every = [url if "://" in url else f"http{'' if url.startswith(_HERE) else 's'}://{url}" for url in urls if url]
    parts = [link(url) for url in every[:shown]]
    more = f" and {len(every) - shown:,} more" if len(every) > shown else ""
    return Markup(f"{', '.join(parts)}{more}")


def code(value: str | None) -> Markup:
    """Return an identifier or a command as code; empty without a value. A UID has no line breaks."""
    whole = ";white-space:nowrap" if value and _UID.fullmatch(value) else ""
    return Markup(f'<code style="{_MONO};padding:0{whole}">{text(value)}</code>' if value else "")


def ago(moment: datetime, now: datetime | None = None) -> Markup:
    """Return a moment relative to `now`. The tooltip shows the exact time."""
    moment = moment.astimezone(UTC)
    distance = ((now or datetime.now(UTC)) - moment).total_seconds()
    span = _roughly(abs(distance))
    words = "just now" if not span else f"{span} ago" if distance > 0 else f"in {span}"
    return Markup(f'<time datetime="{moment.isoformat()}" title="{_absolute(moment)}">{words}</time>')


def when(moment: datetime | None, now: datetime | None = None) -> Markup:
    """Return a moment relative to `now` and as an exact time, for pages that are read later; empty for None."""
    if moment is None:
        return Markup()
    return Markup(f'{ago(moment, now)} <span style="{_FAINT}">({_absolute(moment.astimezone(UTC))})</span>')


def text(value: Cell) -> Markup:
    """Return a value as HTML: escaped, without terminal colours and control characters, cut after 300 characters."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, datetime):
        return ago(value)
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    shown = _printable("" if value is None else str(value))
    return Markup(html.escape(shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"))


def _block(title: str, inner: str, *below: Markup) -> Markup:
    # A caption would be limited to the width of the table, or would widen the table.
    heading = f'<div style="font-weight:600">{text(title)}</div>' if title else ""
    shown = f'{heading}<table style="{_TABLE}">{inner}</table>{"".join(below)}'
    return Markup(f'<div style="text-align:left">{shown}</div>')


def _rest(count: int) -> Markup:
    return faint(f"… and {count:,} more") if count else Markup()


def _cells(cells: Mapping[str, Cell], columns: Iterable[str]) -> str:
    return "".join(f'<td style="{_CELL}">{_cell(cells.get(column))}</td>' for column in columns)


def _cell(value: Cell) -> str:
    """Return the content of a cell. The browser can break long words in a cell, but not a UID."""
    shown = text(value)
    return shown if isinstance(value, Markup) else _UID.sub(r'<span style="white-space:nowrap">\g<0></span>', shown)


def _has_content(value: Cell) -> bool:
    return value is not None and value != ""


def _printable(value: str) -> str:
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _ANSI.sub("", value))


def _absolute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _roughly(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length):,} {unit}"
    return f"{int(seconds)} s" if seconds >= 5 else ""
