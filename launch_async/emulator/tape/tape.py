"""Read a tape: its exchanges, in the order in which they were written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias, cast

from attrs import field, frozen

from launch_async.emulator.shapes import as_list, as_object
from launch_async.emulator.tape.tape_file import FORMAT

Body: TypeAlias = Mapping[str, object]
"""``{"json": document}``, ``{"text": text}``, ``{"events": [text, ...]}``, ``{"file": bytes}``, or nothing."""
_BODIES: Final = ("json", "text", "events", "file")
_ORGANIZATION_HEADERS: Final = ("organization_uid", "x-organization-uid")


@frozen
class TapedExchange:
    """One exchange on a tape. All private data in it is masked.

    Attributes:
        line: Number of its line on the tape, from 1.
        at: Time at which the request was sent, in ISO 8601, by the clock of the machine that recorded it.
        seconds: Duration of the exchange in seconds.
        operation: Name of the operation; empty if the recorder did not know it.
        method: HTTP method.
        path: Path, without host and query.
        query: Names and values of the query, in the order of the request.
        request_headers: Headers of the request by their names in lower case.
        request_body: Body of the request: ``{"json": document}``, ``{"text": text}``, ``{"file": bytes}`` with the size
            of an uploaded file, or ``{}``.
        status: HTTP status; None if there was no response.
        headers: Headers of the response by their names in lower case.
        body: Body of the response: ``{"json": document}``, ``{"text": text}``, ``{"events": [text, ...]}``, or ``{}``.
        failure: Name of the error that ended the exchange; None if there was none.
    """

    line: int
    at: str
    seconds: float
    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    request_headers: Mapping[str, str] = field(repr=False)
    request_body: Mapping[str, object] = field(repr=False)
    status: int | None
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, object] = field(repr=False)
    failure: str | None


@frozen
class Tape:
    """The exchanges of a tape.

    Attributes:
        path: The file.
        exchanges: The exchanges, in the order of the responses.
    """

    path: Path
    exchanges: tuple[TapedExchange, ...] = field(repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tape:
        """Read a tape.

        Raises:
            ValueError: The file is not a tape of this version, or a line is damaged. The message names the line.
            OSError: The file cannot be read.
        """
        file = Path(path)
        exchanges = tuple(_exchanges(file))
        if not exchanges:
            raise ValueError(f"The tape {str(file)!r} is empty. Record some calls with Recorder({str(file)!r}) first.")
        return cls(file, exchanges)

    @property
    def organization_uid(self) -> str | None:
        """UID of the first organization that a request or a response names; None if there is none."""
        for exchange in self.exchanges:
            for name in _ORGANIZATION_HEADERS:
                if named := exchange.request_headers.get(name):
                    return named
            if named := _organization(exchange.body.get("json")):
                return named
        return None


def _organization(document: object) -> str | None:
    """Return the first ``organizationUid`` in a document."""
    if (members := as_object(document)) is not None:
        named = members.get("organizationUid")
        if isinstance(named, str) and named:
            return named
        return next((found for one in members.values() if (found := _organization(one))), None)
    return next((found for one in as_list(document) or () if (found := _organization(one))), None)


def _exchanges(file: Path) -> Iterator[TapedExchange]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield _exchange(number, line)
            except _Damage as damage:
                raise ValueError(f"Line {number} of the tape {str(file)!r} {damage}") from None


class _Damage(Exception):
    """The reason why a line cannot be read."""


def _exchange(number: int, line: bytes) -> TapedExchange:
    try:
        document = as_object(json.loads(line))
    except (ValueError, RecursionError):
        cause = "" if line.endswith(b"\n") else " The end of the line is missing."
        raise _Damage(f"is not valid JSON.{cause} Restore the line or delete it.") from None
    if document is None or "tape" not in document:
        raise _Damage("is not an exchange that a Recorder has written. Check that the file is a tape.")
    version = document["tape"]
    if version != FORMAT:
        raise _Damage(
            f"has format {version!r}, and this version of the SDK reads format {FORMAT}. Record the tape again, or "
            "read it with the version that recorded it."
        )
    request = _object(document, "request")
    answer = _object(document, "answer") if "answer" in document else None
    failure = document.get("failure")
    if answer is None and not isinstance(failure, str):
        raise _Damage("is damaged: it has no 'answer' and no 'failure'.")
    return TapedExchange(
        line=number,
        at=_text(document, "at"),
        seconds=_number(document, "seconds"),
        operation=_text(request, "operation") if "operation" in request else "",
        method=_text(request, "method"),
        path=_text(request, "path"),
        query=_query(request),
        request_headers=_headers(request),
        request_body=_body(request),
        status=None if answer is None else _status(answer),
        headers={} if answer is None else _headers(answer),
        body={} if answer is None else _body(answer),
        failure=failure if isinstance(failure, str) else None,
    )


def _object(document: Mapping[str, object], name: str) -> dict[str, object]:
    found = as_object(document.get(name))
    if found is None:
        raise _Damage(f"is damaged: {name!r} is not an object.")
    return found


def _text(document: Mapping[str, object], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str):
        raise _Damage(f"is damaged: {name!r} is not a string.")
    return found


def _number(document: Mapping[str, object], name: str) -> float:
    found = document.get(name)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise _Damage(f"is damaged: {name!r} is not a number.")
    return found


def _status(answer: Mapping[str, object]) -> int:
    found = answer.get("status")
    if isinstance(found, bool) or not isinstance(found, int) or not 200 <= found <= 599:
        raise _Damage(f"is damaged: 'status' is {found!r}, but must be a status from 200 to 599.")
    return found


def _headers(document: Mapping[str, object]) -> dict[str, str]:
    found = _object(document, "headers")
    for name, value in found.items():
        if not isinstance(value, str) or not name.isascii() or "\n" in value or "\r" in value:
            raise _Damage(f"is damaged: the header {name!r} is not a string of one line.")
    return cast("dict[str, str]", found)


def _query(request: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for pair in _list(request, "query"):
        match as_list(pair):
            case [str(name), str(value)]:
                pairs.append((name, value))
            case _:
                raise _Damage("is damaged: 'query' is not a list of pairs of strings.")
    return tuple(pairs)


def _body(document: Mapping[str, object]) -> Body:
    body = {name: document[name] for name in _BODIES if name in document}
    if len(body) > 1:
        raise _Damage(f"is damaged: it has several bodies, {' and '.join(body)}.")
    if "text" in body:
        _text(body, "text")
    if "events" in body and not all(isinstance(event, str) for event in _list(body, "events")):
        raise _Damage("is damaged: 'events' is not a list of strings.")
    return body


def _list(document: Mapping[str, object], name: str) -> list[object]:
    found = as_list(document.get(name))
    if found is None:
        raise _Damage(f"is damaged: {name!r} is not a list.")
    return found
