"""The parts that `record_responses` records of a response."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

__all__ = ["ReceivedResponse"]


@attrs.frozen
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
