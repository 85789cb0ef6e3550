"""Observers of requests, for metrics, traces or progress output.

The client calls every method on its event loop, and the method must return immediately. The events contain no secrets.
If a method raises an exception, the client logs the first exception of this method and continues with the request.
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
    """A call starts.

    Attributes:
        request_id: Id of the call, which the client chose.
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
    """An attempt has waited for the rate limit.

    Attributes:
        request_id: Id of the call, which the client chose.
        operation: Name of the operation.
        waited: Seconds that the attempt waited.
    """

    request_id: str
    operation: str
    waited: float


@attrs.frozen
class RequestRetried:
    """An attempt has failed, and the client will send the request again.

    Attributes:
        request_id: Id of the call, which the client chose.
        operation: Name of the operation.
        attempt: Number of the failed attempt, from 1.
        delay: Seconds until the next attempt.
        reason: Reason for the failure, as the name of an error.
    """

    request_id: str
    operation: str
    attempt: int
    delay: float
    reason: str


@attrs.frozen
class RequestFinished:
    """A call has ended.

    Attributes:
        request_id: Id of the call, which the client chose.
        operation: Name of the operation.
        status: Last HTTP status; None if there was no response.
        attempts: Number of times that the client sent the request.
        seconds: Duration of the call, including waits.
        error: Name of the error that the call raised; None for success.
    """

    request_id: str
    operation: str
    status: int | None
    attempts: int
    seconds: float
    error: str | None


class Hooks:
    """Base class of observers. Override the methods for the events that you need."""

    def request_started(self, event: RequestStarted) -> None:
        """Called when a call starts."""

    def waited_for_budget(self, event: BudgetWait) -> None:
        """Called when an attempt has waited for the rate limit."""

    def request_retried(self, event: RequestRetried) -> None:
        """Called when an attempt has failed and the client will send the request again."""

    def request_finished(self, event: RequestFinished) -> None:
        """Called when a call has ended."""


def guarded(hooks: Hooks) -> Hooks:
    """Return an observer that calls another observer and logs its exceptions."""
    return hooks if isinstance(hooks, _Guarded) else _Guarded(hooks)


class _Guarded(Hooks):
    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._failed: set[str] = set()

    def request_started(self, event: RequestStarted) -> None:
        self._pass_on("request_started", self._hooks.request_started, event)

    def waited_for_budget(self, event: BudgetWait) -> None:
        self._pass_on("waited_for_budget", self._hooks.waited_for_budget, event)

    def request_retried(self, event: RequestRetried) -> None:
        self._pass_on("request_retried", self._hooks.request_retried, event)

    def request_finished(self, event: RequestFinished) -> None:
        self._pass_on("request_finished", self._hooks.request_finished, event)

    def _pass_on(self, name: str, method: Callable[[E], object], event: E) -> None:
        try:
            method(event)
        except Exception:
            if name not in self._failed:
                self._failed.add(name)
                _LOG.exception(
                    "hooks.%s raised an exception. The request continues, and the next event calls the method again",
                    name,
                )
