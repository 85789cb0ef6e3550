"""Records of the responses to the calls of a code block: status, headers and request id.

The record uses `contextvars`, so it includes the tasks that the block starts, and the event loop of launch_sync.
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


@attrs.frozen(eq=False)
class ReceivedResponse:
    """One response without its body, which is in the result or the error of the call.

    Attributes:
        operation: Name of the operation.
        method: HTTP method.
        status: HTTP status.
        headers: Headers by their lower-case names, without headers that may contain a secret: cookies, locations, and
            names that contain a word such as token or key.
        request_id: Request id of the service; None if the service sent none.
        seconds: Duration of the attempt.
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
    """Record every response to the requests of the block, including retries, in the order of arrival.

    The record contains the responses of methods, pagers, workflows, uploads and logins of both packages. All waits for
    the same deployment share their polls. These polls are in the record of the block that started to wait first.
    """
    record: list[ReceivedResponse] = []
    token = _RECORDS.set((*_RECORDS.get(), record))
    try:
        yield record
    finally:
        _RECORDS.reset(token)


def received(request: Request, response: Response, seconds: float) -> None:
    """Add a response to the active records."""
    records = _RECORDS.get()
    if not records:
        return
    headers = {name.lower(): value for name, value in response.headers.items()}
    shown = {name: value for name, value in headers.items() if not re.search(_HIDDEN_HEADERS, name)}
    one = ReceivedResponse(request.operation, request.method, response.status, shown, request_id_of(response), seconds)
    for record in records:
        record.append(one)


def request_id_of(response: Response) -> str | None:
    """Return the request id that the service sent; None if it sent none."""
    return next((value for name in REQUEST_ID_HEADERS if (value := response.header(name))), None)
