"""What the tests of the core share: a scripted transport, a loop whose time only jumps, and the usual client."""

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
    """A JSON answer; without a document it has no body."""
    return Response(status, headers or {}, b"" if document is None else json.dumps(document).encode())


class FakeTransport(http.FakeTransport):
    """Also keeps when each request was sent."""

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
    """A client without a budget that talks to a scripted transport."""
    settings: dict[str, Any] = {
        "credentials": Authtoken(TOKEN),
        "organization_uid": ORGANIZATION,
        "limiter": UnlimitedRateLimiter(),
        **options,
    }
    return LaunchClient(transport=transport, **settings)


def repeat_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls to the hosts that issue tokens be repeated without a delay."""
    policy = RetryPolicy(attempts=3, refusals=3, backoff_base=1e-9)
    monkeypatch.setattr("launch_async.auth.auth_request._RETRY", policy)


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting it moves the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "every task waits for something that will never happen"
            self.now += max(0.0, timeout)
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on a loop whose time passes only while everybody sleeps, and then at once."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
