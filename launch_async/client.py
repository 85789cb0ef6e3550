"""The client, `LaunchClient`.

The client imports resources and workflows when a program first uses them, so a script with one call starts quickly.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
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
    from launch_async.watch.audience import Observers
    from launch_async.watch.log_cursor import LogCursor
    from launch_async.watch.merging import FollowedLine
    from launch_async.watch.waiting import Watching

__all__ = ["LaunchClient"]

_OPENAPI: Final = Operation("openapi", "GET", "/openapi", authenticated=False)


class LaunchClient:
    """A client for one organization.

    Use the client as a context manager, or call `close()`. A client of launch_async belongs to the event loop of its
    first request. Any number of threads can use a client of launch_sync. All clients of an organization share its rate
    limit.

    Args:
        credentials: `Authtoken` (with `organization_uid`), `AccessToken`, `AppCredentials` or `OAuthCredentials`; None
            allows only `openapi()` and `deploy_hooks`.
        region: Region of the organization, by its name or an alias: `na`, `eu`, `au`, `azure-na`, `azure-eu`,
            `gcp-na`, `gcp-eu`.
        base_url: Address of the API, for example of an emulator; replaces the address of the region.
        app_url: Address that issues tokens; replaces the app host of the region. A server on this machine that
            `base_url` names issues its own tokens.
        organization_uid: UID of the organization, `blt` and 16 hex digits. An `Authtoken` requires it.
        rate_limit: Requests that the plan of the organization allows. All clients of an organization share the limit.
            If clients have different limits, a `RateLimitMismatchWarning` reports this, and all use the lower limit.
        share_budget: The clients that share the rate limit. `machine`: the clients of all processes of this user on
            this machine, through a small file in the runtime or cache folder of the user. `process`: the clients of
            this process.
        limiter: Your own rate limiter, which replaces the shared rate limiter.
        retry: The retry policy: the requests that the client sends again after a failure, and the waits between them.
        timeout: Seconds for a whole call, including retries and the wait for the rate limit.
        attempt_timeout: Seconds for one attempt.
        response_limit: Maximum size of a response in bytes after decompression, 64 MiB by default. A log may be eight
            times as large. A larger response raises `ResponseTooLarge`.
        session: An aiohttp session to use. The client does not close it. Uploads to the storage also
            send its default headers. launch_sync does not have this option; use `transport` instead.
        transport: An object that sends the requests instead of aiohttp, for example in tests. It has two methods:
            `async def send(request)`, which returns an object with `status`, `headers` and `body`, and
            `async def close()`. Both methods are asynchronous in both packages. The client closes the transport.
        ssl_context: An SSL context that verifies the servers, for example with a private certificate authority.
        proxy: URL of a proxy; empty for no proxy. By default the client uses the proxy of the environment variables.
        hooks: An observer of the requests.
        middleware: Functions around each attempt, the outermost first. `async def middleware(request, send)` gets a
            request with `method`, `url`, `headers` and `body`, and returns `await send(request)` or another response.
        allow_http: Whether the client may use plain http for other hosts than this machine. Credentials are then sent
            unencrypted.

    Raises:
        ConfigurationError: A setting is missing, is malformed, or contradicts another one.
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
        # Mask the values, because a traceback with local variables must not show a token or the password of a URL.
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
            # Create the limiter now, so that a warning about different rate limits points to this client's creation.
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
        """Return a client with settings from the environment and from `.cs-launch.json`.

        The environment variables are `CONTENTSTACK_REGION`, `CONTENTSTACK_CLIENT_ID` and `CONTENTSTACK_CLIENT_SECRET`,
        as in the examples of the vendor, and others that the documentation lists. The property `settings_sources` of
        the client shows the source of each setting.

        The search for `.cs-launch.json` starts in `folder`, by default the working directory, and continues in the
        folders above it. All other arguments are as in `LaunchClient`. They take precedence.

        Raises:
            ConfigurationError: Settings are missing or malformed; the text lists all of them.
        """
        from launch_async.discovery import discover

        # Mask the values, because a traceback with local variables must not show a token or the password of a URL.
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
        """The source of each setting that `from_env` found, by name, without its value. Empty for other clients."""
        return self._sources

    @property
    def middleware(self) -> tuple[Middleware, ...]:
        """The functions around each attempt, the outermost first.

        To add a function, create another client: `launch.with_options(middleware=(mine, *launch.middleware))`.
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
        """Return a client with other options that shares the connections, credentials and rate limit of this client.

        The options mean the same as in `LaunchClient`. An option that you leave out keeps its value. Closing the new
        client does not close this client. When this client is closed, the new client cannot send requests either.

        Raises:
            ConfigurationError: A time is not positive, or `retry` is not a `RetryPolicy`.
        """
        _check_seconds(timeout=timeout, attempt_timeout=attempt_timeout)
        _check_bytes(response_limit=response_limit)
        if not isinstance(retry, Unset):
            _check_kind("retry", retry, RetryPolicy)
        derived = type(self).__new__(type(self))
        # The cached resources and workflows use the pipeline of this client, so the new client must create its own.
        cached = {name for name in self.__dict__ if isinstance(getattr(type(self), name, None), cached_property)}
        derived.__dict__.update({name: value for name, value in self.__dict__.items() if name not in cached})
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
        # A traceback with local variables also shows a client whose creation failed, which has no pipeline.
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
        """Close all connections. Closing the client again does nothing.

        Raises:
            ConfigurationError: The client belongs to another event loop, and this loop is not running.
        """
        if not self._pipeline.is_closed:
            await self._pipeline.close()

    @property
    def budget(self) -> LimiterStatus:
        """The current state of the rate limit: rate, queue and expected wait."""
        return self._pipeline.limiter.status()

    @cached_property
    def projects(self) -> Projects:
        """The projects of the organization."""
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
        """Signed URLs for ZIPs, and the upload of ZIPs."""
        from launch_async.resources.uploads import Uploads

        return Uploads(self._pipeline, allow_http=self._allow_http)

    @cached_property
    def usage(self) -> Usage:
        """The quotas of the organization."""
        from launch_async.resources.usage import Usage

        return Usage(self._pipeline)

    @cached_property
    def deploy_hooks(self) -> DeployHooks:
        """Deploy hooks, which start a deployment with a secret instead of credentials."""
        from launch_async.resources.deploy_hooks import DeployHooks

        return DeployHooks(self._pipeline)

    @cached_property
    def variables(self) -> Variables:
        """Environment variables: compare them, and change them safely."""
        from launch_async.variables import Variables

        return Variables(self.environments)

    @cached_property
    def previews(self) -> Previews:
        """Preview environments for branches or folders, with an expiry time."""
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
        """Bulk operations on many environments: select, plan, run, resume, report."""
        from launch_async.fleet.fleet import Fleet

        return Fleet(self._fleet_services)

    @cached_property
    def state(self) -> DeclaredState:
        """Declared state: a document that describes the desired projects and environments."""
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

        The call lists the projects, and then the environments of the project. Each request returns up to 100 names. A
        UID needs no request and is returned unchanged.

        Args:
            project: Name, glob (`*`, `?`, `[...]`) or UID of a project. Names are case-sensitive. An exact name takes
                precedence over a glob. A text of 24 lower-case hex digits is a UID.
            environment: Name, glob or UID of an environment of the project.

        Returns:
            A tuple with `project_uid` and, if you passed an environment, `environment_uid`. You can deploy with
            `deploy(*found, source)`.

        Raises:
            InvalidArgumentError: A name is empty or not a string; no request was sent.
            NameNotFound: No name matches; `candidates` contains similar names by UID.
            AmbiguousName: Several names match; `candidates` contains these names by UID.
            NotFoundError: There is no project with this UID (404).

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
        """Deploy to an existing environment, and wait until the deployment has ended. With `verify`, check the site.

        The public API of Launch has no rollback. `on_failure="restore"` deploys the previous version again, which takes
        as long as a build. A deployment of `PreviousUpload()` would deploy the bad version again.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            source: The files or the commit to deploy. For a project with file upload: a folder, a .zip, the bytes of a
                ZIP, an open binary file or an upload stream with these bytes, an `ArchiveListing` or an `Archive`.
                `PreviousUpload()` is the ZIP of the last deployment. For a Git project: `Commit("sha")` or
                `LatestCommit()`; the service does not accept the token of an app for these. The SDK reads a file or
                stream once, from its current position to its end, and leaves it open.
            wait: Whether to wait until the deployment has ended. If False, the call returns right after the creation.
            on_log: Called once with each line of the build log while waiting.
            on_progress: Called with the number of uploaded bytes. It starts again from 0 if the upload starts again.
            progress: Whether to show the progress: as a card in a notebook, and elsewhere as one line for each step on
                standard output. The display sends no requests. By default, `launch_sync` shows the progress in an
                interactive session (Jupyter, IPython, a Python prompt) if there is no callback. `launch_async` does
                not show it by default.
            timeout: Seconds for packing, upload, creation and waiting together. Checks have their own timeouts, and
                restoring the previous version may take the same time again.
            secrets: How to handle files that contain secrets: `refuse` the deployment, `drop` the files (only from a
                folder), or `send` them.
            skip_unchanged: Path of a file that records the deployed files; it does not need to exist. If the same
                files are still live, and the environment has not changed since then, the SDK uploads nothing. This
                works only for sources that are files.
            verify: Checks of the live site: each a `Check`, or a function that gets the URL of the site and returns
                whether the site is healthy. The checks run at the same time, without credentials, and do not count
                against the rate limit.
            on_failure: How to react to a failed check: `keep` the deployment, or `restore` the previous version, which
                is the same commit or exactly the same ZIP. Variables and settings are not restored.
            journal: Path of a file that records the progress of the release, so that `resume_release` can finish the
                release after a crash. A new release can use the file of a finished release.

        Returns:
            The deployment that went live, even if another deployment has already superseded it
            (`status.is_superseded`). If `skip_unchanged` found no changes, the deployment that is already live.

        Raises:
            ArchiveError: The folder or ZIP cannot be uploaded; no request was sent.
            InvalidArgumentError: A UID or an argument is malformed; no request was sent.
            MissingScopeError: The source is a commit, and the token belongs to an app; no request was sent.
            StorageError: The upload failed permanently; nothing was deployed.
            AmbiguousOutcome: The response to the creation was lost, and the SDK cannot find out whether it happened.
            DeploymentFailed: The deployment ended without success; `report` says why.
            DeploymentUnhealthy: The deployment went live, and its site failed a check. `results` contains the result of
                each check, and `restored` is the deployment that restored the previous version.
            WaitTimeout: The deployment did not end in time. The service continues it.
            DeadlineExceeded: The time ran out before the deployment was created.
            JournalError: The journal cannot be used, or contains a release that is not finished.

        API: `getDeploymentUploadUrl`, `createDeployment`; scope `launch.projects:write` or `launch:manage`. With
        `on_failure="restore"` also `listDeployments` and `getDeploymentDownloadUrl`; `launch.projects:read`.
        """
        check_callback(on_log=on_log, on_progress=on_progress)
        title = f"Deployment to environment {environment_uid}"
        with _showing(progress, title, on_log=on_log, on_progress=on_progress) as observers:
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
        """Deploy the previous version again, and wait until it is live: the same commit, or exactly the same ZIP.

        The public API of Launch has no instant rollback. The service builds the version again, so this takes as long as
        a build. Variables and settings are not restored: the build uses the current settings of the environment.
        `PreviousUpload()` is different, because it deploys the ZIP of the last deployment, which is the bad version.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            to: UID of the deployment to restore, or a `Deployment` object. By default, the SDK restores the last live
                deployment before the current one that has another commit or another ZIP.
            on_log: Called once with each line of the build log while waiting.
            on_progress: Called with the number of uploaded bytes. It starts again from 0 if the upload starts again.
            progress: Whether to show the progress, as for `deploy`.
            timeout: Seconds for the whole call.

        Returns:
            The new deployment, which is live. If the version is already live, the call deploys nothing and returns the
            live deployment. If an earlier call has started to restore the same version, the deployment of that call.

        Raises:
            InvalidArgumentError: A UID is malformed, or `to` was never live, or the live version was itself restored,
                so you must pass `to`.
            LaunchError: No earlier version was live.
            StorageError: The ZIP cannot be downloaded or uploaded; nothing was deployed.
            AmbiguousOutcome: The response to the creation was lost, and the SDK cannot find out whether it happened.
            DeploymentFailed: The build ended without success. The version from before this call is still live.
            WaitTimeout: The deployment did not end in time. The service continues it.

        API: `listDeployments`, `getDeploymentDownloadUrl`, `getDeploymentUploadUrl`, `createDeployment`; scope
        `launch:manage`, or `launch.projects:read` and `launch.projects:write`.
        """
        check_callback(on_log=on_log, on_progress=on_progress)
        title = f"Restore of environment {environment_uid}"
        with _showing(progress, title, on_log=on_log, on_progress=on_progress) as observers:
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
        """Deploy the version of another environment: the same commit, or the same ZIP. Wait until it is live.

        The call does not read the working folder. A ZIP that this client has uploaded is not uploaded again if the
        service still has it. Otherwise the client downloads the ZIP and uploads exactly the same bytes. The build uses
        the settings and variables of the target environment. If they differ from those of the source, the logger
        `launch_async.deploy.release.promoting` logs a warning with their names, without their values.

        Args:
            source_ref: The deployment to promote, as for `wait`. It must have ended with success.
            project_uid: The project to deploy to. A commit needs a project of the same repository.
            environment_uid: The environment to deploy to.
            verify: Checks of the live site, as for `deploy`.
            on_failure: How to react to a failed check, as for `deploy`.
            on_log: Called once with each line of the build log while waiting.
            on_progress: Called with the number of uploaded bytes. It starts again from 0 if the upload starts again.
            progress: Whether to show the progress, as for `deploy`.
            timeout: Seconds for all steps except the checks and restoring, as for `deploy`.
            journal: Path of a file that records the progress of the release, as for `deploy`.

        Returns:
            The new deployment, which is live.

        Raises:
            InvalidArgumentError: The source did not end with success, or belongs to the same environment, or an
                argument is malformed.
            NotFoundError: There is no such deployment or environment (404).
            StorageError: The ZIP cannot be downloaded or uploaded; nothing was deployed.
            AmbiguousOutcome: The response to the creation was lost, and the SDK cannot find out whether it happened.
            DeploymentFailed: The build ended without success.
            DeploymentUnhealthy: The deployment went live, and its site failed a check.
            WaitTimeout: The deployment did not end in time. The service continues it.
            JournalError: The journal cannot be used, or contains a release that is not finished.

        API: `getDeployment`, `getEnvironment`, `getDeploymentDownloadUrl`, `getDeploymentUploadUrl`,
        `createDeployment`; scope `launch:manage`, or `launch.projects:read` and `launch.projects:write`.
        """
        check_callback(on_log=on_log, on_progress=on_progress)
        title = f"Promotion to environment {environment_uid}"
        with _showing(progress, title, on_log=on_log, on_progress=on_progress) as observers:
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
        """Finish a release whose process was killed: wait for it, check it, and restore the previous version if needed.

        The call does not repeat a step that is done. For a finished release, the call returns or raises the result
        again, and sends only read requests.

        Args:
            journal: The path that you passed to `deploy` or `promote`.
            verify: The same checks that you passed to `deploy` or `promote`.
            on_log: Called once with each line of the build log while waiting.
            on_progress: Called with the number of uploaded bytes. It starts again from 0 if the upload starts again.
            progress: Whether to show the progress, as for `deploy`.
            timeout: Seconds until the deployment must have ended. Restoring the previous version may take the same time
                again.

        Returns:
            The deployment; None if the deployment was never created. You can then deploy again.

        Raises:
            InvalidArgumentError: The checks are not the checks that the release started with.
            ConfigurationError: The release belongs to another organization or address.
            JournalError: The file cannot be read, or is not a release journal. `JournalInUse` if another process uses
                the journal.
            AmbiguousOutcome: The SDK sent the request for the deployment before the crash, and cannot find out whether
                the service created the deployment.
            DeploymentFailed: The deployment ended without success.
            DeploymentUnhealthy: The site failed a check; `restored` is the deployment that restored the previous
                version.
            WaitTimeout: The deployment did not end in time. Resume the release again.
        """
        check_callback(on_log=on_log, on_progress=on_progress)
        title = f"Release of {os.fspath(journal)}"
        with _showing(progress, title, on_log=on_log, on_progress=on_progress) as observers:
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
        """Create a project from files, with its first environment and deployment, and wait until the site is live.

        Args:
            name: Name of the project, unique in the organization, at most 200 characters.
            source: A folder or a .zip, the bytes of a ZIP, an open binary file or an upload stream with the bytes of a
                ZIP, an `ArchiveListing` or an `Archive`, as for `deploy`.
            description: Free text, at most 255 characters.
            environment_name: Name of the environment, at most 200 characters.
            framework_preset: Framework preset, which determines how Launch builds and serves the site.
            output_directory: Folder with the built site. By default the folder of the preset, which is `./` for OTHER.
            build_command: Command that builds the site; no command by default.
            server_command: Command that starts the server.
            environment_variables: Variables of the environment: at most 128 variables and 14 KB, without empty values.
            wait: Whether to wait until the deployment has ended. If False, the call returns when it has found the
                deployment.
            on_log: Called once with each line of the build log while waiting.
            on_progress: Called with the number of uploaded bytes. It starts again from 0 if the upload starts again.
            progress: Whether to show the progress: as a card in a notebook, and elsewhere as one line for each step on
                standard output. The display sends no requests. By default, `launch_sync` shows the progress in an
                interactive session (Jupyter, IPython, a Python prompt) if there is no callback. `launch_async` does
                not show it by default.
            timeout: Seconds for packing, upload, creation and waiting together.
            secrets: How to handle files that contain secrets: `refuse` the deployment, `drop` the files (only from a
                folder), or `send` them.

        Returns:
            The project, its environment, and the deployment that went live.

        Raises:
            ArchiveError: The folder or ZIP cannot be uploaded; no request was sent.
            InvalidArgumentError: An argument breaks a rule of the service; no request was sent.
            StorageError: The upload failed permanently; nothing was created.
            ConflictError: A project with this name exists (409).
            AmbiguousOutcome: The response to the creation was lost, and the SDK cannot find out whether it happened.
            DeploymentFailed: The deployment ended without success. The project and the environment exist, so you can
                try again with `deploy()`.
            WaitTimeout: The project was created, but its deployment did not appear or did not end in time.
            DeadlineExceeded: The time ran out before the project was created.

        API: `getProjectUploadUrl`, `createProject`; scope `launch.projects:write` or `launch:manage`.
        """
        # Mask the values, because a traceback with local variables must not show them.
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
        title = f"Site {name}"
        with _showing(progress, title, on_log=on_log, on_progress=on_progress) as observers:
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
        """Wait until a deployment has ended. All waits for the same deployment share their polls.

        The client repeats a failed poll. The wait ends with an error if polls have failed for one minute, or
        immediately if another poll cannot succeed. An unknown status counts as running. Cancelling the wait does not
        cancel the deployment.

        Args:
            ref: The deployment, a reference to it, or the JSON of a reference. A deployment that has already ended is
                returned without a request.
            timeout: Seconds that the wait may take.
            on_update: Called with the first state, and with each state that differs from the previous one.
            progress: Whether to show the progress, as for `deploy`.

        Returns:
            The deployment: LIVE, or superseded (`status.is_superseded`) if another deployment has already replaced it.
            A rollback in the console may make a superseded deployment LIVE again.

        Raises:
            InvalidArgumentError: `ref` is not a deployment or a reference.
            DeploymentFailed: The deployment ended without success; `report` says why, with the end of its log.
            WaitTimeout: The deployment did not end in time. The service continues it. `last` is its last known state.
            LaunchError: The state cannot be read, for example `NotFoundError` or `UnauthorizedError`.

        API: `getDeployment`, `listDeployments`; scope `launch.projects:read` or `launch:manage`.
        """
        check_callback(on_update=on_update)
        uid = getattr(ref, "deployment_uid", None) or getattr(ref, "uid", "")
        with _showing(progress, f"Deployment {uid}".strip(), on_update=on_update) as observers:
            return await self._watching.wait(ref, timeout=timeout, on_update=observers.on_update)

    async def wait_all(
        self,
        refs: Iterable[DeploymentRef | Deployment | str],
        *,
        timeout: float = 3600.0,
        return_failures: bool = False,
    ) -> list[Deployment]:
        """Wait until all of several deployments have ended, even if some of them fail.

        Args:
            refs: The deployments, as for `wait`.
            timeout: Seconds for all deployments together.
            return_failures: Whether to return failed deployments instead of raising an error.

        Returns:
            The deployments in their last state, in the order of `refs`.

        Raises:
            InvalidArgumentError: One of `refs` is not a deployment or a reference.
            DeploymentsFailed: All deployments have ended, and some ended without success; `failures` has their reports.
            WaitTimeout: Some deployments did not end in time. The service continues them.
            LaunchError: The state of a deployment cannot be read; raised when the others have ended.

        API: `getDeployment`, `listDeployments`; scope `launch.projects:read` or `launch:manage`.
        """
        return await self._watching.wait_all(refs, timeout=timeout, return_failures=return_failures)

    def as_completed(
        self, refs: Iterable[DeploymentRef | Deployment | str], *, timeout: float = 3600.0
    ) -> AsyncIterator[Deployment]:
        """Iterate over deployments in the order in which they end, including failed deployments.

        Args:
            refs: The deployments, as for `wait`. A deployment that is listed twice is returned once.
            timeout: Seconds for all deployments together, from the first step of the iteration.

        Returns:
            An iterator over the deployments. Check `status.is_success` of each.

        Raises:
            InvalidArgumentError: One of `refs` is not a deployment or a reference.
            WaitTimeout: Some deployments did not end in time. The service continues them.
            LaunchError: The state of a deployment cannot be read; raised when the others have ended.

        API: `getDeployment`, `listDeployments`; scope `launch.projects:read` or `launch:manage`.
        """
        return self._watching.as_completed(refs, timeout=timeout)

    async def poll_once(self, ref: DeploymentRef | Deployment | str) -> Deployment:
        """Return the current state of a deployment, for a program with its own wait loop.

        If the rate limit is nearly used up, other calls have priority.

        Args:
            ref: The deployment, as for `wait`.

        Raises:
            InvalidArgumentError: `ref` is not a deployment or a reference.
            NotFoundError: The organization has no such deployment (404).

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
        """Iterate over the build log of a deployment until the deployment has ended, each line once and in time order.

        If the service publishes a line late, the iteration returns the line late, at the latest after the end of the
        deployment. A log that cannot be read does not end the iteration; a logger below `launch_async.watch` reports
        this once. `wait` returns or raises the result of the deployment.

        Args:
            ref: The deployment, as for `wait`.
            cursor: Position to continue from: a `LogCursor` or its JSON. The cursor moves with each line, and you can
                store it with `to_json()` after any line. By default the iteration starts with the first line.
            stage: Return only lines of this stage.
            level: Return only lines of at least this severity. The SDK guesses the severity from the text, because the
                service does not report it.

        Raises:
            InvalidArgumentError: `ref` is not a deployment or a reference, or `cursor` is not a cursor.
            LaunchError: The state of the deployment cannot be read.

        API: `getDeploymentLogs`, `getDeployment`; scope `launch.projects:read` or `launch:manage`.
        """
        return self._watching.follow_logs(ref, cursor=cursor, stage=stage, level=level)

    def follow_all(
        self,
        refs: Iterable[DeploymentRef | Deployment | str],
        *,
        stage: LogStage | str | None = None,
        level: Literal["info", "warning", "error"] | None = None,
    ) -> AsyncIterator[FollowedLine]:
        """Iterate over the build logs of several deployments at the same time, until all deployments have ended.

        The iteration delays each line by up to one second, to sort the lines by time.

        Args:
            refs: The deployments, as for `wait`.
            stage: Return only lines of this stage.
            level: Return only lines of at least this severity, as in `follow_logs`.

        Raises:
            InvalidArgumentError: One of `refs` is not a deployment or a reference.
            LaunchError: The state of a deployment cannot be read; raised when the others have ended.

        API: `getDeploymentLogs`, `getDeployment`; scope `launch.projects:read` or `launch:manage`.
        """
        return self._watching.follow_all(refs, stage=stage, level=level)

    def tail_server_logs(
        self,
        ref: DeploymentRef | Deployment | str,
        *,
        since: datetime | timedelta | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[ServerLogLine]:
        """Iterate over the server log of a site, each line once, until the time `until`, or without an end.

        If the service offers live logs, one request opens a session, and each line arrives when it is written. The
        client opens a session again when it ends or breaks, and reads the lines in between from the stored log. If
        there is no live log, the client reads the stored log every 3 s. The client does not miss a line that the stored
        log shows up to 15 s late.

        Args:
            ref: The deployment, as for `wait`.
            since: Start of the log: a time with a time zone, or a duration before now. The default is now.
            until: End of the log: a time with a time zone, which may be in the future.

        Raises:
            InvalidArgumentError: `ref` is not a deployment or a reference, or a time has no time zone.
            ServerLogsUnavailable: The deployment has no server log, for example because the site is static.
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
        """Return the OpenAPI document of the vendor, unchanged. The call needs no credentials.

        API: `GET /openapi`.
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
        """Send a request for which the client has no method. Rate limit, retries and errors are as for other calls.

        The path, the query and the body may contain secrets. Tracebacks do not show them, even with local variables.
        Errors leave out the values of environment variables, and of parameters and fields with a name like password,
        secret, token, private key, credential or signature.

        Args:
            method: HTTP method.
            path: Path below the base URL, percent-encoded, starting with `/`.
            query: Query parameters; None values are left out.
            json: JSON body; None for no body.
            timeout: Seconds for the whole call. By default the `timeout` of the client applies.

        Returns:
            The JSON document of the response; None if the response has no body.

        Raises:
            InvalidArgumentError: The method is unknown, or the path could lead to another host.
            APIError: The service refused the request, or failed.
        """
        path = Secret(path)
        query = hidden_json(query)
        json = hidden_json(json)
        from launch_async.http.raw_request import raw_call
        from launch_async.resources._resource import parsed_if_any, undisclosed

        call = raw_call(method, path, query or {}, json, timeout)
        return await self._pipeline.read(call, partial(undisclosed, partial(parsed_if_any, call.operation)))


def _showing(
    progress: bool | None,
    title: str,
    *,
    on_log: Callable[[LogLine], object] | None = None,
    on_progress: Callable[[int], object] | None = None,
    on_update: Callable[[Deployment], object] | None = None,
) -> AbstractContextManager[Observers]:
    """Show the progress of a deployment if requested; see `showing_deployment`."""
    from launch_async.watch.audience import Observers, showing_deployment

    return showing_deployment(progress, title, Observers(on_log=on_log, on_progress=on_progress, on_update=on_update))


def _check_kind(name: str, option: object, kind: type) -> None:
    # Without this check, a wrong object would fail later, in the middle of a call.
    if not isinstance(option, kind):
        raise ConfigurationError(f"{name} must be a {kind.__name__}, not {option!r}")


def _check_limiter(limiter: object) -> None:
    if limiter is not None and (isinstance(limiter, type) or not hasattr(limiter, "acquire")):
        kind = f"the class {limiter.__name__}" if isinstance(limiter, type) else f"a {kind_of(limiter)}"
        raise ConfigurationError(
            f"limiter must be a RateLimiter, not {kind}. To set the limit of your plan, pass rate_limit=RateLimit(...)"
        )


def _check_seconds(**seconds: float | Unset | None) -> None:
    for name, figure in seconds.items():
        unlimited = figure is None and name != "timeout"
        if not unlimited and not isinstance(figure, Unset) and not (isinstance(figure, int | float) and figure > 0):
            raise ConfigurationError(f"{name} must be a positive number of seconds, not {figure!r}")


def _check_bytes(**sizes: int | Unset) -> None:
    for name, size in sizes.items():
        if not isinstance(size, Unset) and not (isinstance(size, int) and size > 0):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{name} must be a positive number of bytes, not {size!r}")
