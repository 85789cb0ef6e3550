"""A transport for tests that sends nothing and stores every request."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from launch_async.errors import ConfigurationError
from launch_async.http.base import Request, Response, ResponseLike
from launch_async.models.base import JSONValue

__all__ = ["FakeAnswer", "FakeHandler", "FakeTransport"]

FakeAnswer: TypeAlias = "ResponseLike | JSONValue | BaseException"
"""An answer of a `FakeTransport`: a response, a JSON document (status 200), or an error to raise."""

FakeHandler: TypeAlias = "Callable[[Request], FakeAnswer | Awaitable[FakeAnswer]]"
"""A function that returns the answer to a request. It may be a coroutine function."""


class FakeTransport:
    """A transport for tests. Use it as `LaunchClient(transport=FakeTransport(...))` in both packages.

    Args:
        answers: One answer for each request, in order. All further requests get the last answer. An answer is a
            response, a JSON document, an error to raise, or a function that takes the request and returns one of these.
            Without answers, every request raises an error.

    Attributes:
        requests: The requests so far.
        closed: Number of times that the transport was closed.
    """

    def __init__(self, *answers: FakeAnswer | FakeHandler) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []
        self.closed: int = 0

    async def send(self, request: Request) -> ResponseLike:
        """Store the request and return the next answer.

        Raises:
            ConfigurationError: The transport has no answers.
        """
        self.requests.append(request)
        if not self._answers:
            raise ConfigurationError(
                f"FakeTransport has no answer for {request.operation}. Pass answers, as in FakeTransport(Response(200))"
            )
        step = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        answer = await _called(step, request) if callable(step) else step
        if isinstance(answer, BaseException):
            raise answer
        if answer is None or isinstance(answer, (str, bool, int, float, list, dict)):
            return Response(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())
        return answer

    async def close(self) -> None:
        """Count the call in `closed`."""
        self.closed += 1


async def _called(handler: FakeHandler, request: Request) -> FakeAnswer:
    answer = handler(request)
    return await answer if isinstance(answer, Awaitable) else answer
