"""Sources of a deployment: a folder, a ZIP, a commit, the latest commit, or the previous upload."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import attrs

from launch_async.archive.archive import (
    Archive,
    ArchiveListing,
    SecretFiles,
    check_archive_in_thread,
    create_archive,
)
from launch_async.archive.spool import ReadableFile, Stream, spooled_archive
from launch_async.errors import InvalidArgumentError
from launch_async.http.operation import check_text

__all__ = ["Commit", "Files", "LatestCommit", "PreviousUpload", "Source", "ready_archive"]


def _named(_: object, __: attrs.Attribute[str], commit_hash: str) -> None:
    # None, for example from an unset variable of a pipeline, would deploy the latest commit.
    check_text("commit_hash", commit_hash, rule="openapi.yaml")


@attrs.frozen
class Commit:
    """A commit of the environment's Git repository: `Commit("...")`.

    Attributes:
        commit_hash: The full hash of the commit. The service does not document short hashes.

    Raises:
        InvalidArgumentError: The hash is empty, or not a string.
    """

    commit_hash: str = attrs.field(validator=_named)


@attrs.frozen
class LatestCommit:
    """The latest commit of the environment's branch: `LatestCommit()`."""


@attrs.frozen
class PreviousUpload:
    """The latest uploaded ZIP again, for example after a change of variables: `PreviousUpload()`.

    After a bad release, this is the bad ZIP. Use `LaunchClient.restore` to go back to the version before it.
    """


Files: TypeAlias = str | os.PathLike[str] | Stream | ArchiveListing | Archive
"""Files to send: a folder, a .zip, the bytes of a ZIP, an open binary file or an upload with a ZIP, a listing of a
folder, or an archive from `build_archive` or `check_archive`."""

Source: TypeAlias = Files | Commit | LatestCommit | PreviousUpload
"""All sources of a deployment."""


@asynccontextmanager
async def ready_archive(files: Files, *, secrets: SecretFiles) -> AsyncGenerator[Archive]:
    """Yield an archive to upload. If this function packed the archive, it deletes the archive afterwards."""
    if isinstance(files, Archive):
        # The caller owns the archive, and may deploy it again.
        yield files
        return
    if isinstance(files, str | os.PathLike) and await asyncio.to_thread(Path(files).is_file):
        yield await check_archive_in_thread(files, secrets=secrets)
        return
    if isinstance(files, str | os.PathLike | ArchiveListing):
        made = create_archive(files, secrets=secrets)
    elif isinstance(files, bytes | bytearray | memoryview | ReadableFile | AsyncIterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        made = spooled_archive(files, secrets=secrets)
    else:
        raise InvalidArgumentError(
            "source", f"must be a folder, a .zip or the bytes of a ZIP, not an object of type {type(files).__name__}"
        )
    with await made as archive:
        yield archive
