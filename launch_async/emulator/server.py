"""LaunchEmulator: a Launch to test against, in this process, on real sockets."""

import logging
import os
import shutil
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from launch_async.emulator.budget import Budget
from launch_async.emulator.builds.builds import Builds
from launch_async.emulator.builds.real_builds import Builder
from launch_async.emulator.builds.sites import Sites, netloc
from launch_async.emulator.clock import Clock
from launch_async.emulator.control.controls import EmulatorControls
from launch_async.emulator.control.faults import Faults
from launch_async.emulator.control.ledger import Ledger
from launch_async.emulator.control.orders import Control
from launch_async.emulator.credentials import Credentials, Issued
from launch_async.emulator.dispatcher import STORAGE, Dispatcher
from launch_async.emulator.latency import LatencyModel
from launch_async.emulator.operations import PUBLIC, Router, describe, offered
from launch_async.emulator.options import (
    IN_MEMORY,
    CommitForm,
    DownloadKey,
    EmulatorOptions,
    Latency,
    ListOrder,
    LogBound,
    OauthPath,
    RateWindow,
    RefusalBody,
    RequiredSetting,
    ScopeParameter,
    ServerLogsKey,
    UnsetFields,
    UpdateMethod,
    UploadExpiry,
    UploadStyle,
    UsageReset,
    UsageScope,
    VariablesUpdate,
    WhileBuilding,
    WrongRegion,
)
from launch_async.emulator.persistence import Snapshot, StateFile
from launch_async.emulator.service import Service
from launch_async.emulator.state import State, Uids
from launch_async.emulator.storage import Storage
from launch_async.emulator.transport import InMemoryTransport


class LaunchEmulator(EmulatorControls):
    """A faithful Contentstack Launch server on loopback.

    Use it as an async context manager, or call `start` and `stop`; the attribute `url` is its address. It has one
    organization at first, whose credentials are the attributes `organization_uid`, `authtoken`, `access_token`,
    `client_id` and `client_secret`.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one; None opens no socket: `transport` is the only way in.
        tls: serve https with this context, sites included.
        rate_limit: requests per second and organization; None for no limit.
        rate_window: how they are counted: in any second, in a second of the clock, or by a token bucket.
        rate_headers: send ``X-RateLimit-*``, and ``Retry-After`` with a 429.
        split_rate: count reads and writes apart.
        count_refused: let refused requests spend budget too.
        count_deletes: let DELETE spend budget, as every other method does.
        refusal_body: what a 429 of the budget has for a body: envelope A, a gateway's page, or nothing.
        latency: one-way delay in seconds, or a function that draws one, such as a `LogNormal`; taken on the way in and
            again on the way out.
        upload_style: the cloud whose signed uploads are handed out; ``gcp_form`` is the multipart way of GCP.
        upload_expiry: ``expiresIn`` as seconds or as an epoch in milliseconds.
        upload_seconds: how long signed URLs are valid.
        download_key: name of the URL in the answer of the download operation.
        build_seconds: length of builds that no script governs.
        queue_seconds: time a deployment spends QUEUED even if nothing else runs.
        create_delay: seconds by which a new project's first environment shows late; its deployment takes twice that.
        create_status: status of environment and deployment creation.
        revalidate_status: status of revalidations.
        revalidate_body: answer revalidations with ``{}``, or with no body at all.
        quota_status: status of a revalidation beyond the quota.
        usage_reset: ``usageReset`` as an ISO date or as an epoch in milliseconds.
        usage_scope: the scope that the usage of the quota asks for.
        revalidation_quota: revalidations per organization and day.
        log_bound: whether ``timestamp`` excludes or includes the line at that instant.
        server_logs_key: name of the list in the answer of the server logs; ``bare`` sends a bare list.
        static_server_logs_fail: answer 500 to server logs of a static site.
        server_logs_window_status: status for server logs without both ends of a window.
        log_retention: seconds after which log lines are gone; None keeps them.
        token_seconds: life of bearer tokens.
        oauth_path: the only path under which tokens are issued, the others being 404; or any of the three.
        scope_parameter: the only name under which a token request can ask for scopes; or either of the two.
        machine_refresh_token: hand out refresh tokens to M2M apps, too.
        second_factor_status: status that asks for the second factor at login.
        missing_organization_status: status of an authtoken without ``organization_uid``.
        check_bearer_organization: refuse a bearer beside which ``organization_uid`` names another organization.
        app_token_git_status: status that an app token gets for a Git variant: 403 ``launch.FORBIDDEN_RESOURCE``, or 401
            ``launch.GIT_PROVIDER.UNAUTHORIZED_ACCESS``.
        git_repository_status: echo the body of the undocumented PATCH of a project's repository, or answer 501.
        git_needs_commit: refuse a deployment of a Git project that names no commit.
        commit_form: take seven hex digits or more of a commit, or the forty of a whole hash only.
        git_connected: whether the organizations have a usable Git connection.
        environment_update: the method that changes an environment.
        wrong_method_status: status of a method that a path does not have.
        variables_update: whether the list of variables in an update replaces the old one, or is merged into it by key.
        required_settings: further fields that a new environment must have, under their wire names.
        while_building: what becomes of a deployment while another one builds: it waits, it is refused with 400, or the
            other one FAILED.
        deployments_kept: DEPLOYED ones of an environment that stay so; older ones become ARCHIVED. None keeps all.
        list_order: order of lists: newest first, oldest first, or by uid.
        unset_fields: leave out what is unset, or send null.
        domains: have the operations on domains, which are not public: list, update and check again.
        wrong_region: treat every credential as one of another region, answered in JSON (error 105) or XML.
        project_limit: projects an organization may have.
        environment_limit: environments a project may have.
        unpacked_limit: bytes an archive may unpack to.
        site_listeners: environments that get a port of their own; later ones get a path on the main port.
        control: answer under ``/__emulator__/``, where tests in other languages find what this class offers.
        build: really run the build command of an environment, as the user who runs the emulator.
        state: a file that keeps everything for the next emulator that is started with it.
        seed: makes uids and tokens the same from run to run.
        clock: the time in which everything happens; by default this machine's.

    Raises:
        ValueError: an option out of its range, or a state file that cannot be read.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        tls: ssl.SSLContext | None = None,
        rate_limit: int | None = 10,
        rate_window: RateWindow = "sliding",
        rate_headers: bool = False,
        split_rate: bool = False,
        count_refused: bool = False,
        count_deletes: bool = True,
        refusal_body: RefusalBody = "coded",
        latency: Latency = 0.0,
        upload_style: UploadStyle = "aws",
        upload_expiry: UploadExpiry = "seconds",
        upload_seconds: float = 600.0,
        download_key: DownloadKey = "downloadUrl",
        build_seconds: float = 0.3,
        queue_seconds: float = 0.0,
        create_delay: float = 0.0,
        create_status: int = 201,
        revalidate_status: int = 200,
        revalidate_body: bool = True,
        quota_status: int = 429,
        usage_reset: UsageReset = "iso",
        usage_scope: UsageScope = "any",
        revalidation_quota: int = 500,
        log_bound: LogBound = "exclusive",
        server_logs_key: ServerLogsKey = "logs",
        static_server_logs_fail: bool = False,
        server_logs_window_status: int = 400,
        log_retention: float | None = None,
        token_seconds: float = 3600.0,
        oauth_path: OauthPath = "any",
        scope_parameter: ScopeParameter = "either",
        machine_refresh_token: bool = False,
        second_factor_status: int = 422,
        missing_organization_status: int = 403,
        check_bearer_organization: bool = False,
        app_token_git_status: int = 403,
        git_repository_status: int = 200,
        git_needs_commit: bool = False,
        commit_form: CommitForm = "short",
        git_connected: bool = True,
        environment_update: UpdateMethod = "PUT",
        wrong_method_status: int = 405,
        variables_update: VariablesUpdate = "replace",
        required_settings: Iterable[RequiredSetting] = (),
        while_building: WhileBuilding = "queue",
        deployments_kept: int | None = None,
        list_order: ListOrder = "newest",
        unset_fields: UnsetFields = "omitted",
        domains: bool = False,
        wrong_region: WrongRegion | None = None,
        project_limit: int | None = None,
        environment_limit: int | None = None,
        unpacked_limit: int = 512 * 1024 * 1024,
        site_listeners: int = 200,
        control: bool = False,
        build: bool = False,
        state: str | os.PathLike[str] | None = None,
        seed: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        options = EmulatorOptions(
            host=host,
            port=port,
            tls=tls,
            rate_limit=rate_limit,
            rate_window=rate_window,
            rate_headers=rate_headers,
            split_rate=split_rate,
            count_refused=count_refused,
            count_deletes=count_deletes,
            refusal_body=refusal_body,
            latency=latency,
            upload_style=upload_style,
            upload_expiry=upload_expiry,
            upload_seconds=upload_seconds,
            download_key=download_key,
            build_seconds=build_seconds,
            queue_seconds=queue_seconds,
            create_delay=create_delay,
            create_status=create_status,
            revalidate_status=revalidate_status,
            revalidate_body=revalidate_body,
            quota_status=quota_status,
            usage_reset=usage_reset,
            usage_scope=usage_scope,
            revalidation_quota=revalidation_quota,
            log_bound=log_bound,
            server_logs_key=server_logs_key,
            static_server_logs_fail=static_server_logs_fail,
            server_logs_window_status=server_logs_window_status,
            log_retention=log_retention,
            token_seconds=token_seconds,
            oauth_path=oauth_path,
            scope_parameter=scope_parameter,
            machine_refresh_token=machine_refresh_token,
            second_factor_status=second_factor_status,
            missing_organization_status=missing_organization_status,
            check_bearer_organization=check_bearer_organization,
            app_token_git_status=app_token_git_status,
            git_repository_status=git_repository_status,
            git_needs_commit=git_needs_commit,
            commit_form=commit_form,
            git_connected=git_connected,
            environment_update=environment_update,
            wrong_method_status=wrong_method_status,
            variables_update=variables_update,
            required_settings=tuple(required_settings),
            while_building=while_building,
            deployments_kept=deployments_kept,
            list_order=list_order,
            unset_fields=unset_fields,
            domains=domains,
            wrong_region=wrong_region,
            project_limit=project_limit,
            environment_limit=environment_limit,
            unpacked_limit=unpacked_limit,
            site_listeners=site_listeners,
            control=control,
            build=build,
            state=None if state is None else Path(state).resolve(),
            seed=seed,
            clock=clock,
        )
        self._runner: web.ServerRunner | None = None
        self._builder: Builder | None = None
        self._folder: Path | None = None
        self._state_file = None if options.state is None else StateFile(options.state)
        snapshot = None if self._state_file is None else self._state_file.load()
        super().__init__(_assemble(options, snapshot), None if snapshot is None else snapshot.first)
        orders = Control(self, self._service) if options.control else None
        self._dispatcher = Dispatcher(self._service, Router(offered(options)), orders)
        if options.port is None:
            self.url: str = f"http://{IN_MEMORY}"

    async def start(self) -> None:
        """Listen. Afterwards `url` is known.

        Raises:
            OSError: the port is taken.
        """
        if self._folder is not None:
            return
        service, options = self._service, self._service.options
        address = IN_MEMORY if options.port is None else await self._listen(options.port)
        self._folder = self._make_folder()
        service.storage.open(self.url, self._folder)
        service.sites.main_address = address
        if options.build:
            self._builder = Builder(service.builds, service.clock, self._folder)
            service.builds.run_command = self._builder.begin
        if options.port is not None:
            await service.sites.start(_http_server(self._dispatcher.site))
        if self._state_file is not None:
            service.changed = self._save
            service.builds.resume()
            for environment in service.state.environments.values():
                if environment.deployments:
                    await service.sites.open(environment)

    def transport(self) -> InMemoryTransport:
        """A way in without a socket, for `LaunchClient(transport=...)`; uploads need a started emulator."""
        return InMemoryTransport(self._dispatcher.main)

    async def stop(self) -> None:
        """Close every connection and remove every file."""
        await self._service.sites.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._builder is not None:
            await self._builder.stop()
            self._builder = None
        if self._folder is not None and self._state_file is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        elif self._folder is not None:
            self._save()
        self._folder = None

    async def _listen(self, port: int) -> str:
        """Open the main port; returns its address and sets `url`."""
        options = self._service.options
        self._runner = web.ServerRunner(_http_server(self._dispatcher.main), shutdown_timeout=0.1)
        await self._runner.setup()
        listener = web.TCPSite(self._runner, options.host, port, ssl_context=options.tls)
        try:
            await listener.start()
        except OSError:
            await self.stop()
            raise
        address = netloc(options.host, listener.port)
        self.url = f"{'http' if options.tls is None else 'https'}://{address}"
        return address

    def _make_folder(self) -> Path:
        if self._state_file is None:
            return Path(tempfile.mkdtemp(prefix="launch-emulator-"))
        self._state_file.folder.mkdir(parents=True, exist_ok=True)
        return self._state_file.folder

    def _save(self) -> None:
        if self._state_file is not None:
            self._state_file.save(self._service, self._first)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()


def _http_server(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> web.Server:
    """A server that writes no log of requests, nor of what its callers do wrong.

    What is no HTTP gets a 400. Who hangs up in the middle of a request gets nothing, and needs no traceback.
    """
    log = logging.getLogger("launch_async.emulator.http")
    log.addFilter(_is_our_fault)
    return web.Server(answer, access_log=None, logger=log)


def _is_our_fault(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], (HttpProcessingError, ConnectionError))


def _assemble(options: EmulatorOptions, snapshot: Snapshot | None) -> Service:
    clock, state, uids = options.clock or Clock(), State(), Uids(options.seed)
    if snapshot is not None:
        # A seed would draw the uids again that the state already holds.
        clock, state, uids = Clock(clock.ticks, advanced=snapshot.advanced), snapshot.state, Uids(None)
    credentials = Credentials(options, state, uids, clock, Issued() if snapshot is None else snapshot.issued)
    return Service(
        options=options,
        clock=clock,
        uids=uids,
        state=state,
        builds=Builds(options, state, uids),
        credentials=credentials,
        budget=Budget(options, state, clock),
        storage=Storage(options, state, uids, clock),
        sites=Sites(options, state, clock),
        travel=LatencyModel(options.latency),
        faults=Faults((*(operation.id for operation in offered(options)), *STORAGE)),
        ledger=Ledger(clock.ticks),
        openapi=describe(PUBLIC),
    )
