"""Records of the responses to the calls of a code block: status, headers and request id.

The record uses `contextvars`, so it includes the tasks that the block starts, and the event loop of launch_sync.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from launch_async.http.base import Request, Response

if TYPE_CHECKING:
    from launch_async.http.received_response import ReceivedResponse

__all__ = ["record_responses"]

REQUEST_ID_HEADERS: Final = ("x-request-id", "x-runtime-id", "request-id")
_HIDDEN_HEADERS: Final = r"cookie|auth|token|secret|key|signature|credential|location|link|refresh"

_RECORDS: Final[ContextVar[tuple[list[ReceivedResponse], ...]]] = ContextVar("launch_async_records", default=())


@contextlib.contextmanager
def record_responses() -> Generator[list[ReceivedResponse]]:
    """Record every response to the requests of the block, including retries, in the order of arrival.

    The record contains the responses to methods, pagers, workflows, uploads and logins, in both packages. All waits for
    the same deployment share their polls. The block that started to wait first records these polls.
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
    from launch_async.http.received_response import ReceivedResponse

    headers = {name.lower(): value for name, value in response.headers.items()}
    shown = {name: value for name, value in headers.items() if not re.search(_HIDDEN_HEADERS, name)}
    entry = ReceivedResponse(
        request.operation, request.method, response.status, shown, request_id_of(response), seconds
    )
    for record in records:
        record.append(entry)


def request_id_of(response: Response) -> str | None:
    """Return the request id that the service sent; None if it sent none."""
    return next((value for name in REQUEST_ID_HEADERS if (value := response.header(name))), None)
