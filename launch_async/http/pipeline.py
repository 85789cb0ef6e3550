"""The steps of every request: deadline -> log -> retry( auth -> rate limit -> user middleware -> one exchange ).

The decoding of the body is outside the retries, so that an unexpected body never causes a second request. The deadline
applies to the whole call, including retries and waits for the rate limit.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar
from urllib.parse import urlencode

import attrs

from launch_async.errors import (
    APIError,
    ClosedError,
    ConfigurationError,
    ConnectError,
    DeadlineExceeded,
    GitProviderError,
    LaunchError,
    MissingScopeError,
    NotFoundError,
    TransportError,
    UnauthorizedError,
)
from launch_async.http.base import Middleware, Request, Response, Send, Transport, finder, sender, was_unsent
from launch_async.http.call_state import CallState, noting
from launch_async.http.credentials import Credentials, check_organization
from launch_async.http.metering import METERS, Meter
from launch_async.http.operation import Operation
from launch_async.http.recording import received
from launch_async.http.retry import IDEMPOTENT, Decision, RetryPolicy
from launch_async.http.service_clock import CHANGING, ServiceClock, note_change
from launch_async.models.base import JSONValue, Unset
from launch_async.rate_limit.ownership import Ownership
from launch_async.rate_limit.types import Answer, Permit, Priority, RateLimiter
from launch_async.wire.header_values import parse_number, parse_reset, parse_retry_after
from launch_async.wire.json_body import dump_json

if TYPE_CHECKING:
    from launch_async.hooks import Hooks

__all__ = ["Call", "Pipeline"]

_LOG: Final = logging.getLogger(__name__)
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_SECRET_HEADERS: Final = frozenset({"authtoken", "authorization"})

T = TypeVar("T")

COLLECTED: Final = 8
"""Factor by which a response that is collected in parts, such as a log, may exceed `response_limit`."""


@attrs.define(eq=False, repr=False)
class Call:
    """One call of an operation.

    Attributes:
        operation: The operation.
        path: The path with its UIDs filled in.
        query: Query parameters. Parameters with the value None are not sent.
        headers: Headers of this operation, in addition to the headers of every call.
        body: JSON body; None for no body.
        secrets: Values of the body that must not appear in errors and logs.
        timeout: Seconds for the whole call; None for the client's default.
        reclassify: Checks an error response before the retry policy decides, and returns the final error. It may send
            requests.
        user_only: Whether this variant of the operation needs a user's token.
        collect: Called before each attempt. It returns a function that receives the parts of a successful response's
            body. The body may then be much longer than other bodies.
        streamed: Whether the caller reads the body of a successful response while it arrives; only for
            `Pipeline.stream`.
        attempt_timeout: Seconds for one exchange, if shorter than the timeout of the pipeline.
    """

    operation: Operation
    path: str
    query: Mapping[str, str | int | None] = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})
    body: JSONValue = None
    secrets: tuple[str, ...] = ()
    timeout: float | None = None
    reclassify: Callable[[APIError], Awaitable[LaunchError]] | None = None
    user_only: bool = False
    collect: Callable[[], Callable[[bytes], object]] | None = None
    streamed: bool = False
    attempt_timeout: float | None = None

    @property
    def shown_path(self) -> str:
        """The path for logs. For a deploy hook, this is the template, because the path contains the secret."""
        return self.path if self.operation.authenticated else self.operation.path


class Pipeline:
    """Sends the calls of one client, and contains the state that the calls share.

    Args:
        base_url: Scheme, host and path prefix, without a slash at the end.
        credentials: The credentials; None allows only operations that need no credentials.
        organization_uid: UID of the organization. Requests contain it if it is known.
        limiter_for: Returns the rate limiter of an organization, or of credentials whose organization is not known.
        retry: The retry policy.
        transport: Performs one exchange.
        timeout: Seconds for a whole call.
        attempt_timeout: Seconds for one exchange; None if only the timeout of the call applies.
        response_limit: Maximum size of the response to a call, in bytes.
        hooks: An observer.
        middleware: The user's middleware, the outermost first.
        user_agent: Value of the User-Agent header.
        region_hint: Returns the advice for a refused token, given the region that issued the token if it is known.
        parent: The pipeline from which this pipeline was derived. The parent owns the transport. Closing the parent
            also closes this pipeline.
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
        response_limit: int,
        hooks: Hooks | None,
        middleware: Sequence[Middleware],
        user_agent: str,
        region_hint: Callable[[str | None], str],
        parent: Pipeline | None = None,
    ) -> None:
        self.base_url = base_url
        self.clock: ServiceClock = ServiceClock()
        self._limiter_for = limiter_for
        self._credentials = credentials
        self._organization_uid = organization_uid
        self._budget = Ownership(
            limiter_for,
            lambda: self.organization_uid,
            service=base_url,
            identity=credentials.identity if credentials is not None else "",
        )
        self.retry = retry
        self._transport = transport
        self.timeout = timeout
        self._attempt_timeout = attempt_timeout
        self._response_limit = response_limit
        self._hooks = None if hooks is None else _guarded(hooks)
        self.middleware: Sequence[Middleware] = middleware
        self._user_agent = user_agent
        self._region_hint = region_hint
        self._parent = parent
        self._closed = False
        self._send = sender(transport, middleware, below=noting)
        self._send_file = sender(transport)
        self._sites: Transport | None = None
        self._refreshing: asyncio.Task[bool] | None = None

    def derived(
        self,
        *,
        retry: RetryPolicy | Unset,
        timeout: float | Unset,
        attempt_timeout: float | Unset | None,
        response_limit: int | Unset,
        hooks: Hooks | Unset | None,
        middleware: Sequence[Middleware] | Unset,
    ) -> Pipeline:
        """Return a pipeline with other options and the same transport, credentials and rate limit."""
        return Pipeline(
            base_url=self.base_url,
            credentials=self._credentials,
            organization_uid=self._organization_uid,
            limiter_for=self._limiter_for,
            retry=self.retry if isinstance(retry, Unset) else retry,
            transport=self._transport,
            timeout=self.timeout if isinstance(timeout, Unset) else timeout,
            attempt_timeout=self._attempt_timeout if isinstance(attempt_timeout, Unset) else attempt_timeout,
            response_limit=self._response_limit if isinstance(response_limit, Unset) else response_limit,
            hooks=self._hooks if isinstance(hooks, Unset) else hooks,
            middleware=self.middleware if isinstance(middleware, Unset) else middleware,
            user_agent=self._user_agent,
            region_hint=self._region_hint,
            parent=self,
        )

    def __reduce__(self) -> NoReturn:
        # Pickling an object that uses the pipeline, such as launch.projects or launch.fleet, also ends here.
        raise TypeError(
            "A LaunchClient cannot be pickled or copied, because it contains connections and credentials. Pickle its "
            "settings (region, organization_uid) and references such as DeploymentRef, and call from_env() or "
            "LaunchClient(...) in the other process. In the same process, with_options() derives another client"
        )

    @property
    def organization_uid(self) -> str | None:
        """UID of the organization, from the settings or from the credentials; None if it is not known."""
        if self._organization_uid is not None or self._credentials is None:
            return self._organization_uid
        return self._credentials.organization_uid

    @property
    def limiter(self) -> RateLimiter:
        """The rate limiter of the organization."""
        return self._budget.limiter

    @property
    def is_closed(self) -> bool:
        """Whether this pipeline, or a pipeline from which it was derived, was closed."""
        return self._closed or (self._parent is not None and self._parent.is_closed)

    async def close(self) -> None:
        """Refuse further requests, and close all connections unless the parent pipeline owns them."""
        if self._sites is not None and self._sites is not self._transport:
            await self._sites.close()
        if self._parent is None:
            await self._transport.close()
        self._closed = True

    async def send_file(self, request: Request) -> Response:
        """Send a file to storage, without credentials, rate limit and retries."""
        self._check_open()
        clock = asyncio.get_running_loop().time
        sent_at = clock()
        response = await self._send_file(request)
        received(request, response, clock() - sent_at)
        return response

    def to_sites(self) -> Send:
        """Return a function that sends a request to a deployed site.

        It uses no credentials, rate limit, retries or middleware. It uses separate connections if the transport offers
        them, as `AiohttpTransport` does. Such a transport returns redirects as responses.
        """
        self._check_open()
        if self._sites is None:
            separate: Callable[[], Transport] | None = getattr(self._transport, "for_sites", None)
            self._sites = self._transport if separate is None else separate()
        return sender(self._sites)

    def call(self, call: Call) -> Coroutine[object, object, Response]:
        """Send a call until it succeeds, fails permanently, or reaches its deadline; see `read`."""
        return self.read(call, _unchanged)

    def read(self, call: Call, reader: Callable[[Response], T]) -> Coroutine[object, object, T]:
        """Send a call until it succeeds, fails permanently, or reaches its deadline, and read its response.

        Raises:
            LaunchError: See `launch_async.errors`.
        """
        send = self._observed if self._is_observed else self._sent
        return send(call, self._state_of(call), reader)

    @property
    def streams(self) -> bool:
        """Whether the transport can read a body while it arrives."""
        return getattr(self._transport, "streams", False) is True

    async def stream(self, call: Call) -> Response:
        """Send a call as `read` does, and return its response as soon as the headers have arrived.

        The deadline of the call applies only until then. The caller must read and close the `stream` of the response.
        If middleware has read the body, the response has no stream.
        """
        state = self._state_of(call)
        try:
            streamed = attrs.evolve(call, streamed=True)
            send = self._observed if self._is_observed else self._sent
            answer = await send(streamed, state, _unchanged)
        except BaseException:
            state.close_streams()
            raise
        state.close_streams(kept=answer.stream)
        return answer

    def _state_of(self, call: Call) -> CallState:
        self._check_open()
        if call.operation.authenticated:
            self._check_credentials(call)
        return CallState(
            operation=call.operation.name,
            retry=self.retry,
            timeout=self.timeout if call.timeout is None else call.timeout,
            repeatable=call.operation.method in IDEMPOTENT and not call.operation.once,
            changes_something=call.operation.method not in _SAFE_METHODS,
            layered=bool(self.middleware),
        )

    @property
    def _is_observed(self) -> bool:
        return self._hooks is not None or _LOG.isEnabledFor(logging.DEBUG)

    async def _observed(self, call: Call, state: CallState, reader: Callable[[Response], T]) -> T:
        from launch_async.hooks import Hooks, RequestFinished, RequestStarted

        hooks, clock = self._hooks or Hooks(), asyncio.get_running_loop().time
        name, method = call.operation.name, call.operation.method
        hooks.request_started(RequestStarted(state.request_id, name, method, call.shown_path))
        started, failure = clock(), None
        try:
            return await self._sent(call, state, reader)
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            took = clock() - started
            _LOG.debug(
                "%s %s: %s after %.3f s",
                method,
                name,
                failure or state.status,
                took,
                extra={
                    "operation": name,
                    "request_id": state.request_id,
                    "status": state.status,
                    "attempts": state.attempts,
                    "duration": took,
                },
            )
            hooks.request_finished(RequestFinished(state.request_id, name, state.status, state.attempts, took, failure))

    def _sent(self, call: Call, state: CallState, reader: Callable[[Response], T]) -> Coroutine[object, object, T]:
        return state.run(
            partial(self._attempt, call, state, reader),
            reconsider=partial(self._reconsider, call, state),
            on_retry=partial(self._report_retry, state),
        )

    async def _attempt(self, call: Call, state: CallState, reader: Callable[[Response], T]) -> T | LaunchError:
        """Wait for the rate limit and send the request once; return the result of the reader, or the error."""
        operation = call.operation
        credentials = self._credentials if operation.authenticated else None
        state.credentials = {} if credentials is None else await credentials.headers()
        request = self._request(call, state.credentials)
        time_left = state.ends - state.clock()
        if not time_left > 0:
            raise DeadlineExceeded(f"The deadline passed before {operation.name} could be sent")
        permit, meters = None, METERS.get()
        if operation.budgeted:
            priority = max(meter.priority for meter in meters) if meters else Priority.INTERACTIVE
            permit = await self._budget.acquire(operation, priority=priority, timeout=time_left)
            if meters or permit.waited:
                self._report_wait(state, meters, permit)
        changes = operation.method in CHANGING
        if changes:
            note_change()
        try:
            response = await state.exchange(self._send, request)
        except BaseException as error:
            _settle_without_answer(permit, error, state.clock())
            raise
        finally:
            if changes:
                note_change()
            for meter in meters:
                meter.maybe_done |= state.maybe_done
        if isinstance(response, LaunchError):
            _settle_without_answer(permit, response, state.clock())
            return response
        header = finder(response.headers)
        if permit is not None:
            permit.answered(_answer(response, header, state.answered_at))
        self.clock.observe(header("Date"), sent=state.sent_at, received=state.answered_at)
        if response.is_success:
            if operation.authenticated:
                self._budget.learn(response.body)
            return reader(response)
        region_hint = self._region_hint(self._credentials.location if self._credentials else None)
        # The secrets are in no local variable, because tracebacks may show local variables.
        refusal = state.refusal(response, secrets=(*_tokens_in(request), *call.secrets), region_hint=region_hint)
        if isinstance(refusal, NotFoundError) and operation.method == "DELETE" and state.maybe_done:
            # An earlier attempt has deleted the resource.
            return reader(Response(204))
        return refusal

    async def _reconsider(self, call: Call, state: CallState, failure: LaunchError) -> LaunchError | None:
        """Return the final error of an attempt, or None if there are new credentials for another attempt."""
        if call.reclassify is not None and isinstance(failure, APIError):
            failure = await call.reclassify(failure)
        credentials = self._credentials if call.operation.authenticated else None
        if state.is_renewed or credentials is None or not _is_refused_token(failure):
            return failure
        state.is_renewed = True
        return None if await self._renewed(credentials, state.credentials) else failure

    @property
    def is_for_app(self) -> bool:
        """Whether the token is known to belong to an app, which has fewer rights than a user."""
        return self._credentials is not None and self._credentials.kind == "app"

    def _check_credentials(self, call: Call) -> None:
        operation = call.operation
        if self._credentials is None:
            raise ConfigurationError(
                "This client has no credentials. Pass Authtoken(...) with organization_uid=..., AccessToken(...), "
                "AppCredentials(...) or OAuthCredentials(...) to the client, or use LaunchClient.from_env()",
                operation=operation.name,
            )
        check_organization(self._credentials, self._organization_uid, operation=operation.name)
        if call.user_only and self._credentials.kind == "app":
            raise MissingScopeError(
                f"{operation.name} from Git needs a user's token, because Launch gives an app (M2M) token no access to "
                "the Git account. Use an Authtoken or a user's OAuth token, or upload files instead",
                operation=operation.name,
            )
        granted = self._credentials.scopes
        if granted is not None and operation.scopes and not granted & set(operation.scopes):
            raise MissingScopeError(
                f"{operation.name} needs the scope {' or '.join(operation.scopes)}, but the token has "
                f"{', '.join(sorted(granted)) or 'no scopes'}. Use a token that has the scope",
                operation=operation.name,
            )

    def _check_open(self) -> None:
        if self.is_closed:
            raise ClosedError("The client is closed. Create a new client, and keep it open until its last call")

    def _request(self, call: Call, credentials: Mapping[str, str]) -> Request:
        """Return the request of a call, with the current credentials."""
        headers = {"Accept": "application/json", "User-Agent": self._user_agent, **credentials}
        if call.headers:
            headers = {**headers, **call.headers, **credentials}
        organization_uid = self.organization_uid
        if call.operation.authenticated and organization_uid is not None:
            headers["organization_uid"] = organization_uid
        if call.body is not None:
            # Only with a body: the service refuses a DELETE that has this header and no body (FACTS §3).
            headers["Content-Type"] = "application/json"
        collect = None if call.collect is None else call.collect()
        return Request(
            method=call.operation.method,
            url=self._url(call),
            headers=headers,
            body=None if call.body is None else dump_json(call.body),
            timeout=self._attempt_timeout
            if call.attempt_timeout is None
            else min(call.attempt_timeout, self._attempt_timeout or math.inf),
            operation=call.operation.name,
            once=call.operation.once,
            # Middleware gets complete bodies.
            on_body=None if self.middleware else collect,
            response_limit=self._response_limit * (1 if call.collect is None else COLLECTED),
            streamed=call.streamed,
        )

    def _url(self, call: Call) -> str:
        url = f"{self.base_url}{call.path}"
        query = {name: value for name, value in call.query.items() if value is not None} if call.query else {}
        return f"{url}?{urlencode(query)}" if query else url

    def _report_wait(self, state: CallState, meters: Sequence[Meter], permit: Permit) -> None:
        """Report the wait for the rate limit to observers, which may refuse the send."""
        try:
            for meter in meters:
                if meter.before_send is not None:
                    meter.before_send()
            for meter in meters:
                meter.requests += 1
                meter.waited += permit.waited
            if self._hooks is not None and permit.waited:
                from launch_async.hooks import BudgetWait

                self._hooks.waited_for_budget(BudgetWait(state.request_id, state.operation, permit.waited))
        except BaseException:
            permit.release()
            raise

    def _report_retry(self, state: CallState, decision: Decision) -> None:
        _LOG.info(
            "The SDK will send %s again in %.2f s (%s)",
            state.operation,
            decision.delay,
            decision.reason,
            extra={"operation": state.operation, "request_id": state.request_id, "attempts": state.attempts},
        )
        if self._hooks is not None:
            from launch_async.hooks import RequestRetried

            self._hooks.request_retried(
                RequestRetried(state.request_id, state.operation, state.attempts, decision.delay, decision.reason)
            )

    async def _renewed(self, credentials: Credentials, sent: Mapping[str, str]) -> bool:
        """Refresh refused credentials once for all waiting calls; return whether there is a new token."""
        if any(sent.get(name) != value for name, value in (await credentials.headers()).items()):
            # Another call has renewed the credentials during this request.
            return True
        if self._refreshing is None:
            self._refreshing = asyncio.ensure_future(self._refresh(credentials))
        try:
            return await asyncio.shield(self._refreshing)
        except LaunchError as error:
            # Each call adds its own details to the error, so calls must not share an error.
            raise copy.copy(error) from None

    async def _refresh(self, credentials: Credentials) -> bool:
        try:
            return await credentials.refresh()
        finally:
            self._refreshing = None


def _guarded(hooks: Hooks) -> Hooks:
    from launch_async.hooks import guarded

    return guarded(hooks)


def _is_refused_token(error: LaunchError) -> bool:
    return isinstance(error, UnauthorizedError) and not isinstance(error, GitProviderError)


def _tokens_in(request: Request) -> Iterator[str]:
    for name, value in request.headers.items():
        if name.lower() in _SECRET_HEADERS:
            yield value.rpartition(" ")[2]


def _unchanged(response: Response) -> Response:
    return response


def _answer(response: Response, header: Callable[[str], str | None], answered_at: float) -> Answer:
    """Return the information of a response for the rate limiter."""
    limit, remaining = header("X-RateLimit-Limit"), header("X-RateLimit-Remaining")
    if limit is remaining is None and response.status != 429:
        return Answer(answered_at=answered_at, sends=response.sends)
    date = header("Date")
    return Answer(
        answered_at=answered_at,
        refused=response.status == 429,
        sends=response.sends,
        retry_after=parse_retry_after(header("Retry-After"), date=date),
        limit=parse_number(limit),
        remaining=parse_number(remaining),
        reset_after=parse_reset(header("X-RateLimit-Reset"), date=date),
    )


def _settle_without_answer(permit: Permit | None, error: BaseException, now: float) -> None:
    """Report a request that ended in an error to the rate limiter."""
    if permit is None or isinstance(error, GeneratorExit):
        # The garbage collector may run this inside a lock of the limiter. The permit settles automatically.
        return
    if isinstance(error, ConnectError) or was_unsent(error):
        permit.release()
    else:
        permit.answered(Answer(now, lost=True, sends=error.sends if isinstance(error, TransportError) else 1))
