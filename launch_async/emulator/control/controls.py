"""The controls of an emulator: tokens, scripts, faults, time, and projects or deployments that need no request."""

from collections.abc import Iterable
from typing import Final, Literal, Unpack

from attrs import frozen

from launch_async.emulator.auth.credentials import CODE_SECONDS, MANAGE, Grant, TokenKind
from launch_async.emulator.builds.script import LogLine, Scripts, script_of
from launch_async.emulator.clock import Clock, milliseconds
from launch_async.emulator.control.faults import Faults
from launch_async.emulator.control.preload import add_project
from launch_async.emulator.ledger import Ledger
from launch_async.emulator.options import FIXED, EmulatorKeywords, with_changes
from launch_async.emulator.service import Service
from launch_async.emulator.state import Domain, Organization, Project, ServerLine

BUDGET_OPTIONS: Final = frozenset({"rate_limit", "rate_window", "split_rate", "count_refused"})
LATENCY_OPTIONS: Final = frozenset({"latency", "latency_sigma"})


@frozen(repr=False)
class OrganizationCredentials:
    """An organization of the emulator, with its credentials.

    Attributes:
        organization_uid: ``blt`` and 16 hex digits.
        authtoken: Session token of a user of the organization.
        access_token: Bearer token of that user, scope ``launch:manage``.
        client_id: Client id of an M2M app of the organization.
        client_secret: Client secret of the app.
        email: E-mail address with which the user logs in.
        password: Password with which the user logs in.
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


class EmulatorControls:
    """Base class of `LaunchEmulator`, with the methods that need no socket."""

    def __init__(self, service: Service, first: OrganizationCredentials | None) -> None:
        self.url = ""
        self._service = service
        self._first = self._first_organization() if first is None else first
        self._control_secret = service.uids.secret("control")

    @property
    def organization_uid(self) -> str:
        """UID of the first organization."""
        return self._first.organization_uid

    @property
    def authtoken(self) -> str:
        """Session token of the first organization's user."""
        return self._first.authtoken

    @property
    def access_token(self) -> str:
        """Bearer token of the first organization's user, scope ``launch:manage``."""
        return self._first.access_token

    @property
    def client_id(self) -> str:
        """Client id of the first organization's M2M app."""
        return self._first.client_id

    @property
    def client_secret(self) -> str:
        """Client secret of the first organization's M2M app."""
        return self._first.client_secret

    @property
    def email(self) -> str:
        """E-mail address with which the first organization's user logs in."""
        return self._first.email

    @property
    def password(self) -> str:
        """Password with which the first organization's user logs in."""
        return self._first.password

    @property
    def control_secret(self) -> str:
        """Secret that each order under ``/__emulator__/`` must contain in the header ``Emulator-Secret``."""
        return self._control_secret

    @property
    def faults(self) -> Faults:
        """Rules that make requests fail."""
        return self._service.faults

    @property
    def ledger(self) -> Ledger:
        """Record of every request, of everything that was created, and of every purge."""
        return self._service.ledger

    @property
    def clock(self) -> Clock:
        """Clock of builds, logs and credentials."""
        return self._service.clock

    @property
    def scripts(self) -> Scripts:
        """Scripts for the next deployments."""
        return self._service.builds.scripts

    def change(self, **changes: Unpack[EmulatorKeywords]) -> None:
        """Change options while the emulator runs.

        If an option of the rate limit changes, the emulator starts to count requests from zero.

        Args:
            changes: The options; `EmulatorOptions` describes them.

        Raises:
            TypeError: An option does not exist.
            ValueError: An option is out of its range, or cannot be changed after the start.
        """
        options = self._service.options
        chosen = with_changes(options, changes)
        if late := sorted(FIXED & changes.keys()):
            raise ValueError(f"{', '.join(late)} cannot be changed while an emulator runs: start another emulator")
        for name in changes:
            setattr(options, name, getattr(chosen, name))
        if changes.keys() & BUDGET_OPTIONS:
            self._service.budget.restart()
        if changes.keys() & LATENCY_OPTIONS:
            self._service.latency.restart()

    def add_organization(
        self, name: str = "Organization", *, rate_limit: int | None = -1, second_factor: str | None = None
    ) -> OrganizationCredentials:
        """Add an organization with a user and an M2M app.

        Args:
            name: Name in the list of organizations.
            rate_limit: Requests per second; None for no limit. The default is the option of the emulator.
            second_factor: Code that the user must enter at login.
        """
        limit = self._service.options.rate_limit if rate_limit == -1 else rate_limit
        return self._add_organization(name, self._service.uids.platform(), limit, second_factor)

    def _first_organization(self) -> OrganizationCredentials:
        service = self._service
        taped = None if service.replay is None else service.replay.tape.organization_uid
        uid = service.uids.platform() if taped is None else taped
        return self._add_organization("Emulated organization", uid, service.options.rate_limit, None)

    def _add_organization(
        self, name: str, uid: str, rate_limit: int | None, second_factor: str | None
    ) -> OrganizationCredentials:
        service = self._service
        organization = Organization(
            uid=uid,
            name=name,
            rate_limit=rate_limit,
            revalidation_quota=service.options.revalidation_quota,
            user_uid=service.uids.platform(),
        )
        service.state.add(organization)
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
        """Return a new bearer token.

        Args:
            scopes: Scopes of the token. The default, ``launch:manage``, allows everything.
            kind: Owner of the token: a user, or an M2M app, which cannot use Git repositories.
            seconds: Lifetime of the token in seconds. The default is the option ``token_seconds``.
            organization_uid: Organization of the token. The default is the first organization.

        Raises:
            ValueError: Launch does not have one of the scopes.
            KeyError: The organization does not exist.
        """
        life = self._service.options.token_seconds if seconds is None else seconds
        return self._service.credentials.issue_access(self._organization(organization_uid), kind, scopes, life)

    def advance(self, seconds: float) -> None:
        """Move the time of builds, logs, tokens and signed URLs forward.

        Raises:
            ValueError: ``seconds`` is negative, or the new time is after the year 9000.
        """
        self._service.clock.advance(seconds)
        self._service.builds.apply_due_events(self._service.clock.now())
        self._service.live_logs.wake()

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
        """Set the script of the next ``times`` matching deployments.

        `Script` and `Scripts.add` describe the arguments.
        """
        build_script = script_of(
            outcome, seconds=seconds, queue_seconds=queue_seconds, lines=lines, running_status=running_status
        )
        self.scripts.add(build_script, times=times, project_uid=project_uid, environment_uid=environment_uid)

    def add_deployment(
        self,
        environment_uid: str,
        outcome: str = "LIVE",
        *,
        seconds: float | None = None,
        queue_seconds: float | None = None,
        lines: Iterable[LogLine | str] | None = None,
        running_status: str = "DEPLOYING",
        at: float | None = None,
    ) -> str:
        """Add a deployment to an environment without a request. The deployment does not wait for other builds.

        Args:
            environment_uid: UID of the environment.
            outcome: Last status of the deployment. `Script` describes this argument and the next four arguments.
            seconds: See `Script`.
            queue_seconds: See `Script`.
            lines: See `Script`.
            running_status: See `Script`.
            at: Time of the creation in epoch seconds; by default the current time. If the time is in the future, the
                deployment appears at that time.

        Returns:
            UID of the deployment.

        Raises:
            KeyError: The environment does not exist.
        """
        build_script = script_of(
            outcome, seconds=seconds, queue_seconds=queue_seconds, lines=lines, running_status=running_status
        )
        environment = self._service.state.environments[environment_uid]
        now = self.clock.now()
        deployment = self._service.builds.add(environment, build_script, now if at is None else at)
        self._service.builds.apply_due_events(now)
        return deployment.uid

    def roll_back(self, deployment_uid: str) -> None:
        """Roll back as the console does: make a superseded deployment LIVE again, without a build.

        The rollback supersedes the deployment that was LIVE. The site then has the files and the settings of the
        restored deployment.

        Args:
            deployment_uid: UID of a deployment with `isRollbackEligible`.

        Raises:
            KeyError: The deployment does not exist.
            ValueError: The deployment is not eligible for a rollback.
        """
        now = self.clock.now()
        self._service.builds.apply_due_events(now)
        self._service.builds.roll_back(self._service.state.deployments[deployment_uid], now)

    def add_app(self, *, machine_to_machine: bool = False, organization_uid: str | None = None) -> tuple[str, str]:
        """Register an OAuth app, and return its client id and client secret.

        Args:
            machine_to_machine: Register an M2M app instead of a standard app. `authorize` needs a standard app.
            organization_uid: Organization of the app. The default is the first organization.

        Raises:
            KeyError: The organization does not exist.
        """
        organization = self._organization(organization_uid)
        app = self._service.credentials.add_app(organization, machine_to_machine=machine_to_machine)
        return app.client_id, app.client_secret

    def authorize(
        self,
        client_id: str,
        redirect_uri: str,
        *,
        scopes: Iterable[str] = (MANAGE,),
        code_challenge: str | None = None,
        code_challenge_method: Literal["plain", "S256"] = "S256",
    ) -> str:
        """Authorize an app, as a user does in the browser, and return the code of the redirect.

        Args:
            client_id: Client id of the app.
            redirect_uri: Redirect URI. The exchange of the code must contain the same URI.
            scopes: Scopes that the user allows. The default, ``launch:manage``, allows everything.
            code_challenge: Challenge for PKCE. Without a challenge, the app needs its secret.
            code_challenge_method: Method that computed the challenge from the verifier.

        Returns:
            A code that can be exchanged once, within 60 s.

        Raises:
            KeyError: The app does not exist.
        """
        return self._service.credentials.issue_code(
            Grant(
                app=self._service.credentials.issued.apps[client_id],
                redirect_uri=redirect_uri,
                scopes=frozenset(scopes),
                expires_at=self.clock.now() + CODE_SECONDS,
                challenge=code_challenge,
                challenge_method=code_challenge_method,
            )
        )

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
        """Add a project without a request.

        Args:
            name: Name of the project.
            environments: Names of its environments.
            git: Add a GITPROVIDER project instead of a FILEUPLOAD project.
            framework_preset: Framework preset of all its environments.
            variables: Variables of all its environments, as pairs of key and value.
            deployments: Number of finished deployments of each environment; the last deployment is LIVE.
            organization_uid: Organization of the project. The default is the first organization.

        Raises:
            ValueError: The organization already has a project with this name, two environments have the same name, or
                ``environments`` is a string.
            KeyError: The organization does not exist.
        """
        if isinstance(environments, str):
            raise ValueError(f"environments is a string: pass a list of names, such as [{environments!r}]")
        settings: dict[str, object] = {
            "frameworkPreset": framework_preset,
            "environmentVariables": [{"key": key, "value": value} for key, value in variables],
        }
        return add_project(
            self._service,
            self._organization(organization_uid),
            name,
            environments,
            git=git,
            settings=settings,
            deployments=deployments,
        )

    def deploy_hook_url(self, environment_uid: str) -> str:
        """Return the deploy hook of an environment: a secret URL that deploys the environment.

        Raises:
            KeyError: The environment does not exist.
        """
        return f"{self.url}/manage/deploy/{self._service.state.environments[environment_uid].hook_uid}"

    def push(self, environment_uid: str, commit_hash: str) -> str | None:
        """Report a new commit, as the Git host does. An environment with ``autoDeployOnPush`` then deploys the commit.

        Without a usable Git connection, the push deploys nothing. The real service has had outages of this kind.

        Returns:
            UID of the deployment; None if the push deploys nothing.

        Raises:
            KeyError: The environment does not exist.
        """
        service = self._service
        environment = service.state.environments[environment_uid]
        if not (environment.settings.get("autoDeployOnPush") and service.options.git_connected):
            return None
        now = service.clock.now()
        service.builds.apply_due_events(now)
        deployment = service.builds.create(environment, now, commit_hash=commit_hash)
        service.created("deployment", deployment.uid, str(deployment.number), environment.uid)
        return deployment.uid

    def add_domain(self, environment_uid: str, url: str) -> str:
        """Add a custom domain to an environment, and return the UID of the domain.

        Raises:
            KeyError: The environment does not exist.
        """
        environment = self._service.state.environments[environment_uid]
        domain = Domain(uid=self._service.uids.launch(), environment=environment, url=url)
        self._service.state.add(domain)
        return domain.uid

    def add_server_log(
        self, deployment_uid: str, message: str, *, source: str = "server", at: float | None = None, late: float = 0.0
    ) -> None:
        """Add a line to a deployment's server log.

        Args:
            deployment_uid: UID of the deployment.
            message: Text of the line.
            source: Part of the site that wrote the line.
            at: Time of the line in epoch seconds; by default the current time.
            late: Seconds after ``at`` until the stored log contains the line. The live log sends the line immediately.

        Raises:
            KeyError: The deployment does not exist.
        """
        written = self.clock.now() if at is None else at
        deployment = self._service.state.deployments[deployment_uid]
        visible_at = written + late if late else 0.0
        lines = deployment.server_lines
        number = lines[-1].number + 1 if lines else 1
        line = ServerLine(milliseconds(written), source, message, visible_at, number)
        deployment.add_server_line(line)
        self._service.live_logs.add(deployment, line)
        self._service.state.record_change(deployment)

    def break_live_logs(self) -> int:
        """Break every connection that reads a live server log, and return the number of connections."""
        return self._service.live_logs.break_all()

    @property
    def live_log_readers(self) -> int:
        """Number of connections that read a live server log."""
        return len(self._service.live_logs.sessions)

    def revoke_token(self, token: str) -> bool:
        """Revoke a bearer or refresh token. Return False if the token does not exist."""
        return self._service.credentials.revoke(token)

    def _organization(self, uid: str | None) -> Organization:
        return self._service.state.organizations[self.organization_uid if uid is None else uid]
