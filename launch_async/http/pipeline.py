"""The one way of every request: deadline -> log -> retry( auth -> rate limit -> user middleware -> one exchange ).

Decoding comes after, outside the retries, so that an unexpected body never sends a request twice. The deadline holds
for the whole call, waits for the budget and retries included.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import logging
import math
import os
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Final, NoReturn, TypeVar
from urllib.parse import urlencode

import attrs
from multidict import CIMultiDict, CIMultiDictProxy, istr

from launch_async.errors import (
    APIError,
    ConfigurationError,
    ConnectError,
    DeadlineExceeded,
    GitProviderError,
    LaunchError,
    MissingScopeError,
    NotFoundError,
    RateLimitError,
    TransportError,
    UnauthorizedError,
)
from launch_async.hooks import BudgetWait, Hooks, RequestFinished, RequestRetried, RequestStarted
from launch_async.http.base import Middleware, Request, Response, Send, Transport
from launch_async.http.credentials import Credentials
from launch_async.http.deadlines import Deadline, Deadlines, Watch
from launch_async.http.metering import METERS, Meter
from launch_async.http.operation import Operation
from launch_async.http.retry import RetryPolicy
from launch_async.http.service_clock import ServiceClock
from launch_async.models.base import JSONValue, Unset
from launch_async.rate_limit.types import Answer, Permit, Priority, RateLimiter
from launch_async.wire.error_bodies import error_from_answer
from launch_async.wire.header_values import parse_number, parse_reset, parse_retry_after
from launch_async.wire.json_body import dump_json

__all__ = ["Call", "Pipeline"]

_LOG: Final = logging.getLogger("launch_async.pipeline")
_REQUEST_ID_HEADERS: Final = ("x-request-id", "x-runtime-id", "request-id")
_AMBIGUOUS_STATUSES: Final = frozenset({408, 502, 503, 504})
_MOVED_STATUSES: Final = frozenset({301, 307, 308})
"""Do it elsewhere: it was not done here. A 302 or 303 may also show where to look at what was done."""
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
# Two that every answer is asked for: aiohttp's headers need not make these lower-case each time.
_LIMIT: Final = istr("X-RateLimit-Limit")
_REMAINING: Final = istr("X-RateLimit-Remaining")
_RESET: Final = istr("X-RateLimit-Reset")
_CLOCK_INTERVAL: Final = 0.01
"""Seconds between two looks at the service's clock: those of a burst would tell the same."""

T = TypeVar("T")


@attrs.define
class Call:
    """One call of an operation.

    Attributes:
        operation: What is called.
        path: Rendered path.
        query: Query parameters; None values are left out.
        body: JSON body; None for no body.
        secrets: Values of the body that no text may repeat.
        timeout: Seconds for the whole call; None for the client's default.
        reclassify: Looks again at an error answer before it is decided whether to send again; it may ask the service.
        user_only: Whether this variant of the operation needs a user's token.
    """

    operation: Operation
    path: str = attrs.field(repr=False)
    query: Mapping[str, str | int | None] = MappingProxyType({})
    body: JSONValue = attrs.field(default=None, repr=False)
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    timeout: float | None = None
    reclassify: Callable[[APIError], Awaitable[LaunchError]] | None = attrs.field(default=None, repr=False)
    user_only: bool = False

    @property
    def changes_something(self) -> bool:
        """Whether the call may have an effect, so that a lost answer leaves its outcome unknown."""
        return self.operation.method not in _SAFE_METHODS

    @property
    def shown_path(self) -> str:
        """The path as it may be shown: a deploy hook's path is its secret."""
        return self.path if self.operation.authenticated else self.operation.path


class CallState(Deadline):
    """One call under way: how far it is, when it must end, and what the error that it may end in says of it.

    Args:
        call: The call.
        watch: Who watches its deadline.
        seconds: How long it is from now.

    Attributes:
        call: The call.
        attempts: How often it was sent.
        tries: Attempts that were not refused with 429, which are counted as `refusals`.
        status: Of the last answer.
        in_flight: Whether an answer is outstanding.
        refreshed: Whether its credentials were renewed.
        maybe_done: Whether an earlier attempt may have been acted on although its answer was lost.
    """

    attempts: int = 0
    tries: int = 0
    refusals: int = 0
    status: int | None = None
    in_flight: bool = False
    refreshed: bool = False
    maybe_done: bool = False

    def __init__(self, call: Call, watch: Watch, seconds: float) -> None:
        super().__init__(watch, seconds)
        self.call = call
        self._seconds = seconds
        self._number = next(_NUMBERS)

    @property
    def request_id(self) -> str:
        """The client's own id of the call: unique in logs, and never sent."""
        return f"{_PROCESS}-{self._number}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and not self.expired:
            self.leave()
            return
        operation = self.call.operation.name
        try:
            super().__exit__(kind, error, traceback)
        except TimeoutError:
            raise DeadlineExceeded(
                f"{operation} did not end within its timeout of {self._seconds:g} s, "
                f"{'an answer was outstanding' if self.in_flight else 'waiting for its next attempt'}",
                operation=operation,
                request_id=self.request_id,
                attempts=self.attempts,
                ambiguous=self.call.changes_something and (self.maybe_done or self.in_flight),
            ) from None
        if isinstance(error, LaunchError):
            error.operation = error.operation or operation
            error.request_id = error.request_id or self.request_id
            if error.operation == operation:  # one of the token endpoint's has counted its own
                error.attempts = self.attempts
            # Whatever it ends in: what an earlier attempt may have done, it may have done.
            error.ambiguous |= self.call.changes_something and self.maybe_done


class Pipeline:
    """Sends calls of one client; everything that they share is here.

    Args:
        base_url: Scheme, host and path prefix, without a slash at the end.
        credentials: What authenticates requests; None allows only operations that need none.
        organization_uid: The organization; sent when known (FACTS §11 row 12).
        limiter_for: Returns the budget of an organization, or of credentials whose organization is not known.
        retry: What may be sent again.
        transport: Performs one exchange.
        timeout: Seconds for a whole call.
        attempt_timeout: Seconds for one exchange; None for no limit but the call's.
        hooks: An observer.
        middleware: The user's own middleware, the outermost first.
        user_agent: Value of the User-Agent header.
        region_hint: Says, given the region that issued the token if that is known, what to do about a refused token.
    """

    def __init__(
        self,
        *,
        base_url: str,
        credentials: Credentials | None,
        organization_uid: str | None,
        limiter_for: Callable[[str], RateLimiter],
        retry: RetryPolicy,
        transport: Transport,
        timeout: float,
        attempt_timeout: float | None,
        hooks: Hooks | None,
        middleware: Sequence[Middleware],
        user_agent: str,
        region_hint: Callable[[str | None], str],
    ) -> None:
        self.base_url = base_url
        self.clock: ServiceClock = ServiceClock()
        self._limiter_for = limiter_for
        self._credentials = credentials
        self._organization_uid = organization_uid
        self.retry = retry
        self._transport = transport
        self.timeout = timeout
        self._attempt_timeout = attempt_timeout
        self._hooks = hooks
        self._layers = middleware
        self._user_agent = user_agent
        self._region_hint = region_hint
        self._send = _composed(middleware, transport.send)
        self._random = random.Random()  # noqa: S311 - it spreads delays
        self._refreshing: asyncio.Task[bool] | None = None
        self._deadlines = Deadlines()
        self._budget: tuple[str, RateLimiter] | None = None
        self._clock_read_at = -math.inf
        self._last_headers: tuple[object, Mapping[str, str]] = None, {}

    def derived(
        self,
        *,
        transport: Transport,
        retry: RetryPolicy | Unset,
        timeout: float | Unset,
        attempt_timeout: float | Unset | None,
        hooks: Hooks | Unset | None,
        middleware: Sequence[Middleware] | Unset,
    ) -> Pipeline:
        """Return a pipeline with other options and the same credentials and budget."""
        return Pipeline(
            base_url=self.base_url,
            credentials=self._credentials,
            organization_uid=self._organization_uid,
            limiter_for=self._limiter_for,
            retry=self.retry if isinstance(retry, Unset) else retry,
            transport=transport,
            timeout=self.timeout if isinstance(timeout, Unset) else timeout,
            attempt_timeout=self._attempt_timeout if isinstance(attempt_timeout, Unset) else attempt_timeout,
            hooks=self._hooks if isinstance(hooks, Unset) else hooks,
            middleware=self._layers if isinstance(middleware, Unset) else middleware,
            user_agent=self._user_agent,
            region_hint=self._region_hint,
        )

    def __reduce__(self) -> NoReturn:
        # Also met through what sends its calls here: projects, fleet, variables.
        raise TypeError(
            "a LaunchClient cannot be pickled or copied: it holds connections and credentials. Pickle what makes "
            "another one (region, organization_uid) and references such as DeploymentRef, and call from_env() or "
            "LaunchClient(...) in the other process; with_options() derives one in this process"
        )

    @property
    def organization_uid(self) -> str | None:
        """The organization, as far as it is known: given, or learnt from the credentials."""
        if self._organization_uid is not None or self._credentials is None:
            return self._organization_uid
        return self._credentials.organization_uid

    @property
    def limiter(self) -> RateLimiter:
        """The organization's budget."""
        owner = self.organization_uid or (self._credentials.identity if self._credentials is not None else "")
        if self._budget is None or self._budget[0] != owner:
            self._budget = owner, self._limiter_for(owner)
        return self._budget[1]

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()

    async def send_file(self, request: Request) -> Response:
        """Send a file to storage: no credentials, no budget, no retry (FACTS §3, §5)."""
        return await self._transport.send(request)

    def call(self, call: Call) -> Coroutine[object, object, Response]:
        """Send a call until it succeeds, fails for good, or its deadline comes; see `read`."""
        return self.read(call, _as_it_is)

    def read(self, call: Call, reader: Callable[[Response], T]) -> Coroutine[object, object, T]:
        """Send a call until it succeeds, fails for good, or its deadline comes, and read its answer.

        Raises:
            LaunchError: See `launch_async.errors`.
        """
        if call.operation.authenticated:
            self._check_credentials(call)
        one = CallState(
            call,
            self._deadlines.of(asyncio.get_running_loop()),
            self.timeout if call.timeout is None else call.timeout,
        )
        if self._hooks is None and not _LOG.isEnabledFor(logging.DEBUG):
            return self._sent(one, reader)
        return self._observed(one, reader)

    async def _observed(self, one: CallState, reader: Callable[[Response], T]) -> T:
        call, hooks, clock = one.call, self._hooks or Hooks(), asyncio.get_running_loop().time
        name = call.operation.name
        hooks.request_started(RequestStarted(one.request_id, name, call.operation.method, call.shown_path))
        started, failure = clock(), None
        try:
            return await self._sent(one, reader)
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            took = clock() - started
            _LOG.debug(
                "%s %s: %s after %.3f s",
                call.operation.method,
                name,
                failure or one.status,
                took,
                extra={
                    "operation": name,
                    "request_id": one.request_id,
                    "status": one.status,
                    "attempts": one.attempts,
                    "duration": took,
                },
            )
            hooks.request_finished(RequestFinished(one.request_id, name, one.status, one.attempts, took, failure))

    async def _sent(self, one: CallState, reader: Callable[[Response], T]) -> T:
        """Send until there is an answer to give; each turn is one attempt."""
        call, clock = one.call, asyncio.get_running_loop().time
        operation = call.operation
        with one:
            while True:
                credentials = self._credentials if operation.authenticated else None
                signed = None if credentials is None else await credentials.headers()
                request = self._request(call, signed, one)
                left = one.when - clock()
                if not left > 0:
                    raise DeadlineExceeded(f"no time is left to send {operation.name} in")
                permit = await self._permit(one, left) if operation.budgeted else None
                one.attempts += 1
                one.in_flight = True
                sent_at, began = clock(), time.time()
                try:
                    response = await self._send(request)
                except BaseException as error:
                    if permit is not None:
                        _settle_without_answer(permit, error, clock())
                    if not isinstance(error, LaunchError):
                        raise
                    one.maybe_done |= not isinstance(error, ConnectError) and error.status not in _MOVED_STATUSES
                    failure = error
                else:
                    if permit is not None:
                        permit.answered(_answer(response, clock()))
                    if abs(sent_at - self._clock_read_at) > _CLOCK_INTERVAL and self.clock.wants_more:
                        self._clock_read_at = sent_at
                        self.clock.observe(response.header("Date"), sent=began, received=time.time())
                    one.status = response.status
                    if 200 <= response.status < 300:
                        return reader(response)
                    refusal = self._refusal(one, request, response)
                    if refusal is None:
                        return reader(Response(204))
                    failure = refusal
                one.in_flight = False
                delay = await self._delay_after(failure, one, request)
                if delay:
                    await asyncio.sleep(delay)

    async def _permit(self, one: CallState, left: float) -> Permit:
        """Wait for the budget, and tell observers how long that took."""
        call, meters = one.call, METERS.get()
        priority = max((meter.priority for meter in meters), default=Priority.INTERACTIVE)
        permit = await self.limiter.acquire(call.operation, priority=priority, timeout=left)
        if meters or permit.waited:
            try:
                self._report_wait(one, meters, permit.waited)
            except BaseException:
                permit.release()
                raise
        return permit

    async def _delay_after(self, failure: LaunchError, one: CallState, request: Request) -> float:
        """Return the seconds after which a call may be sent again.

        Raises:
            LaunchError: It may not.
        """
        if one.call.reclassify is not None and isinstance(failure, APIError):
            failure = await one.call.reclassify(failure)
        one.tries += not isinstance(failure, RateLimitError)
        if await self._renewed(failure, one, request):
            return 0.0
        decision = self.retry.decide(
            failure,
            method=one.call.operation.method,
            sent=not isinstance(failure, ConnectError),
            attempt=one.tries,
            refusals=one.refusals,
            remaining=one.when - asyncio.get_running_loop().time(),
            random=self._random.random(),
        )
        if not decision.retry:
            raise failure
        self._report_retry(one, decision.delay, decision.reason)
        return decision.delay

    def _refusal(self, one: CallState, request: Request, response: Response) -> APIError | None:
        """Return the error that an answer means; None if it means that all is done."""
        if response.sends > 1:
            # aiohttp has sent it twice by itself: this answer is the second one's, and the first one's was lost.
            one.maybe_done = True
        failure = self._error(one, request, response)
        if isinstance(failure, NotFoundError) and one.call.operation.method == "DELETE" and one.maybe_done:
            # An earlier send has deleted it.
            return None
        one.refusals += response.status == 429
        one.maybe_done |= response.status in _AMBIGUOUS_STATUSES
        return failure

    def _error(self, one: CallState, request: Request, response: Response) -> APIError:
        service_id = next((value for name in _REQUEST_ID_HEADERS if (value := response.header(name))), None)
        tokens = [
            value.rpartition(" ")[2] for name, value in request.headers.items() if name.lower() in _SECRET_HEADERS
        ]
        return error_from_answer(
            response.status,
            response.body,
            operation=one.call.operation.name,
            secrets=(*tokens, *one.call.secrets),
            request_id=service_id or one.request_id,
            retry_after=parse_retry_after(response.header("Retry-After"), date=response.header("Date")),
            region_hint=self._region_hint(self._credentials.location if self._credentials else None),
        )

    def _check_credentials(self, call: Call) -> None:
        operation = call.operation
        if self._credentials is None:
            raise ConfigurationError(
                "no credentials: pass Authtoken(...) with organization_uid=..., AccessToken(...), AppCredentials(...) "
                "or OAuthCredentials(...), or use LaunchClient.from_env()",
                operation=operation.name,
            )
        if self._organization_uid is None and self._credentials.needs_organization:
            raise ConfigurationError(
                "organization_uid is missing: Launch refuses an authtoken without it (FACTS §3). "
                "Pass organization_uid='blt...' to the client",
                operation=operation.name,
            )
        if call.user_only and self._credentials.kind == "app":
            raise MissingScopeError(
                f"{operation.name} from Git needs a user's token: an app (M2M) token cannot reach the Git account "
                "(FACTS §3). Use an Authtoken or a user's OAuth token, or the upload variant",
                operation=operation.name,
            )
        granted = self._credentials.scopes
        if granted is not None and operation.scopes and not granted & set(operation.scopes):
            raise MissingScopeError(
                f"{operation.name} needs the scope {' or '.join(operation.scopes)}, and the token has "
                f"{', '.join(sorted(granted)) or 'none'}. Issue one with more scopes",
                operation=operation.name,
            )

    def _request(self, call: Call, credentials: Mapping[str, str] | None, deadline: Deadline) -> Request:
        """Return the request of a call, with the credentials of this moment."""
        return Request(
            call.operation.method,
            self._url(call) if call.query else f"{self.base_url}{call.path}",
            self._headers(credentials, has_body=call.body is not None),
            None if call.body is None else dump_json(call.body),
            self._attempt_timeout,
            call.operation.name,
            # A layer may send in another task, which this deadline would not reach.
            None if self._layers else deadline,
        )

    def _headers(self, credentials: Mapping[str, str] | None, *, has_body: bool) -> Mapping[str, str]:
        """Return the headers of a request: those of the last one where nothing has changed, as a rule."""
        organization_uid = None if credentials is None else self.organization_uid
        key = credentials, organization_uid, has_body
        if key != self._last_headers[0]:
            headers = CIMultiDict({"Accept": "application/json", "User-Agent": self._user_agent, **(credentials or {})})
            if organization_uid is not None:
                headers["organization_uid"] = organization_uid
            if has_body:
                # Only with a body: a body-less DELETE that declares JSON is answered with 400 (FACTS §3).
                headers["Content-Type"] = "application/json"
            # A copy: credentials may give the same mapping with another token in it.
            copied = None if credentials is None else dict(credentials)
            self._last_headers = (copied, organization_uid, has_body), CIMultiDictProxy(headers)
        return self._last_headers[1]

    def _url(self, call: Call) -> str:
        query = {name: value for name, value in call.query.items() if value is not None}
        return f"{self.base_url}{call.path}{f'?{urlencode(query)}' if query else ''}"

    def _report_wait(self, one: CallState, meters: Sequence[Meter], waited: float) -> None:
        for meter in meters:
            if meter.before_send is not None:
                meter.before_send()
        for meter in meters:
            meter.requests += 1
            meter.waited += waited
        if self._hooks is not None and waited:
            self._hooks.waited_for_budget(BudgetWait(one.request_id, one.call.operation.name, waited))

    def _report_retry(self, one: CallState, delay: float, reason: str) -> None:
        _LOG.info(
            "%s will be sent again in %.2f s (%s)",
            one.call.operation.name,
            delay,
            reason,
            extra={"operation": one.call.operation.name, "request_id": one.request_id, "attempts": one.attempts},
        )
        if self._hooks is not None:
            self._hooks.request_retried(
                RequestRetried(one.request_id, one.call.operation.name, one.attempts, delay, reason)
            )

    async def _renewed(self, error: LaunchError, one: CallState, request: Request) -> bool:
        """Refresh refused credentials once per call, in one flight for all waiting calls (FACTS §9)."""
        refused = isinstance(error, UnauthorizedError) and not isinstance(error, GitProviderError)
        if not refused or one.refreshed or self._credentials is None:
            return False
        one.refreshed = True
        current = await self._credentials.headers()
        if any(request.headers.get(name) != value for name, value in current.items()):
            # Somebody has renewed them while this request was under way.
            return True
        if self._refreshing is None:
            self._refreshing = asyncio.ensure_future(self._refresh(self._credentials))
        try:
            return await asyncio.shield(self._refreshing)
        except LaunchError as error:
            # Each call notes in its error what became of it: they must not share one.
            raise copy.copy(error) from None

    async def _refresh(self, credentials: Credentials) -> bool:
        try:
            return await credentials.refresh()
        finally:
            self._refreshing = None


_SECRET_HEADERS: Final = frozenset({"authtoken", "authorization"})
_NUMBERS: Final = itertools.count(1)
_PROCESS: Final = os.urandom(4).hex()


def _as_it_is(response: Response) -> Response:
    return response


def _answer(response: Response, answered_at: float) -> Answer:
    """Return what a response tells the budget."""
    limit, remaining = response.header(_LIMIT), response.header(_REMAINING)
    if limit is remaining is None and response.status != 429:
        # By position: names cost as much again.
        return Answer(answered_at, False, False, response.sends)
    date = response.header("Date")
    return Answer(
        answered_at=answered_at,
        refused=response.status == 429,
        sends=response.sends,
        retry_after=parse_retry_after(response.header("Retry-After"), date=date),
        limit=parse_number(limit),
        remaining=parse_number(remaining),
        reset_after=parse_reset(response.header(_RESET), date=date),
    )


def _settle_without_answer(permit: Permit, error: BaseException, now: float) -> None:
    """Tell the budget of a request that ended in an error."""
    if isinstance(error, GeneratorExit):
        # The garbage collector runs this, perhaps inside a lock of the limiter's: the permit settles by itself.
        return
    if isinstance(error, ConnectError):
        permit.release()
    else:
        permit.answered(Answer(now, lost=True, sends=error.sends if isinstance(error, TransportError) else 1))


def _composed(middleware: Sequence[Middleware], send: Send) -> Send:
    for layer in reversed(middleware):
        send = _around(layer, send)
    return send


def _around(layer: Middleware, inner: Send) -> Send:
    async def send(request: Request) -> Response:
        return await layer(request, inner)

    return send
