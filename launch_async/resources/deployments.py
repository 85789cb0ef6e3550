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
from launch_async.wire.readers import Mismatch
from launch_async.wire.timestamps import format_iso

__all__ = [
    "Deployments",
    "KnownUpload",
    "can_identify_new",
    "deployment_creation",
    "newest_deployments",
    "note_number",
    "unencrypted_host",
    "upload_uid_of",
    "zip_hash_of",
]

L = TypeVar("L", LogLine, ServerLogLine)

_JUST_LISTED_S: Final = 10.0
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
"""How often the SDK tries a download that fails."""
_LIVE_OPEN_S: Final = 10.0
"""Seconds in which a live log must open. A proxy that buffers responses never opens it, so the SDK stops waiting."""

_DOWNLOAD_TIMEOUT_S: Final = 300.0
_UPLOADS_REMEMBERED: Final = 1000
_DOWNLOAD: Final = Operation("getDeploymentDownloadUrl", "GET", _ITEM + "/download/signed_url", READ)


class Deployments(Resource):
    """The deployments of an environment.

    A method that takes the three UIDs of a deployment also takes a single `DeploymentRef` or `Deployment` instead.
    """

    def __init__(self, pipeline: Pipeline, *, site_scheme: str, allow_http: bool = False) -> None:
        super().__init__(pipeline)
        self._site_scheme = site_scheme
        self._allow_http = allow_http
        self._zip_hashes: dict[str, str] = {}
        self._download_urls = SignedUrls[DownloadUrl](lambda signed: signed.url)
        self._upload_uids: OrderedDict[str, str] = OrderedDict()
        """Upload UIDs of the deployments that this client created, because the service does not return them."""
        self._highest: dict[str, int] = {}
        """Highest deployment number seen, by environment. A later deployment has a higher number."""
        self._creation_clock = CreationClock()
        self._listings: dict[str, _Listing] = {}
        """The last listing of each environment's newest deployments."""

    def list(
        self, project_uid: str, environment_uid: str, *, limit: int | None = None, skip: int = 0
    ) -> Pager[Deployment]:
        """List an environment's deployments, in the order of the service.

        The vendor does not document the order. To sort the deployments, use `deployment_number`.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            limit: Items per page, 1 to 100; 100 by default.
            skip: Number of items to skip at the start.

        Returns:
            A pager. Iterate over it to get every deployment, or call a method to get a page, the total or a list.

        Raises:
            InvalidArgumentError: A UID is malformed, or `limit` is not from 1 to 100, or `skip` is negative.

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
            check=partial(_environment_problem, environment_uid=environment_uid),
        )

    async def get(
        self,
        project_uid: str | DeploymentRef | Deployment,
        environment_uid: str | None = None,
        deployment_uid: str | None = None,
    ) -> Deployment:
        """Return one deployment.

        Args:
            project_uid: The project. Or a `DeploymentRef` or a `Deployment` as the only argument.
            environment_uid: The environment.
            deployment_uid: The deployment.

        Raises:
            InvalidArgumentError: A UID is malformed.
            NotFoundError: The organization has no such deployment (404).

        API: `getDeployment`; scope `launch.projects:read` or `launch:manage`.
        """
        uids = _uids(project_uid, environment_uid, deployment_uid)
        has_right_uid = has_uid(uids["deployment_uid"])

        def check(deployment: Deployment) -> str | None:
            return has_right_uid(deployment) or _environment_problem(
                deployment, environment_uid=uids["environment_uid"]
            )

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
        """Start a deployment. The method does not wait until the deployment has ended.

        Without `commit_hash` and `upload_uid`, the service deploys the newest commit of the branch (Git projects), or
        the previous ZIP again (file-upload projects). If a deployment is running, the new deployment is QUEUED, and a
        deployment that was already queued becomes SKIPPED.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            commit_hash: Full hash of a commit, for Git projects. The service refuses the tokens of apps (M2M).
            upload_uid: Upload UID of a ZIP that you sent to a URL from `uploads.url_for_deployment()`, for file-upload
                projects.

        Raises:
            InvalidArgumentError: A UID is malformed, or you passed both `commit_hash` and `upload_uid`.
            NotFoundError: The organization has no such environment (404).
            GitProviderError: Launch cannot access the Git account (401).
            MissingScopeError: You passed a commit, and the token belongs to an app. The SDK sent no request.
            AmbiguousOutcome: The response was lost, and the listing does not show whether the service created the
                deployment. For an upload, this also happens if the listing shows other new deployments, because only
                `deploy()` knows the ZIP and can compare it with their ZIPs.

        API: `createDeployment`; scope `launch.projects:write` or `launch:manage`.
        """
        if commit_hash is not None and upload_uid is not None:
            raise InvalidArgumentError("upload_uid", "pass commit_hash or upload_uid, not both", rule="openapi.yaml")
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
        """Return the lines of the build log, oldest first. `follow_logs` returns the lines while the build runs.

        Args:
            project_uid: The project. Or a `DeploymentRef` or a `Deployment` as the only argument.
            environment_uid: The environment.
            deployment_uid: The deployment.
            after: Only lines after this time. The time needs a time zone. The vendor does not document whether the
                service includes lines at exactly this time.

        Raises:
            InvalidArgumentError: A UID is malformed, or `after` has no time zone.
            NotFoundError: The organization has no such deployment (404).

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
        """Return the server log lines of a deployment between two times. `tail_server_logs` follows the log.

        Args:
            project_uid: The project. Or a `DeploymentRef` or a `Deployment` as the only argument.
            environment_uid: The environment.
            deployment_uid: The deployment.
            start: Start of the period, a time with a time zone.
            end: End of the period, a time with a time zone.

        Raises:
            InvalidArgumentError: A UID is malformed, a time has no time zone, or `end` is before `start`.
            ServerLogsUnavailable: The deployment has no server logs: a static site has none (500).
            NotFoundError: The organization has no such deployment (404).

        API: `getServerLogs`; scope `launch.projects:read` or `launch:manage`.
        """
        uids = _uids(project_uid, environment_uid, deployment_uid)
        if _aware("end", end) < _aware("start", start):
            raise InvalidArgumentError("end", f"must not be before start ({start}), but is {end}", rule="openapi.yaml")
        query = {"startTime": _milliseconds(start), "endTime": _milliseconds(end)}
        try:
            # The vendor does not document the key of the lines (FACTS §11 row 4).
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

        The URL is a secret. Download from it without credentials.

        Args:
            project_uid: The project. Or a `DeploymentRef` or a `Deployment` as the only argument.
            environment_uid: The environment.
            deployment_uid: The deployment.

        Raises:
            InvalidArgumentError: A UID is malformed.
            NotFoundError: The organization has no such deployment, or the deployment has no ZIP (404).

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
        """Return the creation of a deployment, for a workflow that sets the options of the creation."""
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
                return _environment_problem(deployment, environment_uid=environment_uid)
            return f"deployment {deployment.uid} with number {number} existed before the request"

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
        """Return the SHA-256 of the ZIP that a deployment was built from; None if the ZIP is not available.

        The storage streams the ZIP. Only the request for the signed URL counts against the rate limit.
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
            timeout=_DOWNLOAD_TIMEOUT_S,
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
        """Add the fields that are not in the response: the project, the environment and the scheme of the site."""
        if deployment.deployment_number is not None:
            highest = self._highest.get(environment_uid, 0)
            self._highest[environment_uid] = max(highest, deployment.deployment_number)
        return attrs.evolve(
            deployment, project_uid=project_uid, environment_uid=environment_uid, scheme=self._site_scheme
        )


def _environment_problem(deployment: Deployment, *, environment_uid: str) -> str | None:
    """Return a problem if the deployment belongs to another environment; None if it does not or has no valid UID."""
    shown = deployment.environment
    if shown is None or shown == environment_uid or not is_uid(shown):
        return None
    return f"deployment {deployment.uid} belongs to environment {shown}, but the request was about {environment_uid}"


def _download_url(response: Response, *, check: Callable[[DownloadUrl], str | None]) -> DownloadUrl:
    document = parsed(_DOWNLOAD, response)
    if not isinstance(document, dict) or (name := _name_of_url(document)) is None:
        raise mismatch(_DOWNLOAD, response, ["$: no field contains a URL"])
    expires = document.get("expiresIn")
    seconds = expires if isinstance(expires, int) and not isinstance(expires, bool) else None
    # An expiry that is not a number stays in the unknown fields.
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
    """Return the three UIDs of a deployment, from three arguments or from one reference.

    Raises:
        InvalidArgumentError: A UID is missing, or the caller passed both a UID and a reference.
    """
    others = {"environment_uid": environment_uid, "deployment_uid": deployment_uid}
    if isinstance(project_uid, DeploymentRef | Deployment):
        if given := [name for name, uid in others.items() if uid is not None]:
            kind = type(project_uid).__name__
            raise InvalidArgumentError(given[0], f"must not be set, because the {kind} already contains all UIDs")
        ref = project_uid.ref if isinstance(project_uid, Deployment) else project_uid
        return attrs.asdict(ref)
    if environment_uid is None or deployment_uid is None:
        missing = next(name for name, uid in others.items() if uid is None)
        raise InvalidArgumentError(missing, "is required. Pass all three UIDs, or a single DeploymentRef or Deployment")
    return {"project_uid": project_uid, "environment_uid": environment_uid, "deployment_uid": deployment_uid}


@attrs.frozen
class KnownUpload:
    """An upload that a deployment was built from.

    Attributes:
        uid: Its upload UID.
        sha256: SHA-256 of the ZIP; None if it is not known.
    """

    uid: str
    sha256: str | None


def upload_uid_of(deployments: Deployments, deployment: Deployment) -> KnownUpload | None:
    """Return the upload of a deployment that this client created; None if it is not known."""
    uid = deployments._upload_uids.get(deployment.uid)  # noqa: SLF001
    return None if uid is None else KnownUpload(uid, deployments._zip_hashes.get(deployment.uid))  # noqa: SLF001


def unencrypted_host(deployments: Deployments, url: str) -> str:
    """Return the host of an unencrypted URL that the client's settings do not allow; empty if they allow the URL."""
    return "" if deployments._allow_http else plain_http_host(url)  # noqa: SLF001


@attrs.frozen
class _Listing:
    """A listing of an environment's newest deployments.

    Attributes:
        at: When the client requested the listing, by the event loop's clock.
        unnumbered: UIDs of the listed deployments that have no number.
    """

    at: float
    unnumbered: frozenset[str]


async def newest_deployments(deployments: Deployments, project_uid: str, environment_uid: str) -> Sequence[Deployment]:
    """Return an environment's newest deployments. The client then knows that no later creation made them."""
    at = asyncio.get_running_loop().time()
    found = await recent_deployments(deployments, project_uid, environment_uid)
    unnumbered = frozenset(one.uid for one in found if one.deployment_number is None)
    deployments._listings[environment_uid] = _Listing(at, unnumbered)  # noqa: SLF001
    if not unnumbered:
        deployments._highest.setdefault(environment_uid, 0)  # noqa: SLF001
    return found


def note_number(deployments: Deployments, environment_uid: str, number: int) -> None:
    """Remember the number of an environment's deployment: a deployment that is created later has a higher number."""
    highest = deployments._highest  # noqa: SLF001
    highest[environment_uid] = max(highest.get(environment_uid, 0), number)


def can_identify_new(deployments: Deployments, environment_uid: str) -> bool:
    """Return whether this client can distinguish a deployment that it creates now from the earlier deployments."""
    clock = deployments._creation_clock  # noqa: SLF001
    return clock.now() is not None or deployments._is_just_listed(environment_uid)  # noqa: SLF001


async def zip_hash_of(deployments: Deployments, deployment: Deployment) -> str | None:
    """Return the SHA-256 of the ZIP that a deployment was built from; None if the ZIP is not available."""
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
    """Return the creation of a deployment, for a workflow that sets the options of the creation.

    Args:
        deployments: The client's deployments.
        project_uid: The project.
        environment_uid: The environment.
        commit_hash: As for `Deployments.create`.
        upload_uid: As for `Deployments.create`.
        options: The workflow's options of the creation.
    """
    return deployments._creation(project_uid, environment_uid, commit_hash, upload_uid, options)  # noqa: SLF001


async def open_live_log(pipeline: Pipeline, ref: DeploymentRef, *, last_id: str = "") -> Response:
    """Open the live log of a deployment's server. The caller reads the `stream` of the response and closes it.

    Args:
        pipeline: The client's pipeline.
        ref: The deployment.
        last_id: The id of the last event of the previous stream; empty if there is none.

    Raises:
        NotFoundError: The deployment does not exist, or it has no live log (404).
        APIError: The service has no live log (405, 501), or cannot open it.

    API: `streamLiveServerLogs`; scope `launch.projects:read` or `launch:manage`.
    """
    # A server holds back a compressed stream until a block is full.
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if last_id:
        headers["Last-Event-ID"] = last_id
    call = Call(
        operation=_LIVE,
        path=_LIVE.render(attrs.asdict(ref)),
        headers=headers,
        attempt_timeout=_LIVE_OPEN_S,
    )
    return await pipeline.stream(call)


def _proof(commit_hash: str | None, upload: str | None, sha256: str | None, zip_of: ZipOf) -> Proof[Deployment]:
    """Return the rule that proves that a deployment is the requested one."""
    if commit_hash is not None:
        return CommitProof(commit_hash)
    return OwnSourceProof(zip_of) if upload is None else UploadProof(sha256, zip_of)


def _aware(name: str, moment: datetime) -> datetime:
    if not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(name, f"must be a datetime, not {type(moment).__name__}")
    if moment.tzinfo is None:
        raise InvalidArgumentError(name, f"must have a time zone, but {moment} has none. Pass tzinfo=UTC, for example")
    return moment


def _milliseconds(moment: datetime) -> str:
    # openapi.yaml allows digits only, so a time before 1970 is sent as 0.
    return str(max(0, int(moment.timestamp() * 1000)))


def _name_of_url(document: dict[str, JSONValue]) -> str | None:
    """Return the name of the field with the URL, which the vendor does not document (FACTS §11 row 3)."""
    texts = {name: value for name, value in document.items() if isinstance(value, str) and value}
    anything = (name for name, value in texts.items() if value.startswith("https://"))
    return next((name for name in ("downloadUrl", "url", "signedUrl", *anything) if name in texts), None)


class _LogReading(Generic[L]):
    """Reads the log lines of one response while they arrive, or from the whole body at the end."""

    def __init__(self, operation: Operation, kind: type[L], keys: Sequence[str], *, bare: bool = False) -> None:
        self._operation = operation
        self._new: Callable[[], LogParts[L]] = lambda: LogParts(kind, keys, bare=bare)
        self._parts: LogParts[L] = self._new()

    def begin(self) -> Callable[[bytes], None]:
        """Start again, for another attempt."""
        self._parts = self._new()
        return self._take

    def lines(self, response: Response) -> Log[L]:
        """Return the lines of a complete response."""
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
        # Raised outside the `except` block, because an error raised inside would contain the response.
        raise mismatch(self._operation, Response(200), problems)


def _no_server_logs(error: InternalServerError) -> ServerLogsUnavailable:
    return ServerLogsUnavailable(
        "The service returned no server logs. Only server-rendered deployments have server logs; static sites do not",
        operation=error.operation,
        status=error.status,
        codes=error.codes,
        request_id=error.request_id,
        attempts=error.attempts,
    )
