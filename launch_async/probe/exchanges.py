"""Send the probe's requests with at most half of the rate limit, up to a fixed number, and store the raw answers.

A middleware stores each answer unchanged. The probe's verdicts depend on these answers and not on the SDK's models,
which accept more than one shape.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Final, TypeVar, cast

import attrs

from launch_async.client import LaunchClient
from launch_async.errors import ClosedError, ConfigurationError, LaunchError, MissingScopeError
from launch_async.http.base import Request, Response, Send
from launch_async.http.metering import Meter, metered
from launch_async.http.retry import RetryPolicy
from launch_async.models.base import JSONValue
from launch_async.rate_limit.types import Priority
from launch_async.wire.timestamps import parse_http_date

__all__ = ["Asker", "Exchange", "OutOfRequests", "as_list", "as_object"]

T = TypeVar("T")

LIVE_LOG_SECONDS: Final = 5.0
"""Seconds for which the probe reads a live log."""
_LIVE_LOG_BYTES: Final = 64 * 1024
_SILENCE_S: Final = 0.3
"""Seconds without a line after which the probe closes a live log that has announced its session."""
_REFUSALS: Final = 3
"""Maximum number of times that the probe sends a request that the service refuses with 429."""
_SLOWER_S: Final = 1.0
_SLOWEST_S: Final = 8.0
"""Seconds between two requests: after the first 429, and at most after further ones."""
_CREDENTIALS: Final = frozenset({"organization_uid"})
_KEPT_HEADERS: Final = frozenset({"content-type", "date", "retry-after", "allow"})


class OutOfRequests(LaunchError):
    """The probe has sent its maximum number of requests."""


@attrs.frozen
class Exchange:
    """One request of the probe and its answer.

    Attributes:
        method: HTTP method.
        path: Path below the base URL.
        status: HTTP status; None if there was no answer.
        headers: Headers of the answer that the probe reads, by their lower-case names.
        body: Body of the answer.
        failure: Name of the error's class if there was no answer; empty otherwise.
        is_bearer: Whether the request had a bearer token; None if it had no credentials.
    """

    method: str
    path: str
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    failure: str = ""
    is_bearer: bool | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status is between 200 and 299."""
        return self.status is not None and 200 <= self.status < 300

    @cached_property
    def document(self) -> JSONValue:
        """The JSON document; None if the body is empty or not JSON."""
        try:
            return cast("JSONValue", json.loads(self.body))
        except (ValueError, RecursionError):
            return None

    def member(self, name: str) -> JSONValue:
        """Return one member of the document; None if the document does not have it."""
        return as_object(self.document).get(name)

    @property
    def outcome(self) -> str:
        """The result in a few words, without the content of the answer."""
        if self.status is None:
            return f"no answer ({self.failure})"
        return f"status {self.status}"

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the errors in the answer, in any envelope."""
        found: list[str] = []
        for entry in as_list(self.member("errors")):
            coded = as_object(entry)
            for one in (coded, *map(as_object, coded.values())):
                code = one.get("code")
                if isinstance(code, str):
                    found.append(code)
        return tuple(found)


class Asker:
    """Sends the requests of one probe, one at a time.

    Args:
        client: The client that sends them.
        most: Maximum number of requests.
    """

    def __init__(self, client: LaunchClient, most: int) -> None:
        self.most: int = most
        self.spent: int = 0
        self.exchanges: list[Exchange] = []
        self._whole = client
        self._observed = client.with_options(
            middleware=(self._observe, _read_live_log, *client.middleware),
            retry=RetryPolicy(attempts=1, refusals=1),
        )
        self._change: Callable[[Request], Request] | None = None
        self._is_quiet = False
        self._last: Exchange | None = None
        self._next_at = 0.0
        self._least_gap = 0.0

    @property
    def client(self) -> LaunchClient:
        """A client whose requests count toward the maximum."""
        return self._observed

    @property
    def now(self) -> datetime:
        """The service's time from the latest answers, or this machine's time if no answer shows it."""
        return self.date or datetime.now(UTC)

    @property
    def date(self) -> datetime | None:
        """The service's time from the latest answer that shows it; None if no answer does."""
        found = (parse_http_date(exchange.headers.get("date")) for exchange in reversed(self.exchanges))
        return next((at for at in found if at is not None), None)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | None] = MappingProxyType({}),
        json: JSONValue = None,
        organization: str | None = None,
    ) -> Exchange:
        """Send a request and return the exchange. An error of the service is also an answer.

        Args:
            method: HTTP method.
            path: Path below the base URL.
            query: Query parameters.
            json: Body.
            organization: Another value for the header `organization_uid`; empty to omit the header.
        """
        if organization is not None:
            self._change, self._is_quiet = _with_organization(organization), True
        try:
            exchange = Exchange(method, path)
            for _ in range(_REFUSALS):
                exchange = await self.watch(
                    method, path, lambda: self._observed.request(method, path, query=query, json=json)
                )
                if exchange.status != 429:
                    break
            return exchange
        finally:
            self._change, self._is_quiet = None, False

    async def confirmed(self, path: str, query: Mapping[str, str | int | None] = MappingProxyType({})) -> Exchange:
        """Read a resource, and read it again after a 5xx, because a single failure of the service proves nothing."""
        first = await self.ask("GET", path, query=query)
        if first.status is None or first.status < 500:
            return first
        second = await self.ask("GET", path, query=query)
        return second if second.status != first.status else first

    async def openapi(self) -> Exchange:
        """Request the service's description of its API."""
        return await self.watch("GET", "/openapi", self._observed.openapi)

    async def watch(self, method: str, path: str, call: Callable[[], Awaitable[object]]) -> Exchange:
        """Make a call of the client, and return its last exchange."""
        self._last = None
        failure = ""
        try:
            await self.paced(call)
        except MissingScopeError:
            failure = MissingScopeError.__name__
        except (OutOfRequests, ConfigurationError, ClosedError):
            raise
        except LaunchError as error:
            failure = type(error).__name__
        return self._last or Exchange(method, path, failure=failure)

    async def paced(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call of the client as a poll, within half of the rate limit, and return its result.

        Raises:
            OutOfRequests: The probe has sent its maximum number of requests.
            LaunchError: The call failed.
        """
        await self._pause()
        with metered(Meter(priority=Priority.POLL)):
            return await call()

    async def _pause(self) -> None:
        """Leave half of the budget to other requests, even if the limiter would give all of it to polls."""
        loop = asyncio.get_running_loop()
        rate = self._whole.budget.rate
        gap = max(2 / rate if 0 < rate < math.inf else 0.0, self._least_gap)
        now = loop.time()
        if self._next_at > now:
            await asyncio.sleep(self._next_at - now)
        self._next_at = max(self._next_at, now) + gap

    async def _observe(self, request: Request, send: Send) -> Response:
        if self.spent >= self.most:
            raise OutOfRequests(f"the probe has sent its maximum of {self.most} requests")
        self.spent += 1
        if self._change is not None:
            request = self._change(request)
        path = f"/{request.url.split('://', 1)[-1].partition('/')[2]}".partition("?")[0]
        names = {name.lower() for name in request.headers}
        is_bearer = "authorization" in names if names & {"authorization", "authtoken"} else None
        try:
            response = await send(request)
        except LaunchError as error:
            self._last = Exchange(request.method, path, failure=type(error).__name__, is_bearer=is_bearer)
            self.exchanges.append(self._last)
            raise
        kept = {
            name.lower(): value
            for name, value in response.headers.items()
            if name.lower() in _KEPT_HEADERS or name.lower().startswith("x-ratelimit-")
        }
        self._last = Exchange(request.method, path, response.status, kept, response.body, is_bearer=is_bearer)
        self.exchanges.append(self._last)
        if response.status == 429:
            # Other programs use the budget, or the budget is smaller than the client assumes.
            self._least_gap = min(max(2 * self._least_gap, _SLOWER_S), _SLOWEST_S)
            self._next_at = asyncio.get_running_loop().time() + self._least_gap
        if self._is_quiet and response.status != 429:
            # A deliberate 401 must not make the client renew its credentials.
            return Response(204, response.headers)
        return response


def _with_organization(uid: str) -> Callable[[Request], Request]:
    def change(request: Request) -> Request:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _CREDENTIALS}
        return attrs.evolve(request, headers={**headers, "organization_uid": uid} if uid else headers)

    return change


async def _read_live_log(request: Request, send: Send) -> Response:
    """Read the beginning of a live log, which never ends."""
    if not request.url.partition("?")[0].endswith("/logs/live"):
        return await send(request)
    headers = {"Accept": "text/event-stream"}
    response = await send(attrs.evolve(request.with_headers(headers), streamed=True))
    stream = response.stream
    if stream is None:
        return response
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(LIVE_LOG_SECONDS):
            while sum(map(len, parts)) < _LIVE_LOG_BYTES:
                # The stream never ends. After the session and a heartbeat, only lines of the log can follow.
                begun = _has_begun(b"".join(parts))
                async with asyncio.timeout(_SILENCE_S if begun else None):
                    part = await stream.read()
                if not part:
                    break
                parts.append(part)
    except (TimeoutError, LaunchError):
        pass
    finally:
        stream.close()
    return attrs.evolve(response, body=b"".join(parts), stream=None)


def _has_begun(body: bytes) -> bool:
    """Return whether a live log has announced its session and sent a heartbeat."""
    has_heartbeat = body.startswith(b":") or any(mark in body for mark in (b"\n:", b"heartbeat", b"ping"))
    return has_heartbeat and b"session" in body and b"expiresAt" in body


def as_object(value: JSONValue) -> Mapping[str, JSONValue]:
    """Return the value if it is a JSON object, otherwise an empty object."""
    return value if isinstance(value, dict) else {}


def as_list(value: JSONValue) -> Sequence[JSONValue]:
    """Return the value if it is a JSON array, otherwise an empty array."""
    return value if isinstance(value, list) else ()
