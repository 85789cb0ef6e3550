"""Values that must not turn up where they don't belong, and the search for them."""

from __future__ import annotations

import base64
import html
import json
import logging
import pickle
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, quote_plus

TESTS = Path(__file__).resolve().parent.parent

TOKEN = "csCANARYtoken0123456789"
NEXT_TOKEN = "csCANARYnexttoken456789"
PASSWORD = 'CANARY "pass/word" & more'
CLIENT_SECRET = "CANARYclientsecret~01234"
REFRESH_TOKEN = "csrCANARYrefresh01234567"
VARIABLE = "CANARY=variable\nüvalue/<2>"
SIGNATURE = "CANARYsignature%2F0123456789"
HOOK = "ca9a4ca9a4ca9a4ca9a4ca9a"
PROXY_PASSWORD = "CANARYproxypassword"
SECOND_FACTOR = "CANARY123456"
CODE = "CANARYauthorizationcode"
ALL = {
    "token": TOKEN,
    "next token": NEXT_TOKEN,
    "password": PASSWORD,
    "client secret": CLIENT_SECRET,
    "refresh token": REFRESH_TOKEN,
    "variable": VARIABLE,
    "signature": SIGNATURE,
    "hook": HOOK,
    "proxy password": PROXY_PASSWORD,
    "second factor": SECOND_FACTOR,
    "code": CODE,
}


def forms(value: str) -> set[str]:
    """A value as text, JSON, a URL, a form, HTML, `repr` and base64 write it."""
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    in_urls = {quote(value), quote(value, safe=""), quote_plus(value)}
    in_base64 = {base64.b64encode(f"user:{value}".encode()).decode()}
    return {value, repr(value)[1:-1], html.escape(value), *in_json, *in_urls, *in_base64}


FORMS = {name: forms(value) for name, value in ALL.items()}


def found_in(texts: Iterable[str]) -> list[str]:
    """Names of the canaries in some texts, each with what surrounds it."""
    return [
        f"{name} in ...{text[max(0, text.index(form) - 160) : text.index(form) + len(form) + 40]}..."
        for text in texts
        for name, written in FORMS.items()
        for form in written
        if form in text
    ]


def texts_of(error: BaseException, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """Everything that can be read off an error: text, attributes, traceback with locals, pickle, and what it wraps.

    Also what it wraps and does not show: a program that reports errors may look there.
    """
    yield str(error)
    yield repr(error)
    yield repr(vars(error))
    yield "".join(traceback.format_exception(error))
    yield from _with_locals(error.__traceback__)
    if isinstance(error, BaseExceptionGroup):
        yield from (text for inner in error.exceptions for text in texts_of(inner, seen | {id(error)}))
    for link in (error.__cause__, error.__context__):
        if link is not None and id(link) not in seen:
            yield from texts_of(link, seen | {id(error)})
    twin = pickle.loads(pickle.dumps(error))
    yield repr(vars(twin))
    yield pickle.dumps(error, protocol=0).decode("ascii", "replace")


def texts_of_result(result: object) -> Iterator[str]:
    """Everything that a result shows of itself: as text, in a notebook, and in every form that a report has."""
    if isinstance(result, tuple):
        yield from (text for one in result for text in texts_of_result(one))
    if isinstance(result, bytes):
        yield result.decode("utf-8", "replace")
    yield repr(result)
    yield str(result)
    for name in ("_repr_html_", "to_html", "to_json", "to_junit", "to_markdown", "rows", "to_dict"):
        if (form := getattr(result, name, None)) is not None:
            yield str(form())


def _with_locals(trace: TracebackType | None) -> Iterator[str]:
    """The local variables of all frames but the tests' own, as the standard library formats them."""
    frames = (pair for pair in traceback.walk_tb(trace) if TESTS not in Path(pair[0].f_code.co_filename).parents)
    for frame in traceback.StackSummary.extract(frames, capture_locals=True):
        yield from (f"{frame.filename} {frame.name}: {name}={text}" for name, text in (frame.locals or {}).items())


def texts_of_log(records: Iterable[logging.LogRecord]) -> Iterator[str]:
    """What a handler could write of log records: the message and everything that hangs on it."""
    for record in records:
        yield f"{record.name}: {record.getMessage()} {vars(record)!r}"
