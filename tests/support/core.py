"""A scripted transport, an event loop in virtual time, and the usual client."""

from __future__ import annotations

import asyncio
import functools
import json
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ParamSpec

import pytest

from launch_async import Authtoken, LaunchClient, RetryPolicy, http
from launch_async.http import FakeAnswer, FakeHandler, Request, Response, ResponseLike
from launch_async.rate_limit import UnlimitedRateLimiter

PROJECT = "66c0ffee00000000000000a1"
ENVIRONMENT = "66c0ffee00000000000000b1"
DEPLOYMENT = "66c0ffee00000000000000c1"
UPLOAD = "66c0ffee00000000000000d1"
ORGANIZATION = "blt0123456789abcdef"
TOKEN = "token-that-nobody-may-see"
GIT: dict[str, Any] = {
    "repository_name": "acme/storefront",
    "username": "acme",
    "repository_url": "https://github.com/acme/storefront",
    "git_branch": "main",
}

P = ParamSpec("P")


def answer(status: int = 200, document: object = None, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer. Without a document the answer has no body."""
    return Response(status, headers or {}, b"" if document is None else json.dumps(document).encode())


class FakeTransport(http.FakeTransport):
    """A fake transport that also records the time of each request."""

    def __init__(self, *answers: FakeAnswer | FakeHandler) -> None:
        super().__init__(*answers)
        self.times: list[float] = []

    async def send(self, request: Request) -> ResponseLike:
        self.times.append(asyncio.get_running_loop().time())
        return await super().send(request)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.body) for request in self.requests if isinstance(request.body, bytes)]


def client_on(transport: FakeTransport, **options: Any) -> LaunchClient:
    """Return a client that has no rate limit and sends to a scripted transport."""
    settings: dict[str, Any] = {
        "credentials": Authtoken(TOKEN),
        "organization_uid": ORGANIZATION,
        "limiter": UnlimitedRateLimiter(),
        **options,
    }
    return LaunchClient(transport=transport, **settings)


def retry_without_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry requests for tokens without a delay."""
    policy = RetryPolicy(attempts=3, refusals=3, backoff_base=1e-9)
    monkeypatch.setattr("launch_async.auth.auth_request._RETRY", policy)


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that moves the clock instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "all tasks wait, and no timer is left"
            self.now += max(0.0, timeout)
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(self, *_: Any) -> Any:
        """Fail, because the clock would jump to the next timer while the thread works."""
        raise AssertionError("a test in virtual time must not use a thread")


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in virtual time: when all tasks wait, the clock jumps to the next timer."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
