"""One archive for a whole run: built once, uploaded once, and used for every target.

A ZIP that was uploaded at the level of projects serves any deployment (FACTS §5). Whether one upload serves any number
of them nobody says: where the service refuses it, that target gets an upload of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from launch_async.errors import APIError, ArchiveError, LaunchError
from launch_async.resources.uploads import Uploads
from launch_async.workflows.archive import Archive
from launch_async.workflows.fleet.plan import Action, Redeploy
from launch_async.workflows.fleet.targets import Target
from launch_async.workflows.sources import ready_archive
from launch_async.workflows.uploading import upload

__all__ = ["SharedUpload"]


class SharedUpload:
    """The upload of a run, made when the first target needs it.

    Args:
        uploads: What sends.
        action: What the run does.
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

    async def uid_for(self, target: Target) -> str | None:
        """Return the upload UID to deploy; None if nothing is uploaded.

        Raises:
            ArchiveError: The files cannot be packed, or are not those that the plan was made for.
        """
        if self._source is None:
            return None
        async with self._lock:
            if self._uid is None:
                archive = await self._packed()
                self._uid = await upload(self._uploads, self._uploads.url_for_project, archive.path, on_progress=None)
        return self._uid

    async def own_uid_for(self, target: Target) -> str:
        """Return the upload UID of an upload for one target alone."""
        async with self._lock:
            archive = await self._packed()
        return await upload(
            self._uploads,
            lambda: self._uploads.url_for_deployment(target.project_uid, target.environment_uid),
            archive.path,
            on_progress=None,
        )

    def was_refused(self, error: LaunchError) -> bool:
        """Return whether the service has refused the shared upload, rather than the deployment."""
        return (
            self._uid is not None
            and isinstance(error, APIError)
            and not error.ambiguous
            and any("UPLOAD" in code or "FILE_SIZE" in code for code in error.codes)
        )

    async def _packed(self) -> Archive:
        if self._archive is None and self._source is not None:
            archive = await self._stack.enter_async_context(ready_archive(self._source.path or ".", secrets="refuse"))
            if self._source.content_hash not in (None, archive.content_hash):
                raise ArchiveError("source", f"{self._source.path} has changed since the plan was made; plan anew")
            self._archive = archive
        assert self._archive is not None  # noqa: S101 - only called where there are files
        return self._archive
