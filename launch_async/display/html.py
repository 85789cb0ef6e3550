"""What notebooks show: small tables with the status in words, nothing unescaped, and no list longer than a screen.

Text keeps the page's own colour, so that it can be read in light and dark themes; a status is a word and a mark, and
its colour only repeats them. Styles stand in the elements, for many front ends drop style sheets. No script, no image,
nothing from elsewhere. What is not `Markup` is escaped, wherever it comes from.
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
"""Rows of a table that are shown; the others are counted."""
LINES: Final = 40
"""Last lines of a log that are shown."""

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
# Control characters, half characters, and those that turn the direction of what follows them.
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Cell: TypeAlias = "str | int | float | bool | datetime | None"
"""What a table shows: all but `Markup` is escaped, a moment is told relative to now, None and "" are left out."""


class Severity(enum.Enum):
    """What a status means to a reader: a mark, and a colour that stands out on white and on black."""

    GOOD = ("✓", "#2da44e")
    BAD = ("✗", "#e5534b")
    WARNING = ("!", "#bf8700")
    BUSY = ("…", "#4184e4")
    IDLE = ("·", "#7d8590")

    @property
    def mark(self) -> str:
        """One character that tells it from the others without colour."""
        return self.value[0]

    @property
    def colour(self) -> str:
        """The colour in hexadecimal; never that of a text."""
        return self.value[1]


class TextLine(NamedTuple):
    """One line of a log; its label is what it belongs to, such as a stage, and is shown where it changes."""

    at: datetime | None
    label: str | None
    message: str


@functools.singledispatch
def row(item: object) -> Mapping[str, Cell]:
    """Return the cells of an item by column; each class that is listed registers its own."""
    return {type(item).__name__: str(item)}


def card(title: str, facts: Mapping[str, Cell], *below: Markup) -> str:
    """Return one object: a title, its facts by name, and what stands below them."""
    rows = "".join(
        f'<tr><th scope="row" style="{_HEAD}">{text(name)}</th><td style="{_CELL}">{_cell(fact)}</td></tr>'
        for name, fact in facts.items()
        if _says_something(fact)
    )
    return _block(title, f"<tbody>{rows}</tbody>", *below)


def table(
    title: str, items: Sequence[T], *below: Markup, cells: Callable[[T], Mapping[str, Cell]] = row, shown: int = SHOWN
) -> Markup:
    """Return a table of the first items; columns in which none of them says anything are left out."""
    rows = [cells(item) for item in items[:shown]]
    columns = [
        column
        for column in dict.fromkeys(itertools.chain.from_iterable(rows))
        if any(_says_something(one.get(column)) for one in rows)
    ]
    head = "".join(f'<th scope="col" style="{_HEAD}">{text(column)}</th>' for column in columns)
    body = "".join(f"<tr>{_cells(one, columns)}</tr>" for one in rows)
    return _block(title, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>", _rest(len(items) - len(rows)), *below)


def log(lines: Sequence[TextLine], *, shown: int = LINES) -> Markup:
    """Return the last lines of a log, each with its time of day (UTC); those before them are counted."""
    parts: list[str] = []
    if len(lines) > shown:
        parts.append(f'<span style="{_FAINT}">… {len(lines) - shown:,} lines before</span>\n')
    label = None
    for line in lines[-shown:]:
        if line.label and line.label != label:
            parts.append(f"<b>{text(line.label)}</b>\n")
            label = line.label
        time = "" if line.at is None else f'<span style="{_FAINT}">{line.at.astimezone(UTC):%H:%M:%S}</span>  '
        parts.append(f"{time}{text(line.message)}\n")
    return Markup(f'<pre style="{_PRE}">{"".join(parts)}</pre>')


def details(summary: str, body: Markup, *, is_open: bool = False) -> Markup:
    """Return something that unfolds at a click."""
    return Markup(f"<details{' open' if is_open else ''}><summary>{text(summary)}</summary>{body}</details>")


def faint(words: str) -> Markup:
    """Return a line of less weight, as for what stands below a table."""
    return Markup(f'<div style="{_FAINT}">{text(words)}</div>')


def badge(status: str, mood: Severity) -> Markup:
    """Return a status: its mark and its name, in the text's own colour, beside and upon a colour that says the same."""
    style = f"{_BADGE};border-left:.3em solid {mood.colour};background:{mood.colour}26"
    return Markup(f'<span style="{style}">{mood.mark}&nbsp;{text(status)}</span>')


def link(url: str | None, label: str | None = None) -> Markup:
    """Return a link to a web address, or the text alone of what is none; a user name or password in it is left out."""
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
    """Return web addresses in one cell: the first of them, and how many more there are.

    Where an address has no scheme it is https, or http on this machine, where emulators are.
    """
    every = [url if "://" in url else f"http{'' if url.startswith(_HERE) else 's'}://{url}" for url in urls if url]
    parts = [link(url) for url in every[:shown]]
    more = f" and {len(every) - shown:,} more" if len(every) > shown else ""
    return Markup(f"{', '.join(parts)}{more}")


def code(value: str | None) -> Markup:
    """Return an identifier or a command; nothing for nothing. A UID is one word, that no line break divides."""
    whole = ";white-space:nowrap" if value and _UID.fullmatch(value) else ""
    return Markup(f'<code style="{_MONO};padding:0{whole}">{text(value)}</code>' if value else "")


def ago(moment: datetime, now: datetime | None = None) -> Markup:
    """Return a moment relative to `now`; the moment itself shows under the pointer."""
    moment = moment.astimezone(UTC)
    distance = ((now or datetime.now(UTC)) - moment).total_seconds()
    span = _roughly(abs(distance))
    words = "just now" if not span else f"{span} ago" if distance > 0 else f"in {span}"
    return Markup(f'<time datetime="{moment.isoformat()}" title="{_absolute(moment)}">{words}</time>')


def when(moment: datetime | None, now: datetime | None = None) -> Markup:
    """Return a moment relative to `now` and as it is, for what is kept and read later; nothing for None."""
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
    # A caption would be as wide as the table, or make it as wide as itself.
    heading = f'<div style="font-weight:600">{text(title)}</div>' if title else ""
    shown = f'{heading}<table style="{_TABLE}">{inner}</table>{"".join(below)}'
    return Markup(f'<div style="text-align:left">{shown}</div>')


def _rest(count: int) -> Markup:
    return faint(f"… and {count:,} more") if count else Markup()


def _cells(cells: Mapping[str, Cell], columns: Iterable[str]) -> str:
    return "".join(f'<td style="{_CELL}">{_cell(cells.get(column))}</td>' for column in columns)


def _cell(value: Cell) -> str:
    """Return the content of a cell. A cell may break a long word at any place, but never a UID."""
    shown = text(value)
    return shown if isinstance(value, Markup) else _UID.sub(r'<span style="white-space:nowrap">\g<0></span>', shown)


def _says_something(value: Cell) -> bool:
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
