"""Secret values that must not appear in outputs, and the search for them."""

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
    """Return a value in the forms of text, JSON, a URL, a form, HTML, `repr` and base64."""
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    in_urls = {quote(value), quote(value, safe=""), quote_plus(value)}
    in_base64 = {base64.b64encode(f"user:{value}".encode()).decode()}
    return {value, repr(value)[1:-1], html.escape(value), *in_json, *in_urls, *in_base64}


FORMS = {name: forms(value) for name, value in ALL.items()}


def found_in(texts: Iterable[str]) -> list[str]:
    """Return the names of the canaries in some texts, each with the surrounding text."""
    return [
        f"{name} in ...{text[max(0, text.index(form) - 160) : text.index(form) + len(form) + 40]}..."
        for text in texts
        for name, written in FORMS.items()
        for form in written
        if form in text
    ]


def texts_of(error: BaseException, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """Return all texts of an error: its text, attributes, traceback with local variables and pickle.

    The result includes the errors that it wraps, even hidden ones, because a program that reports errors may read them.
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
    """Return all texts of a result: as text, in a notebook, and in every format of a report."""
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
    """Return the local variables of all frames except the tests, in the format of the standard library."""
    frames = (pair for pair in traceback.walk_tb(trace) if TESTS not in Path(pair[0].f_code.co_filename).parents)
    for frame in traceback.StackSummary.extract(frames, capture_locals=True):
        yield from (f"{frame.filename} {frame.name}: {name}={text}" for name, text in (frame.locals or {}).items())


def texts_of_log(records: Iterable[logging.LogRecord]) -> Iterator[str]:
    """Return all texts of log records that a handler could write: the message and all attributes."""
    for record in records:
        yield f"{record.name}: {record.getMessage()} {vars(record)!r}"
