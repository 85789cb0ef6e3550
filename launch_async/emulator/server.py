"""LaunchEmulator: a Launch to test against, in this process, on real sockets."""

import shutil
import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from attrs import frozen

from launch_async.emulator.budget import Budget
from launch_async.emulator.builds import Builds
from launch_async.emulator.clock import Clock
from launch_async.emulator.credentials import MANAGE, Credentials, TokenKind
from launch_async.emulator.faults import Faults
from launch_async.emulator.front import FrontDoor
from launch_async.emulator.ledger import Ledger
from launch_async.emulator.operations import OPEN, PUBLIC, Router, describe
from launch_async.emulator.options import (
    DownloadKey,
    EmulatorOptions,
    Latency,
    LogBound,
    RateWindow,
    ServerLogsKey,
    UploadExpiry,
    UploadStyle,
    WrongRegion,
)
from launch_async.emulator.script import LogLine, Scripts, script_of
from launch_async.emulator.service import Service
from launch_async.emulator.sites import Sites
from launch_async.emulator.state import Environment, Organization, Project, State, Uids
from launch_async.emulator.storage import Storage


@frozen(repr=False)
class OrganizationCredentials:
    """An organization of the emulator with everything one can call it with.

    Attributes:
        organization_uid: ``blt`` and 16 hex digits.
        authtoken: session token of a user of the organization.
        access_token: bearer token of that user, scope ``launch:manage``.
        client_id: of an M2M app of the organization.
        client_secret: its secret.
        email: with which that user logs in.
        password: with which that user logs in.
    """

    organization_uid: str
    authtoken: str
    access_token: str
    client_id: str
    client_secret: str
    email: str
    password: str

    def __repr__(self) -> str:
        return f"OrganizationCredentials(organization_uid={self.organization_uid!r})"


class LaunchEmulator:
    """A faithful Contentstack Launch server on loopback.

    Use it as an async context manager, or call `start` and `stop`. It starts with one organization, whose credentials are
    the attributes `organization_uid`, `authtoken`, `access_token`, `client_id` and `client_secret`.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        tls: serve https with this context, sites included.
        rate_limit: requests per second and organization; None for no limit.
        rate_window: how they are counted: in any second, in a second of the clock, or by a token bucket.
        rate_headers: send ``X-RateLimit-*``, and ``Retry-After`` with a 429.
        split_rate: count reads and writes apart.
        count_refused: let refused requests spend budget too.
        latency: one-way delay in seconds, or a function that draws one, taken on the way in and again on the way out.
        upload_style: the cloud whose signed uploads are handed out.
        upload_expiry: ``expiresIn`` as seconds or as an epoch in milliseconds.
        upload_seconds: how long signed URLs are valid.
        download_key: name of the URL in the answer of the download operation.
        build_seconds: length of builds that no script governs.
        queue_seconds: time a deployment spends QUEUED even if nothing else runs.
        create_delay: seconds by which the first environment of a new project shows late; its deployment takes twice that.
        create_status: status of environment and deployment creation.
        revalidate_status: status of revalidations.
        revalidation_quota: revalidations per organization and day.
        log_bound: whether ``timestamp`` excludes or includes the line at that instant.
        server_logs_key: name of the list in the answer of the server logs; ``bare`` sends a bare list.
        static_server_logs_fail: answer 500 to server logs of a static site.
        token_seconds: life of bearer tokens.
        second_factor_status: status that asks for the second factor at login.
        git_connected: whether the organizations have a usable Git connection.
        wrong_region: treat every credential as one of another region, answered in JSON (error 105) or XML.
        project_limit: projects an organization may have.
        environment_limit: environments a project may have.
        unpacked_limit: bytes an archive may unpack to.
        site_listeners: environments that get a port of their own; later ones get a path on the main port.
        seed: makes uids and tokens the same from run to run.

    Raises:
        ValueError: an option out of its range.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        rate_limit: int | None = 10,
        rate_window: RateWindow = "sliding",
        rate_headers: bool = False,
        split_rate: bool = False,
        count_refused: bool = False,
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
        revalidation_quota: int = 500,
        log_bound: LogBound = "exclusive",
        server_logs_key: ServerLogsKey = "logs",
        static_server_logs_fail: bool = False,
        token_seconds: float = 3600.0,
        second_factor_status: int = 422,
        git_connected: bool = True,
        wrong_region: WrongRegion | None = None,
        project_limit: int | None = None,
        environment_limit: int | None = None,
        unpacked_limit: int = 512 * 1024 * 1024,
        site_listeners: int = 200,
        seed: int | None = None,
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
            revalidation_quota=revalidation_quota,
            log_bound=log_bound,
            server_logs_key=server_logs_key,
            static_server_logs_fail=static_server_logs_fail,
            token_seconds=token_seconds,
            second_factor_status=second_factor_status,
            git_connected=git_connected,
            wrong_region=wrong_region,
            project_limit=project_limit,
            environment_limit=environment_limit,
            unpacked_limit=unpacked_limit,
            site_listeners=site_listeners,
            seed=seed,
        )
        self._folder = Path(tempfile.mkdtemp(prefix="launch-emulator-"))
        self._service = _assemble(options, self._folder)
        self._runner: web.ServerRunner | None = None
        self._first = self.add_organization("Emulated organization")
        self.url = ""

    @property
    def organization_uid(self) -> str:
        """Uid of the first organization."""
        return self._first.organization_uid

    @property
    def authtoken(self) -> str:
        """Session token of its user."""
        return self._first.authtoken

    @property
    def access_token(self) -> str:
        """Bearer token of its user, scope ``launch:manage``."""
        return self._first.access_token

    @property
    def client_id(self) -> str:
        """Client id of its M2M app."""
        return self._first.client_id

    @property
    def client_secret(self) -> str:
        """Client secret of its M2M app."""
        return self._first.client_secret

    @property
    def email(self) -> str:
        """Login name of its user."""
        return self._first.email

    @property
    def password(self) -> str:
        """Password of its user."""
        return self._first.password

    @property
    def faults(self) -> Faults:
        """Failures on demand."""
        return self._service.faults

    @property
    def ledger(self) -> Ledger:
        """Every request that arrived, and what was created."""
        return self._service.ledger

    @property
    def clock(self) -> Clock:
        """The time in which builds run and credentials expire."""
        return self._service.clock

    @property
    def scripts(self) -> Scripts:
        """The scripts that wait for a deployment."""
        return self._service.builds.scripts

    async def start(self) -> None:
        """Listen. Afterwards `url` is known.

        Raises:
            OSError: the port is taken.
        """
        if self._runner is not None:
            return
        self._folder.mkdir(exist_ok=True)
        service, options = self._service, self._service.options
        front = FrontDoor(service, Router((*PUBLIC, *OPEN)))
        self._runner = web.ServerRunner(web.Server(front.main, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        listener = web.TCPSite(self._runner, options.host, options.port, ssl_context=options.tls)
        try:
            await listener.start()
        except OSError:
            await self.stop()
            raise
        address = f"{options.host}:{listener.port}"
        self.url = f"{'http' if options.tls is None else 'https'}://{address}"
        service.storage.origin = self.url
        service.sites.main_address = address
        await service.sites.start(web.Server(front.site, access_log=None))

    async def stop(self) -> None:
        """Close every connection and remove every file."""
        await self._service.sites.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        shutil.rmtree(self._folder, ignore_errors=True)

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

    def add_organization(
        self, name: str = "Organization", *, rate_limit: int | None = -1, second_factor: str | None = None
    ) -> OrganizationCredentials:
        """Add an organization with a user and an M2M app.

        Args:
            name: as the organization list shows it.
            rate_limit: its requests per second, None for no limit; by default the emulator's.
            second_factor: the code that its user must give at login.
        """
        service = self._service
        organization = Organization(
            uid=service.uids.platform(),
            name=name,
            rate_limit=service.options.rate_limit if rate_limit == -1 else rate_limit,
            revalidation_quota=service.options.revalidation_quota,
            user_uid=service.uids.platform(),
        )
        service.state.organizations[organization.uid] = organization
        email = f"user-{len(service.state.organizations)}@example.com"
        password = service.uids.secret("")
        user = service.credentials.add_user(email, password, second_factor, [organization])
        app = service.credentials.add_app(organization, machine_to_machine=True)
        return OrganizationCredentials(
            organization_uid=organization.uid,
            authtoken=service.credentials.log_in(user),
            access_token=self.issue_token(organization_uid=organization.uid),
            client_id=app.client_id,
            client_secret=app.client_secret,
            email=email,
            password=password,
        )

    def issue_token(
        self,
        *,
        scopes: Iterable[str] = (MANAGE,),
        kind: TokenKind = "user",
        seconds: float | None = None,
        organization_uid: str | None = None,
    ) -> str:
        """A new bearer token.

        Args:
            scopes: what it may do.
            kind: of a user, or of an app (M2M), which may not use Git repositories.
            seconds: its life; by default the emulator's ``token_seconds``.
            organization_uid: whose it is; by default the first organization's.

        Raises:
            ValueError: a scope that Launch does not have.
            KeyError: no such organization.
        """
        life = self._service.options.token_seconds if seconds is None else seconds
        return self._service.credentials.issue_access(self._organization(organization_uid), kind, scopes, life)

    def advance(self, seconds: float) -> None:
        """Move the time of builds, logs, tokens and signed URLs forward at once.

        Raises:
            ValueError: ``seconds`` is negative.
        """
        self._service.clock.advance(seconds)
        self._service.builds.settle(self._service.clock.now())

    def script(
        self,
        outcome: str = "LIVE",
        *,
        seconds: float | None = None,
        queue_seconds: float | None = None,
        lines: Iterable[LogLine | str] | None = None,
        running_status: str = "DEPLOYING",
        times: int | None = 1,
        project_uid: str | None = None,
        environment_uid: str | None = None,
    ) -> None:
        """Have the next ``times`` matching deployments go as told; see `Script` and `Scripts.add`."""
        course = script_of(
            outcome, seconds=seconds, queue_seconds=queue_seconds, lines=lines, running_status=running_status
        )
        self.scripts.add(course, times=times, project_uid=project_uid, environment_uid=environment_uid)

    def add_project(
        self,
        name: str,
        *,
        environments: Iterable[str] = ("production",),
        git: bool = False,
        framework_preset: str = "OTHER",
        variables: Iterable[tuple[str, str]] = (),
        deployments: int = 0,
        organization_uid: str | None = None,
    ) -> Project:
        """Put a project into the state directly, without a request.

        Args:
            name: its name.
            environments: names of its environments.
            git: a GITPROVIDER project instead of a FILEUPLOAD one.
            framework_preset: of all its environments.
            variables: of all its environments, as (key, value).
            deployments: how many deployments each environment has behind it; the last one is LIVE.
            organization_uid: whose it is; by default the first organization's.

        Raises:
            ValueError: an organization has a project of that name.
            KeyError: no such organization.
        """
        service, now = self._service, self.clock.now()
        organization = self._organization(organization_uid)
        if any(project.name == name for project in organization.projects.values()):
            raise ValueError(f"there is a project named {name!r} already")
        repository: dict[str, object] = {
            "repositoryName": f"acme/{name}",
            "username": "acme",
            "repositoryUrl": f"https://github.com/acme/{name}",
            "gitProvider": "GitHub",
        }
        project = Project(
            uid=service.uids.launch(),
            organization=organization,
            name=name,
            kind="GITPROVIDER" if git else "FILEUPLOAD",
            created_at=now,
            updated_at=now,
            repository=repository if git else None,
        )
        organization.projects[project.uid] = project
        settings: dict[str, object] = {
            "frameworkPreset": framework_preset,
            "environmentVariables": [{"key": key, "value": value} for key, value in variables],
        }
        if git:
            settings["gitBranch"] = "main"
        for environment_name in environments:
            environment = Environment(
                uid=service.uids.launch(),
                project=project,
                settings={"name": environment_name, **settings},
                created_at=now,
                updated_at=now,
                hook_uid=service.uids.launch(),
            )
            environment.address = service.sites.fallback_address(environment) if deployments else None
            service.state.keep_environment(environment)
            for _ in range(deployments):
                service.builds.add_finished(environment, now)
        return project

    def deploy_hook_url(self, environment_uid: str) -> str:
        """The secret URL that deploys an environment.

        Raises:
            KeyError: no such environment.
        """
        return f"{self.url}/manage/deploy/{self._service.state.environments[environment_uid].hook_uid}"

    def add_server_log(
        self, deployment_uid: str, message: str, *, source: str = "server", at: float | None = None
    ) -> None:
        """Add a line to a deployment's server log.

        Args:
            deployment_uid: whose log.
            message: the text.
            source: who wrote it.
            at: epoch seconds; by default now.

        Raises:
            KeyError: no such deployment.
        """
        stamp = int((self.clock.now() if at is None else at) * 1000)
        self._service.state.deployments[deployment_uid].server_lines.append((stamp, source, message))

    def revoke_token(self, token: str) -> bool:
        """End a bearer or refresh token at once; False if there was none."""
        return self._service.credentials.revoke(token)

    def _organization(self, uid: str | None) -> Organization:
        return self._service.state.organizations[self.organization_uid if uid is None else uid]


def _assemble(options: EmulatorOptions, folder: Path) -> Service:
    clock, state, uids = Clock(), State(), Uids(options.seed)
    return Service(
        options=options,
        clock=clock,
        uids=uids,
        state=state,
        builds=Builds(options, state, uids),
        credentials=Credentials(options, state, uids, clock),
        budget=Budget(options),
        storage=Storage(options, state, uids, clock, folder),
        sites=Sites(options, state, clock),
        openapi=describe(PUBLIC),
    )
