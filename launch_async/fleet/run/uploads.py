"""One archive for a whole run: packed once, uploaded once, and used for every target.

A ZIP that was uploaded at the project level works for any deployment. It is not known whether one upload works for any
number of deployments. If the service refuses the upload, the target gets a separate upload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from launch_async.archive.archive import Archive
from launch_async.deploy.sources import ready_archive
from launch_async.deploy.uploading import upload
from launch_async.errors import APIError, ArchiveError, LaunchError
from launch_async.fleet.plan.actions import Action, PlannedSource, Redeploy
from launch_async.fleet.plan.targets import Target
from launch_async.models.upload import SignedUploadUrl
from launch_async.resources.uploads import Uploads

__all__ = ["SharedUpload", "UploadFailedError"]


class UploadFailedError(Exception):
    """The files could not be uploaded, so no target can be deployed from them.

    Attributes:
        cause: The error of the upload.
    """

    def __init__(self, cause: LaunchError) -> None:
        super().__init__(cause.message)
        self.cause = cause


class SharedUpload:
    """The upload of a run, made when the first target needs it.

    Args:
        uploads: The client's uploads.
        action: The action of the plan.
    """

    def __init__(self, uploads: Uploads, action: Action) -> None:
        self._uploads = uploads
        self._source = action.source if isinstance(action, Redeploy) and action.source.kind == "files" else None
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._archive: Archive | None = None
        self._uid: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def check(self) -> None:
        """Pack the files before anything is sent.

        Raises:
            ArchiveError: The files cannot be packed, or have changed since the plan was made.
        """
        if self._source is not None:
            await self._packed(self._source)

    async def shared_uid(self) -> str | None:
        """Return the upload UID for all targets; None if the plan uploads nothing.

        Raises:
            UploadFailedError: The files could not be uploaded.
        """
        if self._source is None:
            return None
        async with self._lock:
            if self._uid is None:
                self._uid = await self._upload(self._source, self._uploads.url_for_project)
        return self._uid

    async def sha256(self) -> str | None:
        """Return the SHA-256 of the uploaded ZIP; None if the plan uploads nothing.

        Raises:
            UploadFailedError: The files could not be packed.
        """
        if self._source is None:
            return None
        async with self._lock:
            try:
                return (await self._packed(self._source)).sha256
            except LaunchError as error:
                raise UploadFailedError(error) from error

    async def own_uid(self, target: Target) -> str:
        """Return the UID of a separate upload for one target.

        Raises:
            UploadFailedError: The files could not be uploaded.
        """
        assert self._source is not None  # noqa: S101 - only called after a shared upload was refused
        async with self._lock:
            return await self._upload(
                self._source,
                lambda: self._uploads.url_for_deployment(target.project_uid, target.environment_uid),
            )

    def was_refused(self, error: LaunchError) -> bool:
        """Return whether the service has refused the shared upload, and not the deployment."""
        return (
            self._uid is not None
            and isinstance(error, APIError)
            and not error.ambiguous
            and any("UPLOAD" in code or "FILE_SIZE" in code for code in error.codes)
        )

    async def _upload(self, source: PlannedSource, signed_url: Callable[[], Awaitable[SignedUploadUrl]]) -> str:
        try:
            archive = await self._packed(source)
            return await upload(self._uploads, signed_url, archive.path, on_progress=None)
        except LaunchError as error:
            raise UploadFailedError(error) from error

    async def _packed(self, source: PlannedSource) -> Archive:
        if self._archive is None:
            archive = await self._stack.enter_async_context(ready_archive(source.path or ".", secrets=source.secrets))
            if source.content_hash not in (None, archive.content_hash):
                raise ArchiveError("source", f"{source.path} has changed since the plan was made. Make a new plan")
            self._archive = archive
        return self._archive
