"""What Launch knows: organizations, their projects, environments and deployments, as plain data in wire terms."""

import random
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from attrs import define, field, frozen

from launch_async.emulator.builds.script import Script
from launch_async.emulator.clock import iso
from launch_async.emulator.options import ListOrder

Record: TypeAlias = dict[str, object]

SERVER_RENDERED = frozenset({"NEXTJS", "NUXT", "ANALOG", "ANGULAR", "ASTRO", "REMIX"})
DEFAULT_OUTPUT = {
    "GATSBY": "./public",
    "NEXTJS": "./.next",
    "CRA": "./build",
    "CSR": "./",
    "ANALOG": "./dist/analog/public",
    "ANGULAR": "./dist",
    "NUXT": "./.output",
    "ASTRO": "./dist",
    "VUEJS": "./dist",
    "REMIX": "./build",
    "OTHER": "./",
}
SERVER_LINES_KEPT = 10_000


class Uids:
    """Draws identifiers; the same seed draws the same ones."""

    def __init__(self, seed: int | None) -> None:
        # Identifiers must be repeatable from a seed; what protects them is that everything listens on loopback.
        self._random = random.Random(secrets.randbits(128) if seed is None else seed)  # noqa: S311

    def launch(self) -> str:
        """24 lower-case hex digits, as projects, environments, deployments, uploads and hooks have."""
        return f"{self._random.getrandbits(96):024x}"

    def platform(self) -> str:
        """``blt`` and 16 hex digits, as organizations and users have."""
        return f"blt{self._random.getrandbits(64):016x}"

    def secret(self, prefix: str) -> str:
        """A token or client secret that tells by its prefix what it is."""
        return f"{prefix}{self._random.getrandbits(160):040x}"


@define(eq=False, kw_only=True)
class Organization:
    """One tenant: it has its own projects, request budget and revalidation quota."""

    uid: str
    name: str
    rate_limit: int | None
    revalidation_quota: int
    user_uid: str
    projects: dict[str, "Project"] = field(factory=dict[str, "Project"])
    revalidations: deque[float] = field(factory=deque[float])


@define(eq=False, kw_only=True)
class Project:
    """A project as the API shows it; ``repository`` and ``description`` are absent unless set (FACTS §4)."""

    uid: str
    organization: Organization
    name: str
    kind: Literal["GITPROVIDER", "FILEUPLOAD"]
    created_at: float
    updated_at: float
    description: str | None = None
    repository: Record | None = None
    environments: dict[str, "Environment"] = field(factory=dict[str, "Environment"])
    visible_at: float = 0.0

    def to_json(self) -> Record:
        """The wire form of ``Project``."""
        user = self.organization.user_uid
        shown: Record = {
            "uid": self.uid,
            "name": self.name,
            "organizationUid": self.organization.uid,
            "projectType": self.kind,
            "createdAt": iso(self.created_at),
            "updatedAt": iso(self.updated_at),
            "createdBy": user,
            "updatedBy": user,
            "deletedAt": None,
            "deletedBy": None,
        }
        if self.description is not None:
            shown["description"] = self.description
        if self.repository is not None:
            shown["repository"] = self.repository
        return shown


@define(eq=False, kw_only=True)
class Upload:
    """A signed upload target, and the archive once it has arrived."""

    uid: str
    organization: Organization
    archive: Path
    expires_at: float
    received: bool = False
    folder: Path | None = None
    problem: str | None = None


@define(eq=False, kw_only=True)
class Environment:
    """An environment; ``settings`` holds its fields under their wire names and is replaced, never changed."""

    uid: str
    project: Project
    settings: Mapping[str, object]
    created_at: float
    updated_at: float
    hook_uid: str
    visible_at: float = 0.0
    upload: Upload | None = None
    address: str | None = None
    domains: dict[str, "Domain"] = field(factory=dict[str, "Domain"])
    deployments: dict[str, "Deployment"] = field(factory=dict[str, "Deployment"])
    numbered: int = 0
    live: "Deployment | None" = None
    building: "Deployment | None" = None
    waiting: "Deployment | None" = None
    deleted: bool = False

    @property
    def name(self) -> str:
        """Its name, unique within the project."""
        return str(self.settings["name"])

    def to_json(self) -> Record:
        """The wire form of ``Environment``; unset fields are left out."""
        user = self.project.organization.user_uid
        return {
            "uid": self.uid,
            "project": self.project.uid,
            **self.settings,
            "domains": [{"url": url} for url in (self.address, *self._custom_domains()) if url],
            "createdAt": iso(self.created_at),
            "updatedAt": iso(self.updated_at),
            "createdBy": user,
            "updatedBy": user,
            "deletedAt": None,
            "deletedBy": None,
        }

    def _custom_domains(self) -> list[str]:
        return [domain.url for domain in self.domains.values() if domain.custom]


@define(eq=False, kw_only=True)
class Domain:
    """A domain of an environment: its own address, unless it has a ``url``, which makes it a custom one."""

    uid: str
    environment: Environment
    url: str = ""
    ssl_method: str | None = None
    certificate_expires_at: str | None = None
    visible_at: float = 0.0

    @property
    def custom(self) -> bool:
        """Whether somebody brought it along."""
        return bool(self.url)

    def info(self) -> Record:
        """The wire form of ``DomainInfo``."""
        return {"status": "active", "sslStatus": "active"}

    def to_json(self) -> Record:
        """The wire form of ``Domain``."""
        return {
            "uid": self.uid,
            "url": self.url or self.environment.address or "",
            "isCustomDomain": self.custom,
            "sslMethod": self.ssl_method,
            "customCertificateExpiresAt": self.certificate_expires_at,
            "domainInfo": self.info(),
        }


@frozen
class ServerLine:
    """A line that a site's server wrote: its time in epoch milliseconds, and from when it can be read."""

    stamp: int
    source: str
    message: str
    visible_at: float = 0.0


@define(eq=False, kw_only=True)
class Deployment:
    """One deployment. Its log and its end follow from ``script`` and ``started_at`` (see `builds`).

    With a ``command`` they follow from the real run of that command instead, whose lines are ``output``.
    """

    uid: str
    environment: Environment
    number: int
    created_at: float
    updated_at: float
    script: Script
    settings: Mapping[str, object]
    commit_message: str
    status: str = "QUEUED"
    visible_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    upload: Upload | None = None
    commit_hash: str | None = None
    folder: Path | None = None
    problem: str | None = None
    command: str | None = None
    output: list[tuple[int, str]] = field(factory=list[tuple[int, str]])
    server_lines: deque[ServerLine] | None = None

    @property
    def output_directory(self) -> str:
        """Where the built site lies, relative to the unpacked archive."""
        chosen = self.settings.get("outputDirectory")
        return str(chosen) if chosen else DEFAULT_OUTPUT[str(self.settings["frameworkPreset"])]

    @property
    def server_rendered(self) -> bool:
        """Whether a server process answers for it, so that it has server logs (FACTS §7).

        A server command means something for presets that allow one only, and of those all but OTHER have a server.
        """
        preset = self.settings["frameworkPreset"]
        return preset in SERVER_RENDERED or (preset == "OTHER" and bool(self.settings.get("serverCommand")))

    def add_server_line(self, line: ServerLine) -> None:
        """Add a line to the server log, which keeps the newest ones."""
        if self.server_lines is None:
            self.server_lines = deque(maxlen=SERVER_LINES_KEPT)
        self.server_lines.append(line)

    def to_json(self) -> Record:
        """The wire form of ``Deployment``; ``deploymentUrl`` has no scheme (FACTS §4)."""
        shown: Record = {
            "uid": self.uid,
            "environment": self.environment.uid,
            "status": self.status,
            "deploymentNumber": self.number,
            "deploymentUrl": self.environment.address,
            "commitMessage": self.commit_message,
            "createdAt": iso(self.created_at),
            "updatedAt": iso(self.updated_at),
        }
        if self.commit_hash is not None:
            shown["commitHash"] = self.commit_hash
            shown["gitBranch"] = self.settings.get("gitBranch")
        return shown


Shown = TypeVar("Shown", Project, Environment, Deployment, Domain)


def in_order(items: Iterable[Shown], now: float, order: ListOrder) -> list[Shown]:
    """Those that a list shows at ``now``, in the order that was chosen (FACTS §11 row 22; late ones, §10 quirk 9)."""
    there = [item for item in items if item.visible_at <= now]
    if order == "uid":
        return sorted(there, key=lambda item: item.uid)
    return there[::-1] if order == "newest" else there


class State:
    """All organizations, and direct ways to what their projects contain."""

    def __init__(self) -> None:
        self.organizations: dict[str, Organization] = {}
        self.environments: dict[str, Environment] = {}
        self.deployments: dict[str, Deployment] = {}
        self.hooks: dict[str, Environment] = {}
        self.uploads: dict[str, Upload] = {}

    def keep_environment(self, environment: Environment) -> None:
        """Put an environment into its project."""
        environment.project.environments[environment.uid] = environment
        self.environments[environment.uid] = environment
        self.hooks[environment.hook_uid] = environment

    def keep_deployment(self, deployment: Deployment) -> None:
        """Put a deployment into its environment."""
        deployment.environment.deployments[deployment.uid] = deployment
        self.deployments[deployment.uid] = deployment

    def drop_environment(self, environment: Environment) -> None:
        """Forget an environment, its hook and its deployments."""
        environment.deleted = True
        environment.project.environments.pop(environment.uid, None)
        self.environments.pop(environment.uid, None)
        self.hooks.pop(environment.hook_uid, None)
        for uid in environment.deployments:
            self.deployments.pop(uid, None)
