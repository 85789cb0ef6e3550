"""The state of the emulator: organizations, projects, environments and deployments, and their wire forms."""

import random
import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from attrs import define, field, frozen

from launch_async.emulator.builds.script import Script
from launch_async.emulator.clock import iso
from launch_async.emulator.options import ListOrder

Record: TypeAlias = dict[str, object]

NEWEST_COMMIT = "0123456789abcdef0123456789abcdef01234567"
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
MAX_SERVER_LINES = 10_000
Value = TypeVar("Value")


class Uids:
    """Generates random identifiers. The same seed generates the same identifiers."""

    def __init__(self, seed: int | None) -> None:
        # Identifiers must be repeatable from a seed. They need no protection, because the emulator listens on loopback.
        self._random = random.Random(secrets.randbits(128) if seed is None else seed)  # noqa: S311

    def launch(self) -> str:
        """Return 24 lower-case hex digits, the form of projects, environments, deployments, uploads and hooks."""
        return f"{self._random.getrandbits(96):024x}"

    def platform(self) -> str:
        """Return ``blt`` and 16 hex digits, the form of organizations and users."""
        return f"blt{self._random.getrandbits(64):016x}"

    def secret(self, prefix: str) -> str:
        """Return a token or a client secret. The prefix names its kind."""
        return f"{prefix}{self._random.getrandbits(160):040x}"


class Changes:
    """Changes that are not saved yet, for an emulator that keeps its state.

    A dictionary keeps the order: the resource that was created first is saved first, and listed first after a restart.
    """

    def __init__(self) -> None:
        self.changed: dict[Resource, None] = {}
        self.removed: list[tuple[str, str]] = []


def _record_change(kept: "Resource", _attribute: object, value: Value) -> Value:
    """Record a change of an attribute."""
    if kept.changes is not None:
        kept.changes.changed[kept] = None
    return value


@define(eq=False, kw_only=True, on_setattr=_record_change)
class Resource:
    """A resource with a UID. It records changes of its attributes, so that the state file can store them."""

    uid: str
    changes: Changes | None = field(default=None, init=False, repr=False)


@define(eq=False, kw_only=True, on_setattr=_record_change)
class Organization(Resource):
    """An organization, with its own projects, rate limit and revalidation quota."""

    name: str
    rate_limit: int | None
    revalidation_quota: int
    user_uid: str
    projects: dict[str, "Project"] = field(factory=dict[str, "Project"])
    revalidations: deque[float] = field(factory=deque[float])


@define(eq=False, kw_only=True, on_setattr=_record_change)
class Project(Resource):
    """A project. The API omits ``repository`` and ``description`` if they are not set."""

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
        """Return the wire form of ``Project``."""
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


@define(eq=False, kw_only=True, on_setattr=_record_change)
class Upload(Resource):
    """A signed upload target, and the archive once it has arrived."""

    organization: Organization
    archive: Path
    expires_at: float
    received: bool = False
    is_form: bool = False
    folder: Path | None = None
    problem: str | None = None


@define(eq=False, kw_only=True, on_setattr=_record_change)
class Environment(Resource):
    """An environment. ``settings`` contains its fields under their wire names. A change replaces the whole mapping."""

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
        """Name of the environment, unique within the project."""
        return str(self.settings["name"])

    def to_json(self) -> Record:
        """Return the wire form of ``Environment``, without unset fields."""
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


@define(eq=False, kw_only=True, on_setattr=_record_change)
class Domain(Resource):
    """A domain of an environment: a custom domain if it has a ``url``, otherwise the address that Launch assigned."""

    environment: Environment
    url: str = ""
    ssl_method: str | None = None
    certificate_expires_at: str | None = None
    visible_at: float = 0.0

    @property
    def custom(self) -> bool:
        """Whether the domain is a domain of the customer."""
        return bool(self.url)

    def info(self) -> Record:
        """Return the wire form of ``DomainInfo``."""
        return {"status": "active", "sslStatus": "active"}

    def to_json(self) -> Record:
        """Return the wire form of ``Domain``."""
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
    """A line that the server of a site wrote.

    ``stamp`` is its time in epoch milliseconds. Responses contain the line only from the time ``visible_at``. The lines
    of a deployment are numbered from 1, in the order in which they were written.
    """

    stamp: int
    source: str
    message: str
    visible_at: float = 0.0
    number: int = 0


@define(eq=False, kw_only=True, on_setattr=_record_change)
class Deployment(Resource):
    """A deployment. ``script`` and ``started_at`` determine its log and its end (see `builds`).

    With a ``command``, the real run of the command determines them. ``output`` contains the lines that it printed.
    """

    environment: Environment
    number: int
    created_at: float
    updated_at: float
    script: Script
    settings: Mapping[str, object]
    commit_message: str
    status: str = "QUEUED"
    rollback_eligible: bool = False
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
        """Folder of the built site, relative to the unpacked archive."""
        chosen = self.settings.get("outputDirectory")
        return str(chosen) if chosen else DEFAULT_OUTPUT[str(self.settings["frameworkPreset"])]

    @property
    def server_rendered(self) -> bool:
        """Whether the site has a server, and therefore server logs.

        A server command counts only for presets that allow it. All of these presets except OTHER always have a server.
        """
        preset = self.settings["frameworkPreset"]
        return preset in SERVER_RENDERED or (preset == "OTHER" and bool(self.settings.get("serverCommand")))

    def add_server_line(self, line: ServerLine) -> None:
        """Add a line to the server log, which keeps only the newest lines."""
        if self.server_lines is None:
            self.server_lines = deque(maxlen=MAX_SERVER_LINES)
        self.server_lines.append(line)

    def to_json(self) -> Record:
        """Return the wire form of ``Deployment``. ``deploymentUrl`` has no scheme."""
        shown: Record = {
            "uid": self.uid,
            "environment": self.environment.uid,
            "status": self.status,
            "deploymentNumber": self.number,
            "deploymentUrl": self.environment.address,
            "commitMessage": self.commit_message,
            "isRollbackEligible": self.rollback_eligible,
            "createdAt": iso(self.created_at),
            "updatedAt": iso(self.updated_at),
        }
        if self.commit_hash is not None:
            shown["commitHash"] = self.commit_hash
            shown["gitBranch"] = self.settings.get("gitBranch")
        return shown


Shown = TypeVar("Shown", Project, Environment, Deployment, Domain)


def in_order(items: Iterable[Shown], now: float, order: ListOrder, *, late: float = 0.0) -> list[Shown]:
    """Return the items that a list shows at ``now``, in the given order."""
    visible = [item for item in items if item.visible_at <= now]
    if late:
        visible = [item for item in visible if isinstance(item, Domain) or item.created_at + late <= now]
    if order == "uid":
        return sorted(visible, key=lambda item: item.uid)
    return visible[::-1] if order == "newest" else visible


class State:
    """All organizations, and indexes of everything in their projects.

    Args:
        tracked: Record changes, for `take_changed` and `take_removed`.
    """

    def __init__(self, *, tracked: bool = False) -> None:
        self._changes = Changes() if tracked else None
        self.organizations: dict[str, Organization] = {}
        self.environments: dict[str, Environment] = {}
        self.deployments: dict[str, Deployment] = {}
        self.hooks: dict[str, Environment] = {}
        self.uploads: dict[str, Upload] = {}
        self._names: dict[tuple[str, str], Project | Environment] = {}

    def add(self, one: Resource) -> None:
        """Add a resource to its parent and to the indexes."""
        match one:
            case Organization():
                self.organizations[one.uid] = one
            case Project():
                one.organization.projects[one.uid] = one
                self._names[one.organization.uid, one.name] = one
            case Environment():
                one.project.environments[one.uid] = one
                self.environments[one.uid] = one
                self.hooks[one.hook_uid] = one
                self._names[one.project.uid, one.name] = one
            case Domain():
                one.environment.domains[one.uid] = one
            case Deployment():
                one.environment.deployments[one.uid] = one
                self.deployments[one.uid] = one
            case Upload():
                self.uploads[one.uid] = one
            case _:
                raise TypeError(type(one))
        one.changes = self._changes
        self.record_change(one)

    def record_change(self, one: Resource) -> None:
        """Record a change that is not an assignment to an attribute, such as a new line of a log."""
        if self._changes is not None:
            self._changes.changed[one] = None

    def named(self, parent: Organization | Project, name: str) -> Project | Environment | None:
        """Return the project of an organization, or the environment of a project, that has a name."""
        return self._names.get((parent.uid, name))

    def rename_project(self, project: Project, name: str) -> None:
        """Give a project another name."""
        del self._names[project.organization.uid, project.name]
        project.name = name
        self._names[project.organization.uid, name] = project

    def change_environment(self, environment: Environment, settings: Mapping[str, object]) -> None:
        """Change some settings of an environment, such as its name."""
        del self._names[environment.project.uid, environment.name]
        environment.settings = {**environment.settings, **settings}
        self._names[environment.project.uid, environment.name] = environment

    def drop_project(self, project: Project) -> None:
        """Remove a project without environments."""
        del self._names[project.organization.uid, project.name]
        del project.organization.projects[project.uid]
        self._record_removal("project", project)

    def drop_environment(self, environment: Environment) -> None:
        """Remove an environment, its hook, its domains and its deployments."""
        environment.deleted = True
        self._names.pop((environment.project.uid, environment.name), None)
        environment.project.environments.pop(environment.uid, None)
        self.environments.pop(environment.uid, None)
        self.hooks.pop(environment.hook_uid, None)
        for domain in environment.domains.values():
            self._record_removal("domain", domain)
        for deployment in environment.deployments.values():
            self.deployments.pop(deployment.uid, None)
            self._record_removal("deployment", deployment)
        self._record_removal("environment", environment)

    def take_changed(self) -> Iterator[Resource]:
        """Yield each changed resource once."""
        if self._changes is not None:
            changed, self._changes.changed = self._changes.changed, {}
            yield from changed

    def take_removed(self) -> Iterator[tuple[str, str]]:
        """Yield the kind and the UID of each removed resource once."""
        while self._changes is not None and self._changes.removed:
            yield self._changes.removed.pop()

    def _record_removal(self, kind: str, one: Resource) -> None:
        one.changes = None
        if self._changes is not None:
            self._changes.changed.pop(one, None)
            self._changes.removed.append((kind, one.uid))
