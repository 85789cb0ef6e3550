"""What came back for the calls of a block of code: status, headers and request id of each answer, successes too.

The record follows the context of the code, as `contextvars` does: into tasks that the block starts, and into
launch_sync's event loop.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from typing import Final

import attrs

from launch_async.http.base import Request, Response

__all__ = ["ReceivedResponse", "record_responses"]

REQUEST_ID_HEADERS: Final = ("x-request-id", "x-runtime-id", "request-id")
_HIDDEN_HEADERS: Final = r"cookie|auth|token|secret|key|signature|credential|location|link|refresh"


@attrs.frozen
class ReceivedResponse:
    """One answer that came back; its body is in what the call returns or raises.

    Attributes:
        operation: Name of the operation.
        method: HTTP method.
        status: HTTP status.
        headers: Headers by their lower-case names; those that may hold a secret are left out, such as cookies,
            locations and whatever is named like a token.
        request_id: The id that the service gave to the request; None if it gave none.
        seconds: How long the exchange took.
    """

    operation: str
    method: str
    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    request_id: str | None
    seconds: float


_RECORDS: Final[ContextVar[tuple[list[ReceivedResponse], ...]]] = ContextVar("launch_async_records", default=())


@contextlib.contextmanager
def record_responses() -> Generator[list[ReceivedResponse]]:
    """Record every answer to what the code in the block sends, retries included, in the order of arrival.

    It works for every call of both packages: methods, pagers, workflows, uploads and logging in. Waits for one
    deployment share their polls: these are in the record of the block that began first.
    """
    record: list[ReceivedResponse] = []
    token = _RECORDS.set((*_RECORDS.get(), record))
    try:
        yield record
    finally:
        _RECORDS.reset(token)


def received(request: Request, response: Response, seconds: float) -> None:
    """Put an answer into the records in force."""
    records = _RECORDS.get()
    if not records:
        return
    headers = {name.lower(): value for name, value in response.headers.items()}
    shown = {name: value for name, value in headers.items() if not re.search(_HIDDEN_HEADERS, name)}
    one = ReceivedResponse(request.operation, request.method, response.status, shown, request_id_of(response), seconds)
    for record in records:
        record.append(one)


def request_id_of(response: Response) -> str | None:
    """Return the id that the service gave to a request."""
    return next((value for name in REQUEST_ID_HEADERS if (value := response.header(name))), None)
