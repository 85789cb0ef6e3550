"""What an observer sees of requests: attach a metric, a tracer or a progress display without touching the pipeline.

Every method is called on the client's event loop, must return at once and must not raise; the events hold no secret.
"""

from __future__ import annotations

import attrs

__all__ = ["BudgetWait", "Hooks", "RequestFinished", "RequestRetried", "RequestStarted"]


@attrs.frozen
class RequestStarted:
    """A call enters the pipeline.

    Attributes:
        request_id: The client's id of the call.
        operation: Name of the operation.
        method: HTTP method.
        path: Path, without host and query.
    """

    request_id: str
    operation: str
    method: str
    path: str


@attrs.frozen
class BudgetWait:
    """An attempt has waited for the organization's budget.

    Attributes:
        request_id: The client's id of the call.
        operation: Name of the operation.
        waited: Seconds that it waited.
    """

    request_id: str
    operation: str
    waited: float


@attrs.frozen
class RequestRetried:
    """An attempt failed and the request will be sent again.

    Attributes:
        request_id: The client's id of the call.
        operation: Name of the operation.
        attempt: Which attempt failed, from 1.
        delay: Seconds until the next one.
        reason: Why it failed, in a word.
    """

    request_id: str
    operation: str
    attempt: int
    delay: float
    reason: str


@attrs.frozen
class RequestFinished:
    """A call leaves the pipeline.

    Attributes:
        request_id: The client's id of the call.
        operation: Name of the operation.
        status: Last HTTP status; None if there was no answer.
        attempts: How often the request was sent.
        seconds: How long it took, waits included.
        error: Name of the error that it ends in; None for success.
    """

    request_id: str
    operation: str
    status: int | None
    attempts: int
    seconds: float
    error: str | None


class Hooks:
    """Base of observers: override what you want to see."""

    def request_started(self, event: RequestStarted) -> None:
        """A call enters the pipeline."""

    def waited_for_budget(self, event: BudgetWait) -> None:
        """An attempt has waited for the organization's budget."""

    def request_retried(self, event: RequestRetried) -> None:
        """An attempt failed and the request will be sent again."""

    def request_finished(self, event: RequestFinished) -> None:
        """A call leaves the pipeline."""
