"""A simulation of Launch that loses answers, acts late, lists late and has two clocks, as a transport."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import attrs

from launch_async import LaunchClient, ResponseLost
from launch_async.http import FileBody, Request, Response
from tests.support.core import ENVIRONMENT, answer, client_on

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()
NEWEST = "a" * 40

# All services share these numbers, because the SDK keeps the UIDs that the process has created.
_uids = itertools.count(1)


@attrs.frozen
class LostResponse:
    """A lost answer: the service acts `acts_after` seconds later, or not at all.

    Attributes:
        acts_after: Seconds. None means that the service does not act.
        status: The answer of a gateway. None means a broken connection.
    """

    acts_after: float | None = 0.0
    status: int | None = None


@attrs.frozen
class Refused:
    """A refusal: the service answers with a status and does not act."""

    status: int
    headers: Mapping[str, str] = {}


@attrs.define
class Made:
    """A deployment of the service.

    Attributes:
        number: The number in its environment.
        environment: The UID of the environment.
        at: The time of the creation, by the clock of the loop.
        commit: The commit. None for an upload.
        content: The ZIP. None for a commit.
        by_us: Whether a request of the client created the deployment.
        seconds: The duration.
        fails: Whether the deployment ends FAILED.
    """

    number: int
    environment: str
    at: float
    commit: str | None
    content: bytes | None
    by_us: bool
    seconds: float
    fails: bool = False
    uid: str = attrs.field(factory=lambda: f"{next(_uids):024x}")


@attrs.define
class UnreliableService:
    """A service that handles the next creations as `outcomes` says, and all other requests normally.

    Attributes:
        outcomes: The results of the next creations.
        kind: Whether environments are deployed from commits or from uploads.
        listed_after: Seconds until a new object is listed.
        date_ahead: Seconds by which the clock of the `Date` header is ahead. None means no header.
        created_ahead: Seconds by which the clock of `createdAt` is ahead.
        shows_commits: Whether a deployment shows its commit.
        shows_numbers: Whether a deployment shows its number.
        zip_after_end: Whether a ZIP can be downloaded only after the end of its deployment.
        seconds: The duration of a deployment.
    """

    outcomes: list[LostResponse | Refused | Exception] = attrs.field(factory=list)
    kind: str = "git"
    listed_after: float = 0.0
    date_ahead: float | None = 0.0
    created_ahead: float = 0.0
    shows_commits: bool = True
    shows_numbers: bool = True
    zip_after_end: bool = False
    seconds: float = 40.0
    made: list[Made] = attrs.field(factory=list[Made])
    uploads: dict[str, bytes] = attrs.field(factory=dict[str, bytes])
    named: list[dict[str, Any]] = attrs.field(factory=list)
    sent: list[tuple[float, Request]] = attrs.field(factory=list)
    late: set[asyncio.Task[None]] = attrs.field(factory=set)

    def client(self, **options: Any) -> LaunchClient:
        return client_on(self, **options)  # type: ignore[arg-type]

    @property
    def ours(self) -> list[str]:
        """The UIDs of the deployments that requests of the client created."""
        return [one.uid for one in self.made if one.by_us]

    def posts(self) -> list[float]:
        """Return the times at which creations were sent."""
        return [at for at, request in self.sent if request.method == "POST"]

    def begin(
        self,
        environment: str = ENVIRONMENT,
        *,
        commit: str | None = None,
        content: bytes | None = None,
        by_us: bool = False,
        at: float | None = None,
    ) -> Made:
        """Create a deployment now. Without a commit or content, use the source of the environment."""
        before = [one for one in self.made if one.environment == environment]
        if commit is None and content is None:
            commit = NEWEST if self.kind == "git" else None
            content = before[-1].content if self.kind == "upload" and before else None
        number = len(before) + 1
        one = Made(number, environment, self._now() if at is None else at, commit, content, by_us, self.seconds)
        self.made.append(one)
        return one

    def name(self, noun: str, parent: str, name: str) -> dict[str, Any]:
        """Create a project or an environment now."""
        made = {
            "uid": f"{next(_uids):024x}",
            "name": name,
            "createdAt": self._stamp(self._now()),
            "_noun": noun,
            "_parent": parent,
            "_at": self._now(),
        }
        self.named.append(made)
        return made

    def later(self, seconds: float, do: Callable[[], object]) -> None:
        """Call a function after some seconds."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            do()

        task = asyncio.get_running_loop().create_task(wait())
        self.late.add(task)
        task.add_done_callback(self.late.discard)

    async def send(self, request: Request) -> Response:
        if "storage.example.com" in request.url:
            return self._store(request)
        self.sent.append((self._now(), request))
        await asyncio.sleep(0.05)
        if request.method == "POST":
            response = await self._create(request)
        else:
            response = answer(*self._read(request))
        if self.date_ahead is not None:
            date = formatdate(math.floor(NOON + self._now() + self.date_ahead), usegmt=True)
            response = attrs.evolve(response, headers={"Date": date, **response.headers})
        return response

    async def close(self) -> None:
        for task in self.late:
            task.cancel()

    def _store(self, request: Request) -> Response:
        uid = request.url.rpartition("/")[2]
        if isinstance(request.body, FileBody):
            self.uploads[uid] = request.body.path.read_bytes()
            return Response(201)
        # Like a transport that cannot stream, return the whole body.
        return Response(200, {}, self._by_uid(uid).content or b"")

    async def _create(self, request: Request) -> Response:
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Refused):
            return answer(outcome.status, {"errors": []}, outcome.headers)
        if outcome is None:
            return self._act(request)
        if outcome.acts_after == 0.0:
            self._act(request)
        elif outcome.acts_after is not None:
            self.later(outcome.acts_after, lambda: self._act(request))
        if outcome.status is not None:
            return answer(outcome.status, {"errors": []})
        raise ResponseLost("the connection broke")

    def _act(self, request: Request) -> Response:
        body, parts = _body(request), request.url.split("/")
        if request.operation == "createDeployment":
            content = self.uploads.get(body.get("uploadUid", ""))
            made = self.begin(parts[-2], commit=body.get("commitHash"), content=content, by_us=True)
            return answer(201, {"deployment": self._shown(made)})
        noun = {"createProject": "project", "createEnvironment": "environment"}[request.operation]
        parent = parts[-2] if noun == "environment" else ""
        if any(one["name"] == body["name"] and one["_parent"] == parent for one in self.named):
            return answer(409, {"errors": []})
        return answer(201, {noun: _public(self.name(noun, parent, body["name"]))})

    def _read(self, request: Request) -> tuple[int, object]:
        parts = request.url.partition("?")[0].split("/")
        match request.operation:
            case "listDeployments":
                return 200, {
                    "deployments": [self._shown(one) for one in self._listed(self.made) if one.environment == parts[-2]]
                }
            case "getDeployment":
                return 200, {"deployment": self._shown(self._by_uid(parts[-1]))}
            case "getDeploymentDownloadUrl":
                one = self._by_uid(parts[-3])
                ended = self._now() >= one.at + one.seconds
                if one.content is None or (self.zip_after_end and not ended):
                    return 404, {"errors": []}
                return 200, {"downloadUrl": f"https://storage.example.com/{one.uid}"}
            case "getDeploymentUploadUrl" | "getProjectUploadUrl":
                uid = f"{next(_uids):024x}"
                return 200, {"uploadUrl": f"https://storage.example.com/{uid}", "uploadUid": uid, "method": "PUT"}
            case "listProjects" | "listEnvironments":
                noun = request.operation.removeprefix("list").lower()
                parent = parts[-2] if noun == "environments" else ""
                found = [
                    _public(one)
                    for one in self.named
                    if f"{one['_noun']}s" == noun
                    and one["_parent"] == parent
                    and self._now() >= one["_at"] + self.listed_after
                ]
                return 200, {noun: found}
            case "getEnvironment":
                return 200, {"environment": {"uid": parts[-1]}}
            case "getDeploymentLogs":
                return 200, {"deploymentLogs": []}
            case other:
                raise AssertionError(other)

    def _listed(self, made: Iterable[Made]) -> list[Made]:
        return [one for one in made if self._now() >= one.at + self.listed_after]

    def _by_uid(self, uid: str) -> Made:
        return next(one for one in self.made if one.uid == uid)

    def _shown(self, one: Made) -> dict[str, Any]:
        ended = self._now() >= one.at + one.seconds
        shown: dict[str, Any] = {
            "uid": one.uid,
            "createdAt": self._stamp(one.at),
            "status": "DEPLOYING" if not ended else "FAILED" if one.fails else "LIVE",
            "updatedAt": self._stamp(min(self._now(), one.at + one.seconds)),
        }
        if self.shows_numbers:
            shown["deploymentNumber"] = one.number
        if self.shows_commits and one.commit is not None:
            shown["commitHash"] = one.commit
        return shown

    def _stamp(self, at: float) -> str:
        moment = datetime.fromtimestamp(NOON + at + self.created_ahead, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _body(request: Request) -> dict[str, Any]:
    return json.loads(request.body) if isinstance(request.body, bytes) else {}


def _public(made: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in made.items() if not name.startswith("_")}
