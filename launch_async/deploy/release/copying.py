"""Deploy the files or the commit of another deployment again.

A commit is deployed by its hash. For files, the SDK downloads the ZIP from the service's storage to this machine's
disk and uploads it again, byte for byte. The download address is a secret, and the SDK sends no credentials to it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import tempfile
import zipfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from launch_async.deploy.deadline import Deadline
from launch_async.deploy.uploading import upload
from launch_async.errors import APIError, NotFoundError, StorageError, TransportError
from launch_async.http.base import Request
from launch_async.http.pipeline import Pipeline
from launch_async.models.deployment import Deployment
from launch_async.resources._create.reconciling import CreationLog, CreationOptions
from launch_async.resources._create.sending import SendRecord
from launch_async.resources.deployments import Deployments, deployment_creation, unencrypted_host, upload_uid_of
from launch_async.resources.uploads import LARGEST_ARCHIVE, Uploads
from launch_async.watch.waiting import Watching

__all__ = ["Copying", "Place"]

_LOG: Final = logging.getLogger(__name__)
_OPERATION: Final = "download"
_TRIES: Final = 4
_PAUSE_S: Final = 0.5
_DOWNLOAD_TIMEOUT_S: Final = 600.0
_REFUSED_UPLOAD: Final = frozenset({400, 404, 409, 410, 422})


@attrs.frozen
class Place:
    """The UIDs of an environment and its project."""

    project_uid: str
    environment_uid: str


class Copying:
    """Deploys the source of another deployment."""

    def __init__(self, pipeline: Pipeline, deployments: Deployments, uploads: Uploads, watching: Watching) -> None:
        self._pipeline = pipeline
        self._deployments = deployments
        self._uploads = uploads
        self._watching = watching

    async def copy(
        self,
        source: Deployment,
        place: Place,
        deadline: Deadline,
        *,
        reuse_upload: bool,
        log: CreationLog | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Deployment:
        """Create a deployment of the same commit or the same ZIP, and return it without waiting.

        Args:
            source: The deployment to copy.
            place: The environment to deploy to.
            deadline: When the deployment must be created.
            reuse_upload: Whether to try the source's upload, if known, before the SDK uploads the ZIP again.
            log: Records the steps of the creation.
            on_progress: Called with the number of bytes uploaded so far.

        Raises:
            StorageError: The download or the upload of the ZIP failed.
            AmbiguousOutcome: The response was lost, and the SDK cannot determine the outcome.
        """
        if source.commit_hash:
            deadline.begin("creating the deployment", creates=True)
            return await self._create(place, deadline, log, commit_hash=source.commit_hash)
        known = upload_uid_of(self._deployments, source) if reuse_upload else None
        if known is not None:
            deadline.begin("creating the deployment", creates=True)
            try:
                return await self._create(place, deadline, log, upload_uid=known.uid, sha256=known.sha256)
            except APIError as error:
                if error.ambiguous or error.status not in _REFUSED_UPLOAD:
                    raise
                _LOG.info(
                    "The service no longer accepts the upload of deployment %s, so the SDK uploads its ZIP again",
                    source.uid,
                )
        deadline.begin("downloading the ZIP")
        async with self._zip_of(source) as (path, sha256):
            deadline.begin("uploading")
            upload_uid = await upload(
                self._uploads,
                lambda: self._uploads.url_for_deployment(place.project_uid, place.environment_uid),
                path,
                on_progress=on_progress,
            )
        deadline.begin("creating the deployment", creates=True)
        return await self._create(place, deadline, log, upload_uid=upload_uid, sha256=sha256)

    async def restore(
        self,
        previous: Deployment,
        place: Place,
        deadline: Deadline,
        log: CreationLog | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Deployment:
        """Create a deployment that restores a previous one of its environment, and return it without waiting.

        If the service one day offers a rollback in its public API, only this method changes.
        """
        return await self.copy(previous, place, deadline, reuse_upload=False, log=log, on_progress=on_progress)

    async def found(
        self, place: Place, deadline: Deadline, record: SendRecord, commit_hash: str | None
    ) -> Deployment | None:
        """Return the deployment that an interrupted creation has created; None if it is certain that there is none.

        Raises:
            AmbiguousOutcome: The SDK cannot determine the outcome.
        """
        options = self._options(place, deadline, None, record.sha256, record)
        creation = deployment_creation(
            self._deployments,
            place.project_uid,
            place.environment_uid,
            commit_hash=commit_hash,
            upload_uid=None,
            options=options,
        )
        return await creation.resolved()

    async def _create(
        self,
        place: Place,
        deadline: Deadline,
        log: CreationLog | None,
        *,
        commit_hash: str | None = None,
        upload_uid: str | None = None,
        sha256: str | None = None,
    ) -> Deployment:
        creation = deployment_creation(
            self._deployments,
            place.project_uid,
            place.environment_uid,
            commit_hash=commit_hash,
            upload_uid=upload_uid,
            options=self._options(place, deadline, log, sha256),
        )
        return await creation.once()

    def _options(
        self,
        place: Place,
        deadline: Deadline,
        log: CreationLog | None,
        sha256: str | None,
        record: SendRecord | None = None,
    ) -> CreationOptions[Deployment]:
        async def follow(found: Deployment) -> None:
            await self._watching.wait_all([found], timeout=deadline.remaining, return_failures=True)

        return CreationOptions(
            timeout=deadline.remaining,
            sha256=sha256,
            record=record,
            follow=follow,
            list_first=partial(self._watching.learn_builds, place.project_uid, place.environment_uid),
            log=log or CreationLog(),
        )

    @asynccontextmanager
    async def _zip_of(self, source: Deployment) -> AsyncGenerator[tuple[Path, str]]:
        """Yield a temporary file with the ZIP of a deployment, and its SHA-256."""
        descriptor, name = await asyncio.to_thread(tempfile.mkstemp, prefix="launch-release-", suffix=".zip")
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                sha256 = await self._fetched(source, file, path)
            yield path, sha256
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _fetched(self, source: Deployment, file: BinaryIO, path: Path) -> str:
        """Download a ZIP into a file, with a new address for each attempt, and return its SHA-256."""
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._fetched_once(source, file, path)
            except StorageError as error:
                error.attempts = attempt
                if not error.retryable or attempt == _TRIES:
                    raise
                _LOG.warning(
                    "Download attempt %d of %d failed; the SDK tries again: %s", attempt, _TRIES, error.message
                )
            await asyncio.sleep(_PAUSE_S * 2 ** (attempt - 1) * random.random())  # noqa: S311 - it spreads delays
        raise AssertionError("unreachable")

    async def _fetched_once(self, source: Deployment, file: BinaryIO, path: Path) -> str:
        try:
            signed = await self._deployments.download_url(source.project_uid, source.environment_uid, source.uid)
        except NotFoundError as error:
            raise StorageError(
                f"The service returns neither a commit nor a ZIP for deployment {source.uid}, so the SDK cannot deploy "
                "it again. Deploy a commit or files yourself",
                operation=_OPERATION,
                status=error.status,
            ) from error
        if host := unencrypted_host(self._deployments, signed.url):
            raise StorageError(
                f"The SDK did not download the ZIP, because the address at {host} does not use https",
                operation=_OPERATION,
            )
        digest = hashlib.sha256()
        file.seek(0)
        file.truncate()

        def keep(part: bytes) -> None:
            digest.update(part)
            file.write(part)

        request = Request(
            "GET",
            signed.url,
            timeout=_DOWNLOAD_TIMEOUT_S,
            operation=_OPERATION,
            on_body=keep,
            response_limit=LARGEST_ARCHIVE,
        )
        try:
            response = await self._pipeline.send_file(request)
        except TransportError as error:
            raise StorageError(
                f"The download of the ZIP of deployment {source.uid} failed: {error.message}",
                operation=_OPERATION,
                retryable=error.retryable,
            ) from None
        if response.status != 200:
            raise StorageError(
                f"The storage did not return the ZIP of deployment {source.uid}",
                operation=_OPERATION,
                status=response.status,
                retryable=response.status >= 500 or response.status in {403, 408, 429},
            )
        keep(response.body)
        file.flush()
        if not await asyncio.to_thread(zipfile.is_zipfile, path):
            raise StorageError(
                f"The storage returned an invalid or incomplete ZIP for deployment {source.uid}",
                operation=_OPERATION,
                retryable=True,
            )
        return digest.hexdigest()
