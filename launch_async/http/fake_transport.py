"""A transport for tests: it answers by itself, sends nothing, and keeps every request."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from launch_async.errors import ConfigurationError
from launch_async.http.base import Request, Response, ResponseLike
from launch_async.models.base import JSONValue

__all__ = ["FakeAnswer", "FakeHandler", "FakeTransport"]

FakeAnswer: TypeAlias = "ResponseLike | JSONValue | BaseException"
"""What a `FakeTransport` answers with: a response, a JSON document (status 200), or an error that is raised."""

FakeHandler: TypeAlias = "Callable[[Request], FakeAnswer | Awaitable[FakeAnswer]]"
"""A function that answers a request, asynchronous or not."""


class FakeTransport:
    """A transport for tests, as `LaunchClient(transport=FakeTransport(...))` in both packages.

    Args:
        answers: One for each request, in this order; the last one answers all further requests, too. Each is a
            response, a JSON document, an error to raise, or a function of the request that returns one of these.
            Without any, nothing may be sent.

    Attributes:
        requests: The requests that were sent so far.
        closed: How often it was closed.
    """

    def __init__(self, *answers: FakeAnswer | FakeHandler) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []
        self.closed: int = 0

    async def send(self, request: Request) -> ResponseLike:
        """Keep a request, and answer it.

        Raises:
            ConfigurationError: The transport was made without an answer.
        """
        self.requests.append(request)
        if not self._answers:
            raise ConfigurationError(f"{request.operation} was sent to a FakeTransport without an answer")
        step = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        answer = await _called(step, request) if callable(step) else step
        if isinstance(answer, BaseException):
            raise answer
        if answer is None or isinstance(answer, (str, bool, int, float, list, dict)):
            return Response(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())
        return answer

    async def close(self) -> None:
        """Count that it was closed."""
        self.closed += 1


async def _called(handler: FakeHandler, request: Request) -> FakeAnswer:
    answer = handler(request)
    return await answer if isinstance(answer, Awaitable) else answer
