"""Deployments and their logs: `Deployments`, `Deployment Logs` and `Server Logs` in the API reference."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Generic, TypeVar

import attrs

from launch_async.errors import InternalServerError, InvalidArgumentError, LaunchError, ServerLogsUnavailable
from launch_async.http.base import Request, Response
from launch_async.http.operation import READ, WRITE, Operation, check_text, is_uid
from launch_async.http.pipeline import Call, Pipeline
from launch_async.models.base import JSONValue
from launch_async.models.deployment import Deployment, DeploymentRef
from launch_async.models.log import Log, LogLine, ServerLogLine
from launch_async.models.requests import CreateDeploymentRequest
from launch_async.models.upload import DownloadUrl
from launch_async.resources._create.proof import CommitProof, OwnSourceProof, Proof, UploadProof, ZipOf
from launch_async.resources._create.recent import recent_deployments
from launch_async.resources._create.reconciling import CreationOptions, ReconcilingCreate
from launch_async.resources._create.sending import CreationClock, SendRecord
from launch_async.resources._inputs import given
from launch_async.resources._resource import Resource, foreign_answer, has_uid, mismatch, parsed
from launch_async.resources._signed_urls import SignedUrls
from launch_async.resources.pager import Pager
from launch_async.resources.uploads import LARGEST_ARCHIVE
from launch_async.settings import plain_http_host
from launch_async.wire.log_parts import LogParts
from launch_async.wire.moments import format_iso
from launch_async.wire.readers import Mismatch

__all__ = [
    "Deployments",
    "KnownUpload",
    "deployment_creation",
    "host_in_clear",
    "newest_deployments",
    "note_number",
    "tells_new_ones",
    "upload_uid_of",
    "zip_hash_of",
]

L = TypeVar("L", LogLine, ServerLogLine)

_JUST_LISTED_S: Final = 60.0
"""Seconds for which a listing of deployments counts as the state right before a creation."""
_PARENT: Final = "/projects/{project_uid}/environments/{environment_uid}/deployments"
_ITEM: Final = _PARENT + "/{deployment_uid}"
_LIST: Final = Operation("listDeployments", "GET", _PARENT, READ)
_GET: Final = Operation("getDeployment", "GET", _ITEM, READ)
_CREATE: Final = Operation("createDeployment", "POST", _PARENT, WRITE)
_LOGS: Final = Operation("getDeploymentLogs", "GET", _ITEM + "/logs/deployment-logs", READ)
_SERVER_LOGS: Final = Operation("getServerLogs", "GET", _ITEM + "/logs/server-logs", READ)
_LIVE: Final = Operation("streamLiveServerLogs", "GET", _ITEM + "/logs/live", READ, once=True)
_DOWNLOADS: Final = 3
"""Tries of a download that fails."""
_LIVE_PATIENCE: Final = 10.0
"""Seconds within which a live log is opened: a proxy that buffers answers never, and is not waited for any longer."""

_DOWNLOAD_TIMEOUT: Final = 300.0
_UPLOADS_REMEMBERED: Final = 1000
_DOWNLOAD: Final = Operation("getDeploymentDownloadUrl", "GET", _ITEM + "/download/signed_url", READ)


class Deployments(Resource):
    """The deployments of an environment.

    Where a method takes the three UIDs of a deployment, a `DeploymentRef` or a `Deployment` alone does as well.
    """

    def __init__(self, pipeline: Pipeline, *, site_scheme: str, allow_http: bool = False) -> None:
        super().__init__(pipeline)
        self._site_scheme = site_scheme
        self._allow_http = allow_http
        self._zip_hashes: dict[str, str] = {}
        self._download_urls = SignedUrls[DownloadUrl](lambda signed: signed.url)
        self._upload_uids: OrderedDict[str, str] = OrderedDict()
        """Upload UIDs of deployments that were made here: the service does not tell them."""
        self._highest: dict[str, int] = {}
        """Highest deployment number seen, by environment: what comes later is newer."""
        self._creation_clock = CreationClock()
        self._listings: dict[str, _Listing] = {}
        """The last listing of each environment's newest deployments."""

    def list(
        self, project_uid: str, environment_uid: str, *, limit: int | None = None, skip: int = 0
    ) -> Pager[Deployment]:
        """List an environment's deployments, in the service's order; sort by `deployment_number` (FACTS §11 row 22).

        Args:
            project_uid: The project.
            environment_uid: The environment.
            limit: Items per page, 1 to 100; 100 by default.
            skip: Number of items to skip at the start.

        Returns:
            A pager: iterate it for every deployment, or ask it for a page, the total or a list.

        Raises:
            InvalidArgumentError: A UID is malformed, or `limit` or `skip` is out of bounds (FACTS §4).

        API: `listDeployments`; scope `launch.projects:read` or `launch:manage`.
        """
        return self._list(
            _LIST,
            Deployment,
            {"project_uid": project_uid, "environment_uid": environment_uid},
            "deployments",
            partial(self._located, project_uid=project_uid, environment_uid=environment_uid),
            limit=limit,
            skip=skip,
            check=partial(_elsewhere, environment_uid=environment_uid),
        )

    async def get(
        self,
        project_uid: str | DeploymentRef | Deployment,
        environment_uid: str | None = None,
        deployment_uid: str | None = None,
    ) -> Deployment:
        """Return one deployment.

        Args:
            project_uid: The project; or alone, a reference to the deployment or the deployment itself.
            environment_uid: The environment.
            deployment_uid: The deployment.

        Raises:
            InvalidArgumentError: A UID is malformed.
            NotFoundError: No such deployment in this organization (404).

        API: `getDeployment`; scope `launch.projects:read` or `launch:manage`.
        """
        uids = _uids(project_uid, environment_uid, deployment_uid)
        is_it = has_uid(uids["deployment_uid"])

        def check(deployment: Deployment) -> str | None:
            return is_it(deployment) or _elsewhere(deployment, environment_uid=uids["environment_uid"])

        deployment = await self._one(_GET, Deployment, uids, key="deployment", check=check)
        return self._located(deployment, project_uid=uids["project_uid"], environment_uid=uids["environment_uid"])

    async def create(
        self,
        project_uid: str,
        environment_uid: str,
        *,
        commit_hash: str | None = None,
        upload_uid: str | None = None,
    ) -> Deployment:
        """Start a deployment; it goes on at the service when this returns.

        Without arguments: the newest commit of the branch (Git), or the previous ZIP again (file upload). If a
        deployment is running, the new one is QUEUED, and one that was queued before becomes SKIPPED (FACTS §6).

        Args:
            project_uid: The project.
            environment_uid: The environment.
            commit_hash: Full hash of a commit (Git projects; app tokens cannot do this).
            upload_uid: Of a ZIP that was sent to `uploads.url_for_deployment()` (file-upload projects).

        Raises:
            InvalidArgumentError: A UID is malformed, or both sources were given.
            NotFoundError: No such environment in this organization (404).
            GitProviderError: Launch cannot reach the Git account (401).
            MissingScopeError: A commit was given, and the token is known to belong to an app; nothing was sent.
            AmbiguousOutcome: The answer was lost, and a look-up cannot tell whether it happened. It never can for an
                upload with other deployments beside it: only `deploy()` knows the ZIP to compare them with.

        API: `createDeployment`; scope `launch.projects:write` or `launch:manage`.
        """
        if commit_hash is not None and upload_uid is not None:
            raise InvalidArgumentError("upload_uid", "give commit_hash or upload_uid, not both", rule="openapi.yaml")
        for name, value in {"commit_hash": commit_hash, "upload_uid": upload_uid}.items():
            if value is not None:
                check_text(name, value, rule="openapi.yaml")
        return await self._creation(project_uid, environment_uid, commit_hash, upload_uid).once()

    async def logs(
        self,
        project_uid: str | DeploymentRef | Deployment,
        environment_uid: str | None = None,
        deployment_uid: str | None = None,
        *,
        after: datetime | None = None,
    ) -> Log[LogLine]:
        """Return build-log lines, oldest first; `follow_logs` follows them as they come.

        Args:
            project_uid: The project; or alone, a reference to the deployment or the deployment itself.
            environment_uid: The environment.
            deployment_uid: The deployment.
            after: Only lines after this time, which needs a zone; whether the moment itself is included is not known
                (FACTS §11 row 6).

        Raises:
            InvalidArgumentError: A UID is malformed, or `after` has no zone.
            NotFoundError: No such deployment in this organization (404).

        API: `getDeploymentLogs`; scope `launch.projects:read` or `launch:manage`.
        """
        uids = _uids(project_uid, environment_uid, deployment_uid)
        query = {"timestamp": None if after is None else format_iso(_aware("after", after))}
        return await self._log(_LogReading(_LOGS, LogLine, ["deploymentLogs"]), _LOGS, uids, query)

    async def server_logs(
        self,
        project_uid: str | DeploymentRef | Deployment,
        environment_uid: str | None = None,
        deployment_uid: str | None = None,
        *,
        start: datetime,
        end: datetime,
    ) -> Log[ServerLogLine]:
        """Return what a deployment's server wrote in a window of time; `tail_server_logs` follows it.

        Args:
            project_uid: The project; or alone, a reference to the deployment or the deployment itself.
            environment_uid: The environment.
            deployment_uid: The deployment.
            start: Start of the window, a time with a zone.
            end: End of the window, a time with a zone.

        Raises:
            InvalidArgumentError: A UID is malformed, a time has no zone, or the window is empty.
            ServerLogsUnavailable: The service has none, as for static sites (500, FACTS §7).
            NotFoundError: No such deployment in this organization (404).

        API: `getServerLogs`; scope `launch.projects:read` or `launch:manage`.
        """
        uids = _uids(project_uid, environment_uid, deployment_uid)
        if _aware("end", end) < _aware("start", start):
            raise InvalidArgumentError("end", "is before start", rule="openapi.yaml")
        query = {"startTime": _milliseconds(start), "endTime": _milliseconds(end)}
        try:
            # Under which key they come is not known (FACTS §11 row 4).
            reading = _LogReading(_SERVER_LOGS, ServerLogLine, ["logs", "serverLogs"], bare=True)
            return await self._log(reading, _SERVER_LOGS, uids, query)
        except InternalServerError as error:
            raise _no_server_logs(error) from error

    async def download_url(
        self,
        project_uid: str | DeploymentRef | Deployment,
        environment_uid: str | None = None,
        deployment_uid: str | None = None,
    ) -> DownloadUrl:
        """Return a signed URL of the ZIP that a file-upload deployment was built from.

        The URL is a secret; fetch it without any credentials.

        Args:
            project_uid: The project; or alone, a reference to the deployment or the deployment itself.
            environment_uid: The environment.
            deployment_uid: The deployment.

        Raises:
            InvalidArgumentError: A UID is malformed.
            NotFoundError: No such deployment in this organization, or it has no ZIP (404).

        API: `getDeploymentDownloadUrl`; scope `launch.projects:read` or `launch:manage`.
        """
        uids = _uids(project_uid, environment_uid, deployment_uid)
        return await self._download_urls.get(
            uids["deployment_uid"], lambda check: self._read(_DOWNLOAD, uids, partial(_download_url, check=check))
        )

    async def _log(
        self, reading: _LogReading[L], operation: Operation, uids: Mapping[str, str], query: Mapping[str, str | None]
    ) -> Log[L]:
        return await self._read(operation, uids, reading.lines, query=query, collect=reading.begin)

    def _creation(
        self,
        project_uid: str,
        environment_uid: str,
        commit_hash: str | None,
        upload_uid: str | None,
        options: CreationOptions[Deployment] | None = None,
    ) -> ReconcilingCreate[Deployment]:
        """Return the creation of a deployment, for a workflow that has it created in its own way."""
        body = CreateDeploymentRequest(commit_hash=given(commit_hash), upload_uid=given(upload_uid))
        uids = {"project_uid": project_uid, "environment_uid": environment_uid}
        known: int | None = None

        def learn(record: SendRecord) -> None:
            nonlocal known
            listing = self._listings.get(environment_uid)
            known = record.known_number = self._highest.get(environment_uid)
            record.known_uids = None if listing is None else listing.unnumbered
            record.is_listed = self._is_just_listed(environment_uid)
            record.not_before = self._creation_clock.now()

        def is_new(deployment: Deployment) -> str | None:
            number = deployment.deployment_number
            if known is None or number is None or number > known:
                return _elsewhere(deployment, environment_uid=environment_uid)
            return f"deployment {deployment.uid} with number {number} was there before"

        named: list[str] = []

        async def send(timeout: float) -> Deployment:
            deployment = await self._one(
                _CREATE,
                Deployment,
                uids,
                key="deployment",
                body=body,
                timeout=timeout,
                user_only=commit_hash is not None,
                check=is_new,
                named=named,
            )
            self._creation_clock.observe(deployment.created_at)
            if upload_uid is not None:
                self._remember_upload(deployment.uid, upload_uid, None if options is None else options.sha256)
            return self._located(deployment, project_uid=project_uid, environment_uid=environment_uid)

        async def look_up() -> Sequence[Deployment]:
            return await newest_deployments(self, project_uid, environment_uid)

        sha256 = None if options is None else options.sha256
        return self._once(
            _CREATE,
            f"a deployment of environment {environment_uid}",
            request=(commit_hash, upload_uid),
            proof=_proof(commit_hash, upload_uid or sha256, sha256, self._zip_hash),
            send=send,
            look_up=look_up,
            number_of=lambda deployment: deployment.deployment_number,
            named=named,
            learn=learn,
            options=options,
        )

    def _is_just_listed(self, environment_uid: str) -> bool:
        listing = self._listings.get(environment_uid)
        return listing is not None and asyncio.get_running_loop().time() - listing.at <= _JUST_LISTED_S

    def _remember_upload(self, deployment_uid: str, upload_uid: str, sha256: str | None) -> None:
        self._upload_uids[deployment_uid] = upload_uid
        if sha256 is not None:
            self._zip_hashes[deployment_uid] = sha256
        while len(self._upload_uids) > _UPLOADS_REMEMBERED:
            self._upload_uids.popitem(last=False)

    async def _zip_hash(self, deployment: Deployment) -> str | None:
        """Return the SHA-256 of the ZIP that a deployment was built from; None where it cannot be had.

        It is streamed from the storage, and costs no budget but the request for its address.
        """
        if deployment.uid in self._zip_hashes:
            return self._zip_hashes[deployment.uid]
        try:
            signed = await self.download_url(deployment.project_uid, deployment.environment_uid, deployment.uid)
        except LaunchError:
            return None
        if not self._allow_http and plain_http_host(signed.url):
            return None
        for _ in range(_DOWNLOADS):
            if (found := await self._downloaded_hash(signed.url)) is not None:
                self._zip_hashes[deployment.uid] = found
                return found
        return None

    async def _downloaded_hash(self, url: str) -> str | None:
        digest = hashlib.sha256()
        request = Request(
            "GET",
            url,
            timeout=_DOWNLOAD_TIMEOUT,
            operation="download",
            on_body=digest.update,
            response_limit=LARGEST_ARCHIVE,
        )
        try:
            response = await self._pipeline.send_file(request)
        except LaunchError:
            return None
        if response.status != 200:
            return None
        digest.update(response.body)
        return digest.hexdigest()

    def _located(self, deployment: Deployment, *, project_uid: str, environment_uid: str) -> Deployment:
        """Fill in what the wire leaves out: where the deployment belongs, and how its site is reached."""
        if deployment.deployment_number is not None:
            highest = self._highest.get(environment_uid, 0)
            self._highest[environment_uid] = max(highest, deployment.deployment_number)
        return attrs.evolve(
            deployment, project_uid=project_uid, environment_uid=environment_uid, scheme=self._site_scheme
        )


def _elsewhere(deployment: Deployment, *, environment_uid: str) -> str | None:
    """Say so if a deployment is of another environment; what is no UID of the service's tells nothing."""
    told = deployment.environment
    if told is None or told == environment_uid or not is_uid(told):
        return None
    return f"deployment {deployment.uid} is of environment {told}, and {environment_uid} was asked for"


def _download_url(response: Response, *, check: Callable[[DownloadUrl], str | None]) -> DownloadUrl:
    document = parsed(_DOWNLOAD, response)
    if not isinstance(document, dict) or (name := _name_of_url(document)) is None:
        raise mismatch(_DOWNLOAD, response, ["$: no URL in it"])
    expires = document.get("expiresIn")
    seconds = expires if isinstance(expires, int) and not isinstance(expires, bool) else None
    # An expiry that is no number stays among the unknown fields.
    read = {name, "expiresIn"} if expires == seconds else {name}
    signed = DownloadUrl(
        url=str(document[name]),
        expires_in=seconds,
        extra={key: value for key, value in document.items() if key not in read},
    )
    if (problem := check(signed)) is not None:
        raise foreign_answer(_DOWNLOAD, response, problem)
    return signed


def _uids(
    project_uid: str | DeploymentRef | Deployment, environment_uid: str | None, deployment_uid: str | None
) -> dict[str, str]:
    """Return the three UIDs of a deployment, given one by one or as a reference.

    Raises:
        InvalidArgumentError: One is missing, or there is a UID beside a reference.
    """
    beside = {"environment_uid": environment_uid, "deployment_uid": deployment_uid}
    if isinstance(project_uid, DeploymentRef | Deployment):
        if given := [name for name, uid in beside.items() if uid is not None]:
            kind = type(project_uid).__name__
            raise InvalidArgumentError(given[0], f"the {kind} before it says that already; give the {kind} alone")
        ref = project_uid.ref if isinstance(project_uid, Deployment) else project_uid
        return attrs.asdict(ref)
    if environment_uid is None or deployment_uid is None:
        missing = next(name for name, uid in beside.items() if uid is None)
        raise InvalidArgumentError(missing, "is missing; give all three UIDs, or a DeploymentRef alone")
    return {"project_uid": project_uid, "environment_uid": environment_uid, "deployment_uid": deployment_uid}


@attrs.frozen
class KnownUpload:
    """An upload that a deployment was made from.

    Attributes:
        uid: Its upload UID.
        sha256: SHA-256 of the ZIP; None where it is not known.
    """

    uid: str
    sha256: str | None


def upload_uid_of(deployments: Deployments, deployment: Deployment) -> KnownUpload | None:
    """Return the upload of a deployment that this client has made; None where it is not known."""
    uid = deployments._upload_uids.get(deployment.uid)  # noqa: SLF001
    return None if uid is None else KnownUpload(uid, deployments._zip_hashes.get(deployment.uid))  # noqa: SLF001


def host_in_clear(deployments: Deployments, url: str) -> str:
    """Return the host that a URL would reach in clear against the client's settings; empty if it would not."""
    return "" if deployments._allow_http else plain_http_host(url)  # noqa: SLF001


@attrs.frozen
class _Listing:
    """A listing of an environment's newest deployments.

    Attributes:
        at: When it was asked for, by the event loop's clock.
        unnumbered: UIDs of the deployments in it that have no number.
    """

    at: float
    unnumbered: frozenset[str]


async def newest_deployments(deployments: Deployments, project_uid: str, environment_uid: str) -> Sequence[Deployment]:
    """Return an environment's newest deployments, and remember them: a later creation is none of them."""
    at = asyncio.get_running_loop().time()
    found = await recent_deployments(deployments, project_uid, environment_uid)
    unnumbered = frozenset(one.uid for one in found if one.deployment_number is None)
    deployments._listings[environment_uid] = _Listing(at, unnumbered)  # noqa: SLF001
    if not unnumbered:
        deployments._highest.setdefault(environment_uid, 0)  # noqa: SLF001
    return found


def note_number(deployments: Deployments, environment_uid: str, number: int) -> None:
    """Take in the number of a deployment that an environment is known to have: what is created later is newer."""
    highest = deployments._highest  # noqa: SLF001
    highest[environment_uid] = max(highest.get(environment_uid, 0), number)


def tells_new_ones(deployments: Deployments, environment_uid: str) -> bool:
    """Return whether this client can tell what it creates in an environment now from what was there before."""
    clock = deployments._creation_clock  # noqa: SLF001
    return clock.now() is not None or deployments._is_just_listed(environment_uid)  # noqa: SLF001


async def zip_hash_of(deployments: Deployments, deployment: Deployment) -> str | None:
    """Return the SHA-256 of the ZIP that a deployment was built from; None where it cannot be had."""
    return await deployments._zip_hash(deployment)  # noqa: SLF001


def deployment_creation(
    deployments: Deployments,
    project_uid: str,
    environment_uid: str,
    *,
    commit_hash: str | None,
    upload_uid: str | None,
    options: CreationOptions[Deployment],
) -> ReconcilingCreate[Deployment]:
    """Return the creation of a deployment, for a workflow that has it created in its own way.

    Args:
        deployments: The client's deployments.
        project_uid: The project.
        environment_uid: The environment.
        commit_hash: As for `Deployments.create`.
        upload_uid: As for `Deployments.create`.
        options: The workflow's way.
    """
    return deployments._creation(project_uid, environment_uid, commit_hash, upload_uid, options)  # noqa: SLF001


async def open_live_log(pipeline: Pipeline, ref: DeploymentRef, *, last_id: str = "") -> Response:
    """Open the live log of a deployment's server; whoever gets the answer reads its `stream` and closes it.

    Args:
        pipeline: The client's pipeline.
        ref: The deployment.
        last_id: The id of the last event of the stream before; empty for none.

    Raises:
        NotFoundError: There is no such deployment, or no live log (404).
        APIError: There is no live log (405, 501), or it cannot be opened.

    API: `streamLiveServerLogs`; scope `launch.projects:read` or `launch:manage`.
    """
    # A compressed stream would be held back until a block of it is full.
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if last_id:
        headers["Last-Event-ID"] = last_id
    call = Call(
        operation=_LIVE,
        path=_LIVE.render(attrs.asdict(ref)),
        headers=headers,
        attempt_timeout=_LIVE_PATIENCE,
    )
    return await pipeline.stream(call)


def _proof(commit_hash: str | None, upload: str | None, sha256: str | None, zip_of: ZipOf) -> Proof[Deployment]:
    """Return what proves that a deployment is the one that was asked for."""
    if commit_hash is not None:
        return CommitProof(commit_hash)
    return OwnSourceProof(zip_of) if upload is None else UploadProof(sha256, zip_of)


def _aware(name: str, moment: datetime) -> datetime:
    if not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(name, f"expected a datetime, got {type(moment).__name__}")
    if moment.tzinfo is None:
        raise InvalidArgumentError(name, "has no time zone; use datetime.now(UTC) or give tzinfo")
    return moment


def _milliseconds(moment: datetime) -> str:
    # Digits only, as openapi.yaml says: nothing was logged before 1970.
    return str(max(0, int(moment.timestamp() * 1000)))


def _name_of_url(document: dict[str, JSONValue]) -> str | None:
    """Return which field holds the URL: its name is not established (FACTS §11 row 3)."""
    texts = {name: value for name, value in document.items() if isinstance(value, str) and value}
    anything = (name for name, value in texts.items() if value.startswith("https://"))
    return next((name for name in ("downloadUrl", "url", "signedUrl", *anything) if name in texts), None)


class _LogReading(Generic[L]):
    """Reads the lines of one answer while they arrive, or those of a transport that gives the whole body."""

    def __init__(self, operation: Operation, kind: type[L], keys: Sequence[str], *, bare: bool = False) -> None:
        self._operation = operation
        self._new: Callable[[], LogParts[L]] = lambda: LogParts(kind, keys, bare=bare)
        self._parts: LogParts[L] = self._new()

    def begin(self) -> Callable[[bytes], None]:
        """Begin again, for another attempt."""
        self._parts = self._new()
        return self._take

    def lines(self, response: Response) -> Log[L]:
        """Return the lines of an answer that has come to its end."""
        self._take(response.body)
        try:
            return Log(self._parts.lines())
        except Mismatch as error:
            problems = error.problems
        raise mismatch(self._operation, response, problems)

    def _take(self, part: bytes) -> None:
        try:
            self._parts.feed(part)
        except Mismatch as error:
            problems = error.problems
        else:
            return
        # Not from in there: the error would carry the answer.
        raise mismatch(self._operation, Response(200), problems)


def _no_server_logs(error: InternalServerError) -> ServerLogsUnavailable:
    return ServerLogsUnavailable(
        "the service failed to give server logs. Only server-rendered deployments have them; a static site has none",
        operation=error.operation,
        status=error.status,
        codes=error.codes,
        request_id=error.request_id,
        attempts=error.attempts,
    )
