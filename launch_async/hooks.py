"""What an observer sees of requests: attach a metric, a tracer or a progress display without touching the pipeline.

Every method is called on the client's event loop and must return at once; the events hold no secret. What a method
raises is logged, once for each method, and never changes what becomes of the request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

import attrs

__all__ = ["BudgetWait", "Hooks", "RequestFinished", "RequestRetried", "RequestStarted"]

E = TypeVar("E")

_LOG: Final = logging.getLogger(__name__)


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


def guarded(hooks: Hooks) -> Hooks:
    """Return an observer that hands everything on to another one, and logs what that raises."""
    return hooks if isinstance(hooks, _Guarded) else _Guarded(hooks)


class _Guarded(Hooks):
    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._failed: set[str] = set()

    def request_started(self, event: RequestStarted) -> None:
        self._hand_on("request_started", self._hooks.request_started, event)

    def waited_for_budget(self, event: BudgetWait) -> None:
        self._hand_on("waited_for_budget", self._hooks.waited_for_budget, event)

    def request_retried(self, event: RequestRetried) -> None:
        self._hand_on("request_retried", self._hooks.request_retried, event)

    def request_finished(self, event: RequestFinished) -> None:
        self._hand_on("request_finished", self._hooks.request_finished, event)

    def _hand_on(self, name: str, method: Callable[[E], object], event: E) -> None:
        try:
            method(event)
        except Exception:
            if name not in self._failed:
                self._failed.add(name)
                _LOG.exception("hooks.%s failed, and is called again for the next event; the request goes on", name)
