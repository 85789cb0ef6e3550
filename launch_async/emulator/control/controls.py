"""What a test can do to Launch besides calling it: tokens, scripts, faults, time, and things put there directly."""

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


class EmulatorControls:
    """The part of `LaunchEmulator` that needs no socket."""

    def __init__(self, service: Service, first: OrganizationCredentials | None) -> None:
        self.url = ""
        self._service = service
        self._first = self._first_organization() if first is None else first
        self._control_secret = service.uids.secret("control")

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
    def control_secret(self) -> str:
        """What an order under ``/__emulator__/`` must have in its header ``Emulator-Secret``."""
        return self._control_secret

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

    def change(self, **changes: Unpack[EmulatorKeywords]) -> None:
        """Change options while the emulator runs. The budget counts from zero where its options change.

        Args:
            changes: the options; `EmulatorOptions` explains them.

        Raises:
            TypeError: there is no such option.
            ValueError: an option out of its range, or one that counts only when the emulator starts.
        """
        options = self._service.options
        chosen = with_changes(options, changes)
        if late := sorted(FIXED & changes.keys()):
            raise ValueError(f"{', '.join(late)}: chosen when an emulator is made, and not changed later")
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
            name: as the organization list shows it.
            rate_limit: its requests per second, None for no limit; by default the emulator's.
            second_factor: the code that its user must give at login.
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
        service.state.keep(organization)
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
            scopes: what it may do; ``launch:manage`` by default, which is everything.
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
        """Have the next ``times`` matching deployments go as told; see `Script` and `Scripts.add`."""
        course = script_of(
            outcome, seconds=seconds, queue_seconds=queue_seconds, lines=lines, running_status=running_status
        )
        self.scripts.add(course, times=times, project_uid=project_uid, environment_uid=environment_uid)

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
        """Put a deployment into an environment without a request; it builds beside whatever else builds there.

        Args:
            environment_uid: the environment.
            outcome: its last status; it and the four below are those of `Script`.
            seconds: see `Script`.
            queue_seconds: see `Script`.
            lines: see `Script`.
            running_status: see `Script`.
            at: when it is created, in epoch seconds: now by default, or earlier, or later, and then it shows later.

        Returns:
            Its uid.

        Raises:
            KeyError: no such environment.
        """
        course = script_of(
            outcome, seconds=seconds, queue_seconds=queue_seconds, lines=lines, running_status=running_status
        )
        environment = self._service.state.environments[environment_uid]
        now = self.clock.now()
        deployment = self._service.builds.add(environment, course, now if at is None else at)
        self._service.builds.settle(now)
        return deployment.uid

    def roll_back(self, deployment_uid: str) -> None:
        """Do what "rollback" in the console does: a superseded deployment is LIVE again at once, without a build.

        The LIVE deployment is superseded. The site has the files and the settings of the deployment that is LIVE again.

        Args:
            deployment_uid: a deployment with `isRollbackEligible`.

        Raises:
            KeyError: no such deployment.
            ValueError: the deployment is not eligible for a rollback.
        """
        now = self.clock.now()
        self._service.builds.settle(now)
        self._service.builds.roll_back(self._service.state.deployments[deployment_uid], now)

    def add_app(self, *, machine_to_machine: bool = False, organization_uid: str | None = None) -> tuple[str, str]:
        """Register an OAuth app: a standard one, for `authorize`, or an M2M one; returns its client id and secret.

        Raises:
            KeyError: no such organization.
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
        """What a user does in the browser: allow an app, and get the code that its redirect carries.

        Args:
            client_id: of the app.
            redirect_uri: must come back with the code.
            scopes: what the user allows; ``launch:manage`` by default, which is everything.
            code_challenge: for PKCE; without it the app needs its secret.
            code_challenge_method: how the challenge was made from the verifier.

        Returns:
            A code, good for one exchange within 60 s.

        Raises:
            KeyError: no such app.
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
            ValueError: the organization has a project of that name, two environments share theirs, or ``environments``
                is one name.
            KeyError: no such organization.
        """
        if isinstance(environments, str):
            raise ValueError(f"environments are several names, such as [{environments!r}]")
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
        """The secret URL that deploys an environment.

        Raises:
            KeyError: no such environment.
        """
        return f"{self.url}/manage/deploy/{self._service.state.environments[environment_uid].hook_uid}"

    def push(self, environment_uid: str, commit_hash: str) -> str | None:
        """Have the Git host tell of a new commit, which deploys an environment with ``autoDeployOnPush``.

        Without a usable Git connection nothing comes of it, as it happened to the service (FACTS §10 quirk 14).

        Returns:
            Uid of the deployment; None if nothing is deployed.

        Raises:
            KeyError: no such environment.
        """
        service = self._service
        environment = service.state.environments[environment_uid]
        if not (environment.settings.get("autoDeployOnPush") and service.options.git_connected):
            return None
        now = service.clock.now()
        service.builds.settle(now)
        deployment = service.builds.create(environment, now, commit_hash=commit_hash)
        service.created("deployment", deployment.uid, str(deployment.number), environment.uid)
        return deployment.uid

    def add_domain(self, environment_uid: str, url: str) -> str:
        """Give an environment a custom domain; returns its uid.

        Raises:
            KeyError: no such environment.
        """
        environment = self._service.state.environments[environment_uid]
        domain = Domain(uid=self._service.uids.launch(), environment=environment, url=url)
        self._service.state.keep(domain)
        return domain.uid

    def add_server_log(
        self, deployment_uid: str, message: str, *, source: str = "server", at: float | None = None, late: float = 0.0
    ) -> None:
        """Add a line to a deployment's server log.

        Args:
            deployment_uid: whose log.
            message: the text.
            source: who wrote it.
            at: epoch seconds; by default now.
            late: seconds after ``at`` from which the line can be read; whoever reads live gets it at once.

        Raises:
            KeyError: no such deployment.
        """
        written = self.clock.now() if at is None else at
        deployment = self._service.state.deployments[deployment_uid]
        visible_at = written + late if late else 0.0
        lines = deployment.server_lines
        number = lines[-1].number + 1 if lines else 1
        line = ServerLine(milliseconds(written), source, message, visible_at, number)
        deployment.add_server_line(line)
        self._service.live_logs.add(deployment, line)
        self._service.state.note(deployment)

    def break_live_logs(self) -> int:
        """Break every connection on which a server log is read live; returns how many there were."""
        return self._service.live_logs.break_all()

    @property
    def live_log_readers(self) -> int:
        """How many connections there are on which a server log is read live."""
        return len(self._service.live_logs.sessions)

    def revoke_token(self, token: str) -> bool:
        """End a bearer or refresh token at once; False if there was none."""
        return self._service.credentials.revoke(token)

    def _organization(self, uid: str | None) -> Organization:
        return self._service.state.organizations[self.organization_uid if uid is None else uid]
