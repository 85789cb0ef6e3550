"""`LaunchClient`: settings, one pipeline, the resources and the workflows, as one async context manager."""

from __future__ import annotations

import platform
import ssl
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from launch_async._operations import Operation
from launch_async._pipeline import Call, Layer, Pipeline
from launch_async._transport import AiohttpTransport, Transport
from launch_async._version import __version__
from launch_async.auth import Credentials
from launch_async.errors import ConfigurationError, InvalidArgumentError
from launch_async.hooks import Hooks
from launch_async.models.base import JSONValue
from launch_async.rate_limit import LimiterStatus, RateLimit, RateLimiter, shared_limiter
from launch_async.resources._resource import parsed
from launch_async.resources.deploy_hooks import DeployHooks
from launch_async.resources.deployments import Deployments
from launch_async.resources.environments import Environments
from launch_async.resources.projects import Projects
from launch_async.resources.uploads import Uploads
from launch_async.resources.usage import Usage
from launch_async.retry import RetryPolicy
from launch_async.settings import REGIONS, check_organization_uid, resolve_endpoint

if TYPE_CHECKING:
    import aiohttp

__all__ = ["LaunchClient"]

_OPENAPI: Final = Operation("openapi", "GET", "/openapi", authenticated=False)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_USER_AGENT: Final = f"contentstack-launch/{__version__} Python/{platform.python_version()}"


class LaunchClient:
    """A client of one organization's Launch.

    Use it as a context manager, or call `close()`. It belongs to the event loop of its first request; clients on
    other loops and in other threads share the organization's budget with it.

    Args:
        credentials: `Authtoken` (with `organization_uid`) or `AccessToken`; None allows only what needs none.
        region: Where the organization lives, by any alias: `na`, `eu`, `au`, `azure-na`, `azure-eu`, `gcp-na`,
            `gcp-eu` (FACTS §1).
        base_url: Address of the API instead of a region's, such as an emulator's.
        organization_uid: `blt` and 16 hex digits; required beside an `Authtoken` (FACTS §3).
        rate_limit: Requests that the organization's plan allows; all clients of an organization share it.
        limiter: A budget of your own, instead of the one that this process shares.
        retry: Which failures are sent again, and when.
        timeout: Seconds for a whole call: waits for the budget and retries included.
        attempt_timeout: Seconds for one exchange.
        session: An aiohttp session to use; it stays yours to close. Its default headers would reach storage, too.
        transport: Performs the exchanges instead of aiohttp, as for tests.
        ssl_context: How to verify servers, as for a private certificate authority.
        proxy: Proxy URL; by default what the environment says, empty for none.
        hooks: An observer of requests.
        layers: Your own layers around each exchange, the outermost first.
        allow_http: Whether plain http may go elsewhere than to this machine; credentials would travel in clear.

    Raises:
        ConfigurationError: Something is missing, malformed or contradictory.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        region: str = "na",
        base_url: str | None = None,
        organization_uid: str | None = None,
        rate_limit: RateLimit = RateLimit(10, per=1.0),
        limiter: RateLimiter | None = None,
        retry: RetryPolicy = RetryPolicy(),
        timeout: float = 60.0,
        attempt_timeout: float | None = 30.0,
        session: aiohttp.ClientSession | None = None,
        transport: Transport | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        hooks: Hooks | None = None,
        layers: Sequence[Layer] = (),
        allow_http: bool = False,
    ) -> None:
        self._closed = True
        endpoint = resolve_endpoint(region, base_url, allow_http=allow_http)
        check_organization_uid(organization_uid)
        if credentials is not None and credentials.needs_organization and organization_uid is None:
            raise ConfigurationError(
                "organization_uid is missing: Launch refuses an authtoken without it (FACTS §3). "
                "Pass organization_uid='blt...'"
            )
        for name, seconds in {"timeout": timeout, "attempt_timeout": attempt_timeout}.items():
            if seconds is not None and not seconds > 0:
                raise ConfigurationError(f"{name} must be a positive number of seconds, not {seconds!r}")
        self._base_url = endpoint.base_url
        self._pipeline = Pipeline(
            base_url=endpoint.base_url,
            credentials=credentials,
            organization_uid=organization_uid,
            limiter=limiter or shared_limiter(endpoint.host, organization_uid or "", rate_limit),
            retry=retry,
            transport=transport or AiohttpTransport(session=session, ssl_context=ssl_context, proxy=proxy),
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            hooks=hooks,
            layers=layers,
            user_agent=_USER_AGENT,
            region_hint=_region_hint(endpoint.host),
        )
        self._site_scheme = endpoint.site_scheme
        self._closed = False

    def __repr__(self) -> str:
        return f"<LaunchClient {self._base_url}{' closed' if self._closed else ''}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; calling it again does nothing."""
        if not self._closed:
            self._closed = True
            await self._pipeline.close()

    @property
    def budget(self) -> LimiterStatus:
        """What the organization's budget is doing now: rate, queue, expected wait."""
        return self._pipeline.limiter.status()

    @cached_property
    def projects(self) -> Projects:
        """The organization's projects."""
        return Projects(self._pipeline)

    @cached_property
    def environments(self) -> Environments:
        """The environments of a project, and their CDN cache."""
        return Environments(self._pipeline)

    @cached_property
    def deployments(self) -> Deployments:
        """The deployments of an environment, and their logs."""
        return Deployments(self._pipeline, site_scheme=self._site_scheme)

    @cached_property
    def uploads(self) -> Uploads:
        """Signed URLs for ZIPs, and the upload itself."""
        return Uploads(self._pipeline)

    @cached_property
    def usage(self) -> Usage:
        """The organization's quotas."""
        return Usage(self._pipeline)

    @cached_property
    def deploy_hooks(self) -> DeployHooks:
        """Deploy hooks: start a deployment with nothing but a secret."""
        return DeployHooks(self._pipeline)

    async def openapi(self) -> JSONValue:
        """Return the vendor's own description of the API, as it came; it needs no credentials.

        API: `GET /openapi` (FACTS §1).
        """
        return parsed(_OPENAPI, await self._pipeline.call(Call(operation=_OPENAPI, path=_OPENAPI.path)))

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | None] | None = None,
        json: JSONValue = None,
        timeout: float | None = None,
    ) -> JSONValue:
        """Send any operation that has no method yet, through the same pipeline: paced, retried, errors decoded.

        Args:
            method: HTTP method.
            path: Path below the base URL, quoted, starting with `/`.
            query: Query parameters; None values are left out.
            json: JSON body; None for no body.
            timeout: Seconds for the whole call; the client's by default.

        Returns:
            The JSON document of the answer; None if it has no body.

        Raises:
            InvalidArgumentError: The method is unknown, or the path could lead elsewhere.
        """
        verb = method.upper()
        if verb not in _METHODS:
            raise InvalidArgumentError("method", f"{method!r} is not one of {', '.join(sorted(_METHODS))}")
        segments = path.split("/")
        if not path.startswith("/") or path.startswith("//") or {".", ".."} & set(segments):
            raise InvalidArgumentError("path", "must start with one / and contain neither . nor .. as a segment")
        if any(mark in path for mark in "?#\\") or not path.isascii() or not path.isprintable() or " " in path:
            raise InvalidArgumentError("path", "must be quoted; parameters go into query")
        operation = Operation(f"{verb} {path}", verb, path)
        call = Call(operation=operation, path=path, query=query or {}, body=json, timeout=timeout)
        response = await self._pipeline.call(call)
        return parsed(operation, response) if response.body.strip() else None


def _region_hint(host: str) -> str:
    region = next((name for name, region in REGIONS.items() if region.launch_host == host), None)
    others = ", ".join(name for name in REGIONS if name != region)
    return f"this client talks to {f'region {region}' if region else host}, and others are {others} (FACTS §1)"
