"""A small Launch with a ledger of all objects: when they were created, from which source, and by whom.

It supports only the operations of the worlds, and shares no logic with `launch_async.emulator`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

import attrs

from tests.worlds.chance import Chance

NOON: Final = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()
"""The true time at which a world begins."""
STORAGE: Final = "https://storage.example.com"
ENDED: Final = frozenset({"LIVE", "FAILED", "SKIPPED", "ARCHIVED", "DEPLOYED"})

Document: TypeAlias = Mapping[str, Any]


@attrs.define(eq=False, kw_only=True)
class Made:
    """One entry of the ledger.

    Attributes:
        uid: The UID.
        noun: The kind of object: project, environment or deployment.
        parent: UID of the parent object; empty for a project.
        author: Name of the process or colleague that requested the object.
        at: Time of creation, in the world's time.
        listed_at: When the object first appears in listings.
        name: Name of a project or an environment.
        number: Number of a deployment.
        commit: Commit of a deployment from Git.
        content: SHA-256 of the ZIP of a deployment from an upload.
        is_own_source: Whether the source is the default of the environment: the newest commit, or the previous ZIP.
        created_at: The time of creation that the service shows.
        is_implied: Whether the service created the object together with its parent.
        status: Status of a deployment.
        seconds: Duration of the build.
        fails: Whether the build fails.
    """

    uid: str
    noun: str
    parent: str
    author: str
    at: float
    listed_at: float
    name: str = ""
    number: int = 0
    commit: str | None = None
    content: str | None = None
    is_own_source: bool = False
    created_at: str = ""
    is_implied: bool = False
    status: str = ""
    seconds: float = 0.0
    fails: bool = False
    ended_at: str | None = None
    kind: str = ""
    variables: dict[str, str] = attrs.field(factory=dict)
    newest_commit: str = ""


class Service:
    """Projects, environments, deployments, uploads.

    Args:
        loop: The loop that runs the world.
        chance: Determines when objects are listed, and how long builds take.
        log: Adds a line to the trace.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: Chance, log: Callable[[str, str], None]) -> None:
        self.ledger: list[Made] = []
        self.writes: list[tuple[str, str, Mapping[str, str]]] = []
        """Writes of variables: author, environment, the whole list."""
        self.date_ahead = chance.conditions.date_ahead
        self.created_ahead = chance.conditions.created_ahead
        self.failing = 0.05
        """Share of the builds that fail."""
        self._loop = loop
        self._chance = chance
        self._conditions = chance.conditions
        self._log = log
        self._zips: dict[str, bytes] = {}
        self._by_uid: dict[str, Made] = {}
        self._count = 0

    def uid(self) -> str:
        """Return a new UID."""
        self._count += 1
        return f"{0x66C0FFEE:08x}{self._count:016x}"

    def by_uid(self, uid: str) -> Made | None:
        """Return an entry of the ledger."""
        return self._by_uid.get(uid)

    def below(self, parent: str, noun: str) -> list[Made]:
        """Return the objects below a parent, the oldest first."""
        return [one for one in self.ledger if one.parent == parent and one.noun == noun]

    # Actions of the service.

    def add_project(self, name: str, kind: str, author: str, *, at: float | None = None) -> Made:
        """Create a project."""
        return self._enter(noun="project", parent="", author=author, name=name, kind=kind, at=at)

    def add_environment(
        self, project: Made, name: str, author: str, *, at: float | None = None, implied: bool = False
    ) -> Made:
        """Create an environment."""
        environment = self._enter(
            noun="environment",
            parent=project.uid,
            author=author,
            name=name,
            kind=project.kind,
            at=at,
            is_implied=implied,
        )
        environment.newest_commit = self.new_commit()
        return environment

    def push(self, environment: Made) -> str:
        """Add a new commit to the branch of an environment."""
        environment.newest_commit = self.new_commit()
        return environment.newest_commit

    def new_commit(self) -> str:
        """Return a commit that was never deployed."""
        return hashlib.sha1(self.uid().encode()).hexdigest()

    def begin(
        self,
        environment: Made,
        author: str,
        *,
        commit: str | None = None,
        content: str | None = None,
        at: float | None = None,
        implied: bool = False,
    ) -> Made:
        """Start a deployment; without a source, use the default source of the environment."""
        earlier = self.below(environment.uid, "deployment")
        own_commit = environment.newest_commit if environment.kind == "GITPROVIDER" else None
        own_content = earlier[-1].content if earlier else None
        if commit is None and content is None:
            commit, content = own_commit, None if own_commit else own_content
        made = self._enter(
            noun="deployment",
            parent=environment.uid,
            author=author,
            number=len(earlier) + 1,
            commit=commit,
            content=content,
            is_own_source=(commit, content) == (own_commit, None if own_commit else own_content),
            is_implied=implied,
            at=at,
            seconds=self._chance.dice.uniform(20.0, 90.0),
            fails=self._chance.happens(self.failing),
        )
        if at is not None:
            made.status, made.ended_at = "LIVE", self._stamp(at + made.seconds)
            for one in earlier:
                one.status = self._conditions.past_is
            return made
        going = [one for one in earlier if one.status not in ENDED]
        for one in going:
            if one.status == "QUEUED":
                self._end(one, "SKIPPED")
        made.status = "QUEUED" if any(one.status == "DEPLOYING" for one in going) else "DEPLOYING"
        if made.status == "DEPLOYING":
            self._build(made)
        return made

    def store(self, uid: str, content: bytes) -> None:
        """Store an uploaded ZIP."""
        self._zips[uid] = content

    def hash_of(self, uid: str) -> str:
        """Return the SHA-256 of an uploaded ZIP."""
        return hashlib.sha256(self._zips[uid]).hexdigest()

    def _enter(self, *, at: float | None = None, **fields: Any) -> Made:
        now = self._loop.time() if at is None else at
        made = Made(
            uid=self.uid(),
            at=now,
            created_at=self._stamp(now),
            listed_at=now + self._chance.dice.uniform(0.0, self._conditions.listed_within),
            **fields,
        )
        self.ledger.append(made)
        self._by_uid[made.uid] = made
        if at is None:
            source = made.commit or made.content or made.name
            self._log(
                "service",
                f"makes {made.noun} {short(made.uid)} in {short(made.parent)} for {made.author}: {source[:12]}",
            )
        return made

    def _build(self, made: Made) -> None:
        made.status = "DEPLOYING"
        self._loop.call_later(made.seconds, self._end, made, "FAILED" if made.fails else "LIVE")

    def _end(self, made: Made, status: str) -> None:
        siblings = self.below(made.parent, "deployment")
        if status == "LIVE":
            for one in siblings:
                if one.status == "LIVE":
                    one.status = self._conditions.past_is
        made.status, made.ended_at = status, self._stamp(self._loop.time())
        if status != "SKIPPED":
            for one in siblings:
                if one.status == "QUEUED":
                    self._build(one)

    # Answers of the service.

    def date(self) -> str | None:
        """Return the `Date` header of an answer at this time."""
        if not self._conditions.shows_date:
            return None
        return formatdate(math.floor(NOON + self._loop.time() + self.date_ahead), usegmt=True)

    def act(self, operation: str, url: str, body: bytes | None, author: str) -> tuple[int, Document]:
        """Do a request, and return the answer."""
        parts = urlsplit(url)
        path = parts.path.strip("/").split("/")
        document: Document = json.loads(body) if body else {}
        match operation:
            case "createProject":
                return self._create_project(document, author)
            case "createEnvironment":
                return self._create_environment(path[1], document, author)
            case "createDeployment":
                return self._create_deployment(path[3], document, author)
            case "updateEnvironment":
                return self._update_environment(path[3], document, author)
            case _:
                return self._read(operation, path, {key: value[0] for key, value in parse_qs(parts.query).items()})

    def _create_project(self, document: Document, author: str) -> tuple[int, Document]:
        name = document["name"]
        if any(one.name == name for one in self.below("", "project")):
            return refusal(409, "launch.PROJECT.DUPLICATE_NAME")
        content = self._uploaded(document.get("fileUpload", {}).get("uploadUid"))
        project = self.add_project(name, document["projectType"], author)
        environment = self.add_environment(project, document["environment"]["name"], author, implied=True)
        environment.listed_at += 1.0
        environment.variables = _variables(document["environment"])
        if environment.kind == "FILEUPLOAD":
            self.begin(environment, author, content=content, implied=True)
        else:
            self.begin(environment, author, implied=True)
        return 201, {"project": self._shown(project)}

    def _create_environment(self, project_uid: str, document: Document, author: str) -> tuple[int, Document]:
        project = self._by_uid[project_uid]
        if any(one.name == document["name"] for one in self.below(project_uid, "environment")):
            return refusal(409, "launch.ENVIRONMENT.DUPLICATE_NAME")
        environment = self.add_environment(project, document["name"], author)
        environment.variables = _variables(document)
        self.begin(environment, author, content=self._uploaded(document.get("uploadUid")), implied=True)
        return 201, {"environment": self._shown(environment)}

    def _create_deployment(self, environment_uid: str, document: Document, author: str) -> tuple[int, Document]:
        environment = self._by_uid[environment_uid]
        upload = document.get("uploadUid")
        if upload is not None and upload not in self._zips:
            return refusal(400, "launch.DEPLOYMENT.FILE_UPLOAD_FAILED")
        made = self.begin(environment, author, commit=document.get("commitHash"), content=self._uploaded(upload))
        return 201, {"deployment": self._shown(made)}

    def _update_environment(self, environment_uid: str, document: Document, author: str) -> tuple[int, Document]:
        environment = self._by_uid[environment_uid]
        if "environmentVariables" in document:
            environment.variables = _variables(document)
            self.writes.append((author, environment_uid, dict(environment.variables)))
            self._log("service", f"writes variables of {short(environment_uid)} for {author}")
        return 200, {"environment": self._shown(environment)}

    def _read(self, operation: str, path: list[str], query: Mapping[str, str]) -> tuple[int, Document]:
        match operation:
            case "listProjects":
                return 200, self._page("projects", self.below("", "project"), query)
            case "listEnvironments":
                return 200, self._page("environments", self.below(path[1], "environment"), query)
            case "listDeployments":
                return 200, self._page("deployments", self.below(path[3], "deployment"), query)
            case "getProject" | "getEnvironment" | "getDeployment":
                made = self._by_uid.get(path[-1])
                noun = operation.removeprefix("get").lower()
                return (200, {noun: self._shown(made)}) if made else refusal(404, "launch.NOT_FOUND")
            case "getDeploymentDownloadUrl":
                made = self._by_uid[path[5]]
                ready = made.content is not None and (made.status in ENDED or not self._conditions.zip_after_end)
                address = {"downloadUrl": f"{STORAGE}/zip/{made.uid}", "expiresIn": 600}
                return (200, address) if ready else refusal(404, "launch.NOT_FOUND")
            case "getProjectUploadUrl" | "getEnvironmentUploadUrl" | "getDeploymentUploadUrl":
                uid = self.uid()
                address = {"uploadUrl": f"{STORAGE}/up/{uid}", "uploadUid": uid, "method": "PUT", "expiresIn": 600}
                return 200, address
            case "getDeploymentLogs":
                return 200, {"deploymentLogs": []}
            case _:
                raise AssertionError(operation)

    def zip_of(self, deployment_uid: str) -> bytes | None:
        """Return the ZIP of a deployment."""
        content = self._by_uid[deployment_uid].content
        known = (one for one in self._zips.values() if hashlib.sha256(one).hexdigest() == content)
        return next(known, None)

    def _uploaded(self, uid: str | None) -> str | None:
        return None if uid is None else self.hash_of(uid)

    def _page(self, key: str, made: Iterable[Made], query: Mapping[str, str]) -> Document:
        now = self._loop.time()
        listed = [one for one in made if one.listed_at <= now]
        if not self._conditions.oldest_first:
            listed.reverse()
        limit, skip = int(query.get("limit", 10)), int(query.get("skip", 0))
        # Objects that were created or listed after the first page shift later pages.
        start = max(0, skip + self._chance.dice.choice([-1, 0, 0, 1])) if skip else 0
        pagination = {"limit": limit, "skip": skip or None}
        if self._conditions.shows_count:
            pagination["count"] = len(listed)
        return {"pagination": pagination, key: [self._shown(one) for one in listed[start : start + limit]]}

    def _shown(self, made: Made) -> Document:
        conditions = self._conditions
        shown: dict[str, Any] = {"uid": made.uid}
        if conditions.shows_created:
            shown["createdAt"] = made.created_at
        if made.noun == "project":
            return {**shown, "name": made.name, "projectType": made.kind, "deletedAt": None}
        if made.noun == "environment":
            variables = [{"key": key, "value": value} for key, value in made.variables.items()]
            return {**shown, "name": made.name, "frameworkPreset": "OTHER", "environmentVariables": variables}
        shown |= {"status": made.status, "environment": made.parent, "deploymentUrl": f"site-{made.number}.example.com"}
        if made.ended_at is not None:
            shown["updatedAt"] = made.ended_at
        if conditions.shows_numbers:
            shown["deploymentNumber"] = made.number
        if conditions.shows_commits and made.commit is not None:
            shown["commitHash"] = made.commit
        return shown

    def _stamp(self, at: float) -> str:
        moment = datetime.fromtimestamp(NOON + at + self.created_ahead, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _variables(document: Document) -> dict[str, str]:
    return {one["key"]: one["value"] for one in document.get("environmentVariables", ())}


def refusal(status: int, code: str) -> tuple[int, Document]:
    """Return an error answer."""
    return status, {"errors": [{"code": code, "message": code}], "status": status}


def short(uid: str) -> str:
    """Return the part of a UID that is unique in its world."""
    return uid.removeprefix("66c0ffee").lstrip("0") or "-"
