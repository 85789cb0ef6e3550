"""`LaunchClient`: settings, one pipeline, the resources and the workflows, as one async context manager.

Resources and workflows are imported when they are first used: a script with one call pays for what that call needs.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property, partial
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, Literal, NoReturn, Self, overload

from launch_async.auth.tokens import check_credentials
from launch_async.errors import ConfigurationError
from launch_async.http.aiohttp_transport import AiohttpTransport, check_transport
from launch_async.http.base import RESPONSE_LIMIT, USER_AGENT, Middleware, Transport
from launch_async.http.credentials import Credentials, Issuer, check_organization
from launch_async.http.operation import Operation, check_callback, check_text
from launch_async.http.pipeline import Call, Pipeline
from launch_async.http.retry import RetryPolicy
from launch_async.models.base import UNSET, JSONValue, Unset
from launch_async.models.framework_preset import FrameworkPreset
from launch_async.rate_limit.registry import ShareBudget, check_share_budget, shared_limiter
from launch_async.rate_limit.types import LimiterStatus, RateLimit, RateLimiter
from launch_async.resources._cache import CachePurges
from launch_async.settings import check_organization_uid, region_advice, resolve_app_url, resolve_endpoint
from launch_async.watch.audience import Observers, showing_deployment
from launch_async.wire.secret import Secret, hidden, hidden_json, kind_of

if TYPE_CHECKING:
    import aiohttp

    from launch_async.archive.archive import SecretFiles
    from launch_async.deploy.deploying import Deploying
    from launch_async.deploy.previews.previews import Previews
    from launch_async.deploy.release.check import CheckLike, OnFailure
    from launch_async.deploy.release.copying import Copying
    from launch_async.deploy.release.promoting import Promoting
    from launch_async.deploy.release.releasing import Releasing
    from launch_async.deploy.release.restoring import Restoring
    from launch_async.deploy.site import Site
    from launch_async.deploy.sources import Files, Source
    from launch_async.fleet.fleet import Fleet
    from launch_async.fleet.services import FleetServices
    from launch_async.hooks import Hooks
    from launch_async.models.deployment import Deployment, DeploymentRef
    from launch_async.models.log import LogLine, LogStage, ServerLogLine
    from launch_async.resources.deploy_hooks import DeployHooks
    from launch_async.resources.deployments import Deployments
    from launch_async.resources.domains import Domains
    from launch_async.resources.environments import Environments
    from launch_async.resources.finding import FoundEnvironment, FoundProject
    from launch_async.resources.projects import Projects
    from launch_async.resources.uploads import Uploads
    from launch_async.resources.usage import Usage
    from launch_async.state.declared import DeclaredState
    from launch_async.variables import Variables
    from launch_async.watch.log_cursor import LogCursor
    from launch_async.watch.merging import FollowedLine
    from launch_async.watch.waiting import Watching

__all__ = ["LaunchClient"]

_OPENAPI: Final = Operation("openapi", "GET", "/openapi", authenticated=False)


class LaunchClient:
    """A client of one organization's Launch.

    Use it as a context manager, or call `close()`. A client of launch_async belongs to the event loop of its first
    request; a client of launch_sync may be used by any number of threads. All clients of an organization share its
    budget.

    Args:
        credentials: `Authtoken` (with `organization_uid`), `AccessToken`, `AppCredentials` or `OAuthCredentials`; None
            allows only `openapi()` and `deploy_hooks`.
        region: Where the organization lives, by any alias: `na`, `eu`, `au`, `azure-na`, `azure-eu`, `gcp-na`,
            `gcp-eu` (FACTS §1).
        base_url: Address of the API instead of a region's, such as an emulator's.
        app_url: Address that issues tokens instead of the region's app host; a `base_url` on this machine issues its
            own.
        organization_uid: `blt` and 16 hex digits; required beside an `Authtoken` (FACTS §3).
        rate_limit: Requests that the organization's plan allows. All clients of an organization share it; where they
            disagree, a `RateLimitMismatchWarning` says so and all of them use the lower figure.
        share_budget: Who shares the budget: `machine`, all processes of this user on this machine, through a small file
            in the user's runtime or cache folder; or `process`, the clients of this process.
        limiter: A budget of your own, instead of a shared one.
        retry: Which failures are sent again, and when.
        timeout: Seconds for a whole call: waits for the budget and retries included.
        attempt_timeout: Seconds for one exchange.
        response_limit: Bytes, decompressed, that an answer may have, 64 MiB by default; a log may have eight times as
            many, because it is kept as it came. What is longer is not read: `ResponseTooLarge`.
        session: An aiohttp session to use; it stays yours to close. Its default headers would reach storage, too.
            launch_sync has no such option: there, `transport` takes an object of your own.
        transport: Performs the exchanges instead of aiohttp, as for tests: an object with `async def send(request)`,
            which returns an object with `status`, `headers` and `body`, and `async def close()`. Like all that is
            plugged in, it is asynchronous in both packages, and closed with the client.
        ssl_context: How to verify servers, as for a private certificate authority.
        proxy: Proxy URL; by default what the environment says, empty for none.
        hooks: An observer of requests.
        middleware: Functions around each exchange, the outermost first. `async def middleware(request, send)` gets a
            request with `method`, `url`, `headers` and `body`, and returns `await send(request)` or another response.
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
        app_url: str | None = None,
        organization_uid: str | None = None,
        rate_limit: RateLimit = RateLimit(10, per=1.0),
        share_budget: ShareBudget = "machine",
        limiter: RateLimiter | None = None,
        retry: RetryPolicy = RetryPolicy(),
        timeout: float = 60.0,
        attempt_timeout: float | None = 30.0,
        response_limit: int = RESPONSE_LIMIT,
        session: aiohttp.ClientSession | None = None,
        transport: Transport | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        hooks: Hooks | None = None,
        middleware: Sequence[Middleware] = (),
        allow_http: bool = False,
    ) -> None:
        self._base_url = ""
        # Rebound: a traceback with local variables must show neither a bare token nor the password of a URL.
        credentials = hidden_json(credentials)
        limiter = hidden_json(limiter)
        proxy = Secret(proxy) if proxy is not None else None
        endpoint = resolve_endpoint(region, base_url, allow_http=allow_http)
        check_organization_uid(organization_uid)
        check_credentials(credentials)
        _check_kind("rate_limit", rate_limit, RateLimit)
        check_share_budget(share_budget)
        _check_limiter(limiter)
        _check_kind("retry", retry, RetryPolicy)
        check_organization(credentials, organization_uid)
        _check_seconds(timeout=timeout, attempt_timeout=attempt_timeout)
        _check_bytes(response_limit=response_limit)
        if transport is None:
            transport = AiohttpTransport(session=session, ssl_context=ssl_context, proxy=proxy)
        else:
            check_transport(transport, session=session, ssl_context=ssl_context, proxy=proxy)
        issuer = Issuer(resolve_app_url(region, base_url, app_url, allow_http=allow_http), transport)
        self._sources: Mapping[str, str] = MappingProxyType({})
        self._base_url = endpoint.base_url
        self._pipeline = Pipeline(
            base_url=endpoint.base_url,
            credentials=credentials.bound(issuer) if credentials is not None else None,
            organization_uid=organization_uid,
            limiter_for=(lambda _: limiter)
            if limiter is not None
            else partial(shared_limiter, endpoint.host, rate_limit=rate_limit, share_budget=share_budget),
            retry=retry,
            transport=transport,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            response_limit=response_limit,
            hooks=hooks,
            middleware=middleware,
            user_agent=USER_AGENT,
            region_hint=partial(region_advice, endpoint.host),
        )
        if limiter is None and self._pipeline.organization_uid is not None:
            # Now rather than with the first request: clients that disagree are told where the second is made.
            _ = self._pipeline.limiter
        self._site_scheme = endpoint.site_scheme
        self._allow_http = allow_http
        self._host = endpoint.host
        self._purges = CachePurges()

    @classmethod
    def from_env(
        cls,
        credentials: Credentials | None = None,
        *,
        region: str | None = None,
        base_url: str | None = None,
        app_url: str | None = None,
        organization_uid: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        rate_limit: RateLimit = RateLimit(10, per=1.0),
        share_budget: ShareBudget | None = None,
        limiter: RateLimiter | None = None,
        retry: RetryPolicy = RetryPolicy(),
        timeout: float = 60.0,
        attempt_timeout: float | None = 30.0,
        response_limit: int = RESPONSE_LIMIT,
        session: aiohttp.ClientSession | None = None,
        transport: Transport | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        hooks: Hooks | None = None,
        middleware: Sequence[Middleware] = (),
        allow_http: bool = False,
    ) -> Self:
        """Return a client whose settings come from the environment and from `.cs-launch.json`, as far as not given.

        `CONTENTSTACK_REGION`, `CONTENTSTACK_CLIENT_ID` and `CONTENTSTACK_CLIENT_SECRET` are the names of the vendor's
        own examples; the others are in the documentation's list of environment variables. `settings_sources` says
        afterwards where each setting came from.

        `folder` is where to begin to look for `.cs-launch.json`, upward; the working directory by default. All other
        arguments are those of `LaunchClient`, and beat what is found.

        Raises:
            ConfigurationError: Something is missing or malformed; the text lists all of it.
        """
        from launch_async.discovery import discover

        # Rebound: a traceback with local variables must show neither a bare token nor the password of a URL.
        credentials = hidden_json(credentials)
        limiter = hidden_json(limiter)
        proxy = Secret(proxy) if proxy is not None else None
        found = discover(
            credentials=credentials,
            region=region,
            base_url=base_url,
            app_url=app_url,
            organization_uid=organization_uid,
            share_budget=share_budget,
            folder=folder,
        )
        client = cls(
            found.credentials,
            region=found.region,
            base_url=found.base_url,
            app_url=found.app_url,
            organization_uid=found.organization_uid,
            rate_limit=rate_limit,
            share_budget=found.share_budget,
            limiter=limiter,
            retry=retry,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            response_limit=response_limit,
            session=session,
            transport=transport,
            ssl_context=ssl_context,
            proxy=proxy,
            hooks=hooks,
            middleware=middleware,
            allow_http=allow_http,
        )
        client._sources = found.sources
        return client

    @property
    def settings_sources(self) -> Mapping[str, str]:
        """Where `from_env` found each setting, by name and never with its value; empty for other clients."""
        return self._sources

    @property
    def middleware(self) -> tuple[Middleware, ...]:
        """The functions around each exchange, the outermost first. `with_options` can add more.

        `launch.with_options(middleware=(mine, *launch.middleware))` derives a client with one more function.
        """
        return (*self._pipeline.middleware,)

    def with_options(
        self,
        *,
        retry: RetryPolicy | Unset = UNSET,
        timeout: float | Unset = UNSET,
        attempt_timeout: float | Unset | None = UNSET,
        response_limit: int | Unset = UNSET,
        hooks: Hooks | Unset | None = UNSET,
        middleware: Sequence[Middleware] | Unset = UNSET,
    ) -> Self:
        """Return a client with other options that shares this one's connections, credentials and budget.

        The options are those of `LaunchClient`, each instead of this client's. Closing it does not close this one; when
        this one is closed, it cannot send any more either.

        Raises:
            ConfigurationError: A time is not positive, or `retry` is no policy.
        """
        _check_seconds(timeout=timeout, attempt_timeout=attempt_timeout)
        _check_bytes(response_limit=response_limit)
        if not isinstance(retry, Unset):
            _check_kind("retry", retry, RetryPolicy)
        derived = type(self).__new__(type(self))
        # Resources and workflows were made for this one's pipeline: the derived client makes its own.
        own = {name for name in self.__dict__ if isinstance(getattr(type(self), name, None), cached_property)}
        derived.__dict__.update({name: value for name, value in self.__dict__.items() if name not in own})
        derived.__dict__["_pipeline"] = self._pipeline.derived(
            retry=retry,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            response_limit=response_limit,
            hooks=hooks,
            middleware=middleware,
        )
        return derived

    def __reduce__(self) -> NoReturn:
        self._pipeline.__reduce__()

    def __repr__(self) -> str:
        # One that could not be made has a text, too: a traceback that shows local variables asks for it.
        pipeline: Pipeline | None = vars(self).get("_pipeline")
        organization = f"organization {pipeline.organization_uid}" if pipeline and pipeline.organization_uid else ""
        parts = [self._base_url, organization, "open" if pipeline and not pipeline.is_closed else "closed"]
        return f"<LaunchClient {', '.join(filter(None, parts))}>"

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
        """Close every connection; calling it again does nothing.

        Raises:
            ConfigurationError: It was used on another event loop, which does not run now.
        """
        if not self._pipeline.is_closed:
            await self._pipeline.close()

    @property
    def budget(self) -> LimiterStatus:
        """What the organization's budget is doing now: rate, queue, expected wait."""
        return self._pipeline.limiter.status()

    @cached_property
    def projects(self) -> Projects:
        """The organization's projects."""
        from launch_async.resources.projects import Projects

        return Projects(self._pipeline)

    @cached_property
    def environments(self) -> Environments:
        """The environments of a project, and their CDN cache."""
        from launch_async.resources.environments import Environments

        return Environments(self._pipeline, self._purges)

    @cached_property
    def deployments(self) -> Deployments:
        """The deployments of an environment, and their logs."""
        from launch_async.resources.deployments import Deployments

        return Deployments(self._pipeline, site_scheme=self._site_scheme, allow_http=self._allow_http)

    @cached_property
    def domains(self) -> Domains:
        """The domains of an environment, and their certificates."""
        from launch_async.resources.domains import Domains

        return Domains(self._pipeline)

    @cached_property
    def uploads(self) -> Uploads:
        """Signed URLs for ZIPs, and the upload itself."""
        from launch_async.resources.uploads import Uploads

        return Uploads(self._pipeline, allow_http=self._allow_http)

    @cached_property
    def usage(self) -> Usage:
        """The organization's quotas."""
        from launch_async.resources.usage import Usage

        return Usage(self._pipeline)

    @cached_property
    def deploy_hooks(self) -> DeployHooks:
        """Deploy hooks: start a deployment with nothing but a secret."""
        from launch_async.resources.deploy_hooks import DeployHooks

        return DeployHooks(self._pipeline)

    @cached_property
    def variables(self) -> Variables:
        """Environment variables, compared and changed safely."""
        from launch_async.variables import Variables

        return Variables(self.environments)

    @cached_property
    def previews(self) -> Previews:
        """Preview environments: one for each branch or folder, which end by themselves."""
        from launch_async.deploy.previews.previews import Previews

        return Previews(
            self._pipeline,
            self.projects,
            self.environments,
            self.deployments,
            self.uploads,
            self._watching,
            self._deploying,
        )

    @cached_property
    def fleet(self) -> Fleet:
        """Bulk operations: select, plan, run, resume, report."""
        from launch_async.fleet.fleet import Fleet

        return Fleet(self._fleet_services)

    @cached_property
    def state(self) -> DeclaredState:
        """Declared state: a document says what a fleet should be; pull it, show the drift, apply it."""
        from launch_async.state.declared import DeclaredState

        return DeclaredState(self._fleet_services)

    @cached_property
    def _fleet_services(self) -> FleetServices:
        from launch_async.fleet.services import FleetServices

        return FleetServices(
            pipeline=self._pipeline,
            host=self._host,
            projects=self.projects,
            environments=self.environments,
            deployments=self.deployments,
            domains=self.domains,
            uploads=self.uploads,
            usage=self.usage,
            variables=self.variables,
            watching=self._watching,
        )

    @overload
    async def find(self, project: str, environment: None = None) -> FoundProject: ...
    @overload
    async def find(self, project: str, environment: str) -> FoundEnvironment: ...
    @overload
    async def find(self, project: str, environment: str | None) -> FoundProject | FoundEnvironment: ...
    async def find(self, project: str, environment: str | None = None) -> FoundProject | FoundEnvironment:
        """Return the UIDs of a project and an environment by their names, for calls that take UIDs.

        It takes a listing of the projects and one of the project's environments, a request for each 100 of them. A UID
        takes none: it is returned as it is.

        Args:
            project: Name, glob (`*`, `?`, `[...]`) or UID of a project. Case matters, an exact name beats a glob, and
                24 lower-case hex digits are a UID.
            environment: The same for an environment of that project.

        Returns:
            A tuple with `project_uid` and, if an environment was given, `environment_uid`; so `deploy(*found, source)`
            deploys there.

        Raises:
            InvalidArgumentError: A name is empty or no text; nothing was requested.
            NameNotFound: None fits; `candidates` are close names by UID.
            AmbiguousName: Several fit; `candidates` are their names by UID.
            NotFoundError: The project of that UID does not exist (404).

        API: `listProjects`, `listEnvironments`; scope `launch.projects:read` or `launch:manage`.
        """
        from launch_async.resources.finding import FoundEnvironment, FoundProject, find_environment, find_project

        if environment is None:
            return FoundProject(await find_project(self.projects, project))
        check_text("environment", environment)
        project_uid = await find_project(self.projects, project)
        return FoundEnvironment(project_uid, await find_environment(self.environments, project_uid, environment))

    async def deploy(
        self,
        project_uid: str,
        environment_uid: str,
        source: Source,
        *,
        wait: bool = True,
        on_log: Callable[[LogLine], object] | None = None,
        on_progress: Callable[[int], object] | None = None,
        progress: bool | None = None,
        timeout: float = 3600.0,
        secrets: SecretFiles = "refuse",
        skip_unchanged: str | os.PathLike[str] | None = None,
        verify: CheckLike | Iterable[CheckLike] = (),
        on_failure: OnFailure = "keep",
        journal: str | os.PathLike[str] | None = None,
    ) -> Deployment:
        """Deploy to an environment that exists, and wait until the deployment has ended; check its site if asked to.

        Launch's public API has no rollback. `on_failure="restore"` deploys again what served before: it is built
        again, and takes as long as a build. `PreviousUpload()` would deploy the bad version again.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            source: A folder or a .zip, the bytes of a ZIP, an open binary file or an upload stream that gives them, an
                `ArchiveListing` or an `Archive` (file-upload projects); `Commit("sha")` or `LatestCommit()` (Git
                projects; app tokens cannot do this, FACTS §3); `PreviousUpload()` for the ZIP that was deployed last. A
                file or stream is read once, from where it stands to its end, and stays open.
            wait: Whether to wait for the end; otherwise the deployment is returned as it was created.
            on_log: Called with each line of the build log, every line once, while waiting.
            on_progress: Called with the number of bytes uploaded so far; it starts again from 0 if the upload does.
            progress: Whether to show how it gets on, without a request: as a card in a notebook, and elsewhere as one
                line for each step on standard output. By default `launch_sync` does so in an interactive session
                (Jupyter, IPython, a Python prompt) if there is no callback; `launch_async` does not.
            timeout: Seconds for everything together: packing, upload, creation and waiting. Checks have their own
                times, and putting something back has as many seconds again.
            secrets: What to do about files that hold secrets: `refuse`, `drop` to leave them behind (a folder's only),
                or `send`.
            skip_unchanged: A file in which to remember what was deployed, for files only; it need not exist yet. If the
                environment still serves the same files, and has not been changed since, nothing is uploaded.
            verify: Checks of the live site: each a `Check`, or a function that gets the site's URL and returns whether
                it is healthy. They run side by side, without credentials, and cost no budget.
            on_failure: What to do about a deployment that fails a check: `keep` it, or `restore` what served before:
                the same commit, or the same ZIP byte for byte. Variables and settings are not put back.
            journal: A file in which to write how far the release is, so that `resume_release` can finish it after a
                kill. A file whose release is over is used again.

        Returns:
            The deployment that went live, also if another one has superseded it already (`status.is_superseded`); the
            one that serves already if there was nothing to deploy.

        Raises:
            ArchiveError: The folder or ZIP cannot be uploaded as it is; nothing was requested.
            InvalidArgumentError: A UID or an argument is malformed; nothing was requested.
            MissingScopeError: A commit was given, and the token is known to belong to an app; nothing was sent.
            StorageError: The upload failed for good; nothing was deployed.
            AmbiguousOutcome: The answer to the creation was lost, and a look-up cannot tell whether it happened.
            DeploymentFailed: It ended without success; `report` says why.
            DeploymentUnhealthy: It went live, and its site failed a check; `results` says which, and `restored` is
                what was put back.
            WaitTimeout: It did not end in time; it goes on at the service.
            DeadlineExceeded: The time ran out before there was a deployment.
            JournalError: The journal cannot be used, or holds a release that is not over.

        API: `getDeploymentUploadUrl`, `createDeployment`; scope `launch.projects:write` or `launch:manage`. With
        `on_failure="restore"` also `listDeployments` and `getDeploymentDownloadUrl`; `launch.projects:read`.
        """
        check_callback(on_log=on_log, on_progress=on_progress)
        given = Observers(on_log=on_log, on_progress=on_progress)
        with showing_deployment(progress, f"Deployment to environment {environment_uid}", given) as observers:
            return await self._deploying.deploy(
                project_uid,
                environment_uid,
                source,
                wait=wait,
                observers=observers,
                timeout=timeout,
                secrets=secrets,
                skip_unchanged=skip_unchanged,
                verify=verify,
                on_failure=on_failure,
                journal=journal,
            )

    async def restore(
        self,
        project_uid: str,
        environment_uid: str,
        *,
        to: Deployment | str | None = None,
        on_log: Callable[[LogLine], object] | None = None,
        on_progress: Callable[[int], object] | None = None,
        progress: bool | None = None,
        timeout: float = 3600.0,
    ) -> Deployment:
        """Deploy again what served before, and wait until it serves: the same commit, or the same ZIP byte for byte.

        Launch's public API has no instant rollback: what is put back is built again, and takes as long as a build.
        Variables and settings are not put back; the build uses those that the environment has now. `PreviousUpload()`
        is something else: it deploys the ZIP that was deployed last, which is the bad one.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            to: The deployment to put back, or its UID. By default the last one that served before the one that serves
                now, and had another commit or another ZIP.
            on_log: Called with each line of the build log, every line once, while waiting.
            on_progress: Called with the number of bytes uploaded so far; it starts again from 0 if the upload does.
            progress: Whether to show the progress, as for `deploy`.
            timeout: Seconds for everything together.

        Returns:
            The new deployment, which serves. If the wanted one serves already, that one, and nothing is deployed; if
            an earlier call has begun to put back the same, what that one began.

        Raises:
            InvalidArgumentError: A UID is malformed; or `to` never served; or what serves was put back already, so
                that `to` must say what is meant.
            LaunchError: Nothing served before.
            StorageError: The ZIP cannot be fetched, or not be sent; nothing was deployed.
            AmbiguousOutcome: The answer to the creation was lost, and a look-up cannot tell whether it happened.
            DeploymentFailed: The build ended without success; what served before this call still serves.
            WaitTimeout: It did not end in time; it goes on at the service.

        API: `listDeployments`, `getDeploymentDownloadUrl`, `getDeploymentUploadUrl`, `createDeployment`; scope
        `launch:manage`, or `launch.projects:read` and `launch.projects:write`.
        """
        check_callback(on_log=on_log, on_progress=on_progress)
        given = Observers(on_log=on_log, on_progress=on_progress)
        with showing_deployment(progress, f"Restore of environment {environment_uid}", given) as observers:
            return await self._restoring.restore(
                project_uid, environment_uid, to=to, timeout=timeout, observers=observers
            )

    async def promote(
        self,
        source_ref: DeploymentRef | Deployment | str,
        project_uid: str,
        environment_uid: str,
        *,
        verify: CheckLike | Iterable[CheckLike] = (),
        on_failure: OnFailure = "keep",
        on_log: Callable[[LogLine], object] | None = None,
        on_progress: Callable[[int], object] | None = None,
        progress: bool | None = None,
        timeout: float = 3600.0,
        journal: str | os.PathLike[str] | None = None,
    ) -> Deployment:
        """Deploy to an environment what another one has: the same commit, or the same ZIP. Wait until it serves.

        Nothing is taken from the working folder. A ZIP that this client has uploaded itself is not uploaded again where
        the service still has it; otherwise it is fetched and sent again, byte for byte. The build uses the settings and
        variables of the target environment: where they differ from those of the source, a warning on the logger
        `launch_async.deploy.release.promoting` names them, never with their values.

        Args:
            source_ref: The deployment to promote, as for `wait`; it must have succeeded.
            project_uid: The project to deploy to. A commit needs a project of the same repository.
            environment_uid: The environment to deploy to.
            verify: Checks of the live site, as for `deploy`.
            on_failure: What to do about a deployment that fails a check, as for `deploy`.
            on_log: Called with each line of the build log, every line once, while waiting.
            on_progress: Called with the number of bytes uploaded so far; it starts again from 0 if the upload does.
            progress: Whether to show the progress, as for `deploy`.
            timeout: Seconds for everything together but checks and putting something back, as for `deploy`.
            journal: A file in which to write how far the release is, as for `deploy`.

        Returns:
            The new deployment, which serves.

        Raises:
            InvalidArgumentError: The source did not succeed, is of the same environment, or an argument is malformed.
            NotFoundError: There is no such deployment or environment (404).
            StorageError: The ZIP cannot be fetched, or not be sent; nothing was deployed.
            AmbiguousOutcome: The answer to the creation was lost, and a look-up cannot tell whether it happened.
            DeploymentFailed: The build ended without success.
            DeploymentUnhealthy: It went live, and its site failed a check.
            WaitTimeout: It did not end in time; it goes on at the service.
            JournalError: The journal cannot be used, or holds a release that is not over.

        API: `getDeployment`, `getEnvironment`, `getDeploymentDownloadUrl`, `getDeploymentUploadUrl`,
        `createDeployment`; scope `launch:manage`, or `launch.projects:read` and `launch.projects:write`.
        """
        check_callback(on_log=on_log, on_progress=on_progress)
        given = Observers(on_log=on_log, on_progress=on_progress)
        with showing_deployment(progress, f"Promotion to environment {environment_uid}", given) as observers:
            return await self._promoting.promote(
                source_ref,
                project_uid,
                environment_uid,
                verify=verify,
                on_failure=on_failure,
                timeout=timeout,
                journal=journal,
                observers=observers,
            )

    async def resume_release(
        self,
        journal: str | os.PathLike[str],
        *,
        verify: CheckLike | Iterable[CheckLike] = (),
        on_log: Callable[[LogLine], object] | None = None,
        on_progress: Callable[[int], object] | None = None,
        progress: bool | None = None,
        timeout: float = 3600.0,
    ) -> Deployment | None:
        """Finish a release whose process was killed: wait for it, check it, and put back what served before if needed.

        What was done is not done again. A release that is over is told again, and nothing is sent for it but reads.

        Args:
            journal: The file that was given to `deploy` or `promote`.
            verify: The checks that the release began with, once more.
            on_log: Called with each line of the build log, every line once, while waiting.
            on_progress: Called with the number of bytes uploaded so far; it starts again from 0 if the upload does.
            progress: Whether to show the progress, as for `deploy`.
            timeout: Seconds for the deployment to end; putting something back has as many again.

        Returns:
            The deployment; None if it was never created, so that it can be deployed.

        Raises:
            InvalidArgumentError: The checks are others than those that the release began with.
            ConfigurationError: The release is one of another organization or address.
            JournalError: The file cannot be read, or is no such journal. `JournalInUse` if another process has it.
            AmbiguousOutcome: A creation was sent before the kill, and nobody can tell what came of it.
            DeploymentFailed: The deployment ended without success.
            DeploymentUnhealthy: Its site failed a check; `restored` is what was put back.
            WaitTimeout: It did not end in time; resume again.
        """
        check_callback(on_log=on_log, on_progress=on_progress)
        given = Observers(on_log=on_log, on_progress=on_progress)
        with showing_deployment(progress, f"Release of {os.fspath(journal)}", given) as observers:
            return await self._releasing.resume(journal, verify, timeout, observers=observers)

    async def create_site(
        self,
        name: str,
        source: Files,
        *,
        description: str | None = None,
        environment_name: str = "production",
        framework_preset: FrameworkPreset | str = FrameworkPreset.OTHER,
        output_directory: str | None = None,
        build_command: str | None = None,
        server_command: str | None = None,
        environment_variables: Mapping[str, str] | None = None,
        wait: bool = True,
        on_log: Callable[[LogLine], object] | None = None,
        on_progress: Callable[[int], object] | None = None,
        progress: bool | None = None,
        timeout: float = 3600.0,
        secrets: SecretFiles = "refuse",
    ) -> Site:
        """Create a project from files, with its first environment and deployment, and wait until it serves.

        Args:
            name: Name of the project, unique in the organization, at most 200 characters.
            source: A folder or a .zip, the bytes of a ZIP, an open binary file or an upload stream that gives them, an
                `ArchiveListing` or an `Archive`; as for `deploy`.
            description: Free text, at most 255 characters.
            environment_name: Name of the environment, at most 200 characters.
            framework_preset: How the site is built and served.
            output_directory: Folder that is served; the preset's own by default, which is `./` for OTHER.
            build_command: Command that builds the site; none by default.
            server_command: Command that starts the server.
            environment_variables: Variables of the environment: at most 128 and 14 KB, none empty.
            wait: Whether to wait for the end; otherwise the deployment is returned as it was found first.
            on_log: Called with each line of the build log, every line once, while waiting.
            on_progress: Called with the number of bytes uploaded so far; it starts again from 0 if the upload does.
            progress: Whether to show how it gets on, without a request: as a card in a notebook, and elsewhere as one
                line for each step on standard output. By default `launch_sync` does so in an interactive session
                (Jupyter, IPython, a Python prompt) if there is no callback; `launch_async` does not.
            timeout: Seconds for everything together: packing, upload, creation and waiting.
            secrets: What to do about files that hold secrets: `refuse`, `drop` to leave them behind (a folder's only),
                or `send`.

        Returns:
            The project, its environment, and the deployment that went live.

        Raises:
            ArchiveError: The folder or ZIP cannot be uploaded as it is; nothing was requested.
            InvalidArgumentError: An argument breaks a rule of FACTS §4; nothing was requested.
            StorageError: The upload failed for good; nothing was created.
            ConflictError: A project of that name exists (409).
            AmbiguousOutcome: The answer to the creation was lost, and a look-up cannot tell whether it happened.
            DeploymentFailed: It ended without success; project and environment stay, `deploy()` tries again.
            WaitTimeout: The project was created, but its deployment did not appear, or did not end, in time.
            DeadlineExceeded: The time ran out before there was a project.

        API: `getProjectUploadUrl`, `createProject`; scope `launch.projects:write` or `launch:manage`.
        """
        # Rebound: a traceback with local variables must not show them.
        environment_variables = hidden(environment_variables)
        from launch_async.deploy.deploying import SiteSettings

        settings = SiteSettings(
            name=name,
            description=description,
            environment_name=environment_name,
            framework_preset=framework_preset,
            output_directory=output_directory,
            build_command=build_command,
            server_command=server_command,
            environment_variables=environment_variables,
        )
        check_callback(on_log=on_log, on_progress=on_progress)
        given = Observers(on_log=on_log, on_progress=on_progress)
        with showing_deployment(progress, f"Site {name}", given) as observers:
            return await self._deploying.create_site(
                settings, source, wait=wait, observers=observers, timeout=timeout, secrets=secrets
            )

    async def wait(
        self,
        ref: DeploymentRef | Deployment | str,
        *,
        timeout: float = 3600.0,
        on_update: Callable[[Deployment], object] | None = None,
        progress: bool | None = None,
    ) -> Deployment:
        """Wait until a deployment has ended; any number of waits for it share their polls.

        A poll that fails is repeated. The wait ends with an error if polls have failed for a minute, or at once if
        repeating cannot help. An unknown status counts as running. Cancelling the wait does not cancel the deployment.

        Args:
            ref: The deployment, a reference to it, or the reference's JSON. A deployment that has ended already is
                returned without a request.
            timeout: Seconds to wait at most.
            on_update: Called with each state that differs from the one before, beginning with the first.
            progress: Whether to show how it gets on, as for `deploy`.

        Returns:
            The deployment: LIVE, or superseded (`status.is_superseded`) if another one has replaced it already. A
            rollback in the console may make a superseded one LIVE again.

        Raises:
            InvalidArgumentError: `ref` names no deployment.
            DeploymentFailed: It ended otherwise; `report` says how, with the end of its log.
            WaitTimeout: It did not end in time; it goes on at the service, and `last` is its last known state.
            LaunchError: Its state cannot be read, such as `NotFoundError` or `UnauthorizedError`.

        API: `getDeployment`, `listDeployments`; scope `launch.projects:read` or `launch:manage`.
        """
        check_callback(on_update=on_update)
        uid = getattr(ref, "deployment_uid", None) or getattr(ref, "uid", "")
        with showing_deployment(progress, f"Deployment {uid}".strip(), Observers(on_update=on_update)) as observers:
            return await self._watching.wait(ref, timeout=timeout, on_update=observers.on_update)

    async def wait_all(
        self,
        refs: Iterable[DeploymentRef | Deployment | str],
        *,
        timeout: float = 3600.0,
        return_failures: bool = False,
    ) -> list[Deployment]:
        """Wait until each of several deployments has ended, whatever becomes of the others.

        Args:
            refs: The deployments, as for `wait`.
            timeout: Seconds for all together.
            return_failures: Return deployments that failed like the others, instead of raising.

        Returns:
            The deployments in their last state, in the order given.

        Raises:
            InvalidArgumentError: One of `refs` names no deployment.
            DeploymentsFailed: All have ended, some of them without success; `failures` are their reports.
            WaitTimeout: Some did not end in time; they go on at the service.
            LaunchError: The state of one cannot be read; raised when the others have ended.

        API: `getDeployment`, `listDeployments`; scope `launch.projects:read` or `launch:manage`.
        """
        return await self._watching.wait_all(refs, timeout=timeout, return_failures=return_failures)

    def as_completed(
        self, refs: Iterable[DeploymentRef | Deployment | str], *, timeout: float = 3600.0
    ) -> AsyncIterator[Deployment]:
        """Iterate over deployments in the order in which they end, those that fail among them.

        Args:
            refs: The deployments, as for `wait`; one that is named twice is given once.
            timeout: Seconds for all together, from the first step on.

        Returns:
            An iterator; look at `status.is_success` of what it gives.

        Raises:
            InvalidArgumentError: One of `refs` names no deployment.
            WaitTimeout: Some did not end in time; they go on at the service.
            LaunchError: The state of one cannot be read; raised when the others have ended.

        API: `getDeployment`, `listDeployments`; scope `launch.projects:read` or `launch:manage`.
        """
        return self._watching.as_completed(refs, timeout=timeout)

    async def poll_once(self, ref: DeploymentRef | Deployment | str) -> Deployment:
        """Return the state of a deployment now, for a program that has its own way of waiting.

        Where the budget is short, other calls go first.

        Args:
            ref: The deployment, as for `wait`.

        Raises:
            InvalidArgumentError: `ref` names no deployment.
            NotFoundError: No such deployment in this organization (404).

        API: `getDeployment`; scope `launch.projects:read` or `launch:manage`.
        """
        return await self._watching.poll_once(ref)

    def follow_logs(
        self,
        ref: DeploymentRef | Deployment | str,
        *,
        cursor: LogCursor | str | None = None,
        stage: LogStage | str | None = None,
        level: Literal["info", "warning", "error"] | None = None,
    ) -> AsyncIterator[LogLine]:
        """Iterate over a deployment's build log until the deployment has ended, each line once and in time order.

        A line that the service makes readable late is given late, after the deployment's end at the latest. A log that
        cannot be read does not end the iteration; it is reported once to the loggers below `launch_async.watch`.
        `wait` tells how the deployment ended.

        Args:
            ref: The deployment, as for `wait`.
            cursor: Where to continue: a `LogCursor`, which moves with each line and can be stored with `to_json()`
                after any of them, or that JSON. From the beginning by default.
            stage: Only lines of this stage.
            level: Only lines of at least this severity. The service states none: it is guessed from the text.

        Raises:
            InvalidArgumentError: `ref` names no deployment, or `cursor` is no cursor.
            LaunchError: The deployment's state cannot be read.

        API: `getDeploymentLogs`, `getDeployment`; scope `launch.projects:read` or `launch:manage` (FACTS §7).
        """
        return self._watching.follow_logs(ref, cursor=cursor, stage=stage, level=level)

    def follow_all(
        self,
        refs: Iterable[DeploymentRef | Deployment | str],
        *,
        stage: LogStage | str | None = None,
        level: Literal["info", "warning", "error"] | None = None,
    ) -> AsyncIterator[FollowedLine]:
        """Iterate over the build logs of several deployments at once, until all have ended.

        Lines that arrive together are sorted by time; for that, each is held back for up to a second.

        Args:
            refs: The deployments, as for `wait`.
            stage: Only lines of this stage.
            level: Only lines of at least this severity, as in `follow_logs`.

        Raises:
            InvalidArgumentError: One of `refs` names no deployment.
            LaunchError: The state of one cannot be read; raised when the others have ended.

        API: `getDeploymentLogs`, `getDeployment`; scope `launch.projects:read` or `launch:manage` (FACTS §7).
        """
        return self._watching.follow_all(refs, stage=stage, level=level)

    def tail_server_logs(
        self,
        ref: DeploymentRef | Deployment | str,
        *,
        since: datetime | timedelta | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[ServerLogLine]:
        """Iterate over what the site's server writes, each line once, until `until`, or for ever without it.

        Lines come live where the service offers that: a request opens a session, and each line arrives as it is
        written. Sessions that end or break are opened again, and what was written meanwhile is read from the stored
        log. Where there is no live log, the stored one is read every three seconds. A line that the stored log shows up
        to fifteen seconds late is not missed.

        Args:
            ref: The deployment, as for `wait`.
            since: Where to begin: a time with a zone, or how long ago; now by default.
            until: Where to end: a time with a zone, which may be in the future.

        Raises:
            InvalidArgumentError: `ref` names no deployment, or a time has no zone.
            ServerLogsUnavailable: The deployment has no server log: a static site has none.
            LaunchError: The log cannot be read.

        API: `streamLiveServerLogs`, `getServerLogs`; scope `launch.projects:read` or `launch:manage`.
        """
        return self._watching.tail_server_logs(ref, since=since, until=until)

    @cached_property
    def _watching(self) -> Watching:
        from launch_async.watch.waiting import Watching

        return Watching(self._pipeline, self.deployments)

    @cached_property
    def _deploying(self) -> Deploying:
        from launch_async.deploy.deploying import Deploying

        return Deploying(
            self.projects,
            self.environments,
            self.deployments,
            self.uploads,
            self._watching,
            self._purges,
            self._releasing,
        )

    @cached_property
    def _copying(self) -> Copying:
        from launch_async.deploy.release.copying import Copying

        return Copying(self._pipeline, self.deployments, self.uploads, self._watching)

    @cached_property
    def _releasing(self) -> Releasing:
        from launch_async.deploy.release.releasing import Releasing

        return Releasing(self._pipeline, self.deployments, self._watching, self._copying, self._purges)

    @cached_property
    def _promoting(self) -> Promoting:
        from launch_async.deploy.release.promoting import Promoting

        return Promoting(self.environments, self._watching, self._copying, self._releasing)

    @cached_property
    def _restoring(self) -> Restoring:
        from launch_async.deploy.release.restoring import Restoring

        return Restoring(self.deployments, self._watching, self._copying, self._purges)

    async def openapi(self) -> JSONValue:
        """Return the vendor's own description of the API, as it came; it needs no credentials.

        API: `GET /openapi` (FACTS §1).
        """
        from launch_async.resources._resource import parsed

        return await self._pipeline.read(Call(operation=_OPENAPI, path=_OPENAPI.path), partial(parsed, _OPENAPI))

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | None] | None = None,
        json: JSONValue = None,
        timeout: float | None = None,
    ) -> JSONValue:
        """Send an operation that has no method of its own, paced, retried and with decoded errors like any other.

        Path, query and body may hold secrets: tracebacks do not show them, even with local variables, and errors leave
        out the values of environment variables, and of parameters and fields named like a password, secret, token,
        private key, credential or signature.

        Args:
            method: HTTP method.
            path: Path below the base URL, percent-encoded, starting with `/`.
            query: Query parameters; None values are left out.
            json: JSON body; None for no body.
            timeout: Seconds for the whole call; the client's by default.

        Returns:
            The JSON document of the answer; None if it has no body.

        Raises:
            InvalidArgumentError: The method is unknown, or the path could lead elsewhere.
            APIError: The service refused it, or failed.
        """
        path = Secret(path)
        query = hidden_json(query)
        json = hidden_json(json)
        from launch_async.http.raw_request import raw_call
        from launch_async.resources._resource import parsed_if_any, undisclosed

        call = raw_call(method, path, query or {}, json, timeout)
        return await self._pipeline.read(call, partial(undisclosed, partial(parsed_if_any, call.operation)))


def _check_kind(name: str, option: object, kind: type) -> None:
    # Of another kind it would be found out in the middle of a call, `retry` only of one that fails.
    if not isinstance(option, kind):
        raise ConfigurationError(f"{name} must be a {kind.__name__}, not {option!r}")


def _check_limiter(limiter: object) -> None:
    if limiter is not None and (isinstance(limiter, type) or not hasattr(limiter, "acquire")):
        kind = f"the class {limiter.__name__}" if isinstance(limiter, type) else f"a {kind_of(limiter)}"
        raise ConfigurationError(f"limiter must be a RateLimiter, not {kind}: rate_limit= takes the plan's figure")


def _check_seconds(**seconds: float | Unset | None) -> None:
    for name, figure in seconds.items():
        unlimited = figure is None and name != "timeout"
        if not unlimited and not isinstance(figure, Unset) and not (isinstance(figure, int | float) and figure > 0):
            raise ConfigurationError(f"{name} must be a positive number of seconds, not {figure!r}")


def _check_bytes(**sizes: int | Unset) -> None:
    for name, size in sizes.items():
        if not isinstance(size, Unset) and not (isinstance(size, int) and size > 0):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{name} must be a positive number of bytes, not {size!r}")
