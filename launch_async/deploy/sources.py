"""What a deployment is made from: a folder, a ZIP, a commit, the newest commit, or what was uploaded before."""

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
    # None, as of an unset variable of a pipeline, would deploy whatever is newest.
    check_text("commit_hash", commit_hash, rule="openapi.yaml")


@attrs.frozen
class Commit:
    """A commit of the environment's Git repository: `Commit("...")`.

    Attributes:
        commit_hash: Its full hash; whether a short one does is not known (FACTS §11 row 19).

    Raises:
        InvalidArgumentError: It is empty, or no string.
    """

    commit_hash: str = attrs.field(validator=_named)


@attrs.frozen
class LatestCommit:
    """The newest commit of the environment's branch: `LatestCommit()`."""


@attrs.frozen
class PreviousUpload:
    """The ZIP that was deployed last, once more, as after a change of variables: `PreviousUpload()`.

    After a bad release that is the bad ZIP: `LaunchClient.restore` puts back what served before.
    """


Files: TypeAlias = str | os.PathLike[str] | Stream | ArchiveListing | Archive
"""Files to send: a folder, a .zip, the bytes of a ZIP, an open binary file or an upload that gives them, a listing of a
folder, or an archive that was built or checked before."""

Source: TypeAlias = Files | Commit | LatestCommit | PreviousUpload
"""Everything that can be deployed."""


@asynccontextmanager
async def ready_archive(files: Files, *, secrets: SecretFiles) -> AsyncGenerator[Archive]:
    """Give an archive that may be uploaded; one that was packed for this is deleted afterwards."""
    if isinstance(files, Archive):
        # It is the caller's, who may deploy it again.
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
        raise InvalidArgumentError("source", f"a {type(files).__name__} cannot be deployed; name a folder or a .zip")
    with await made as archive:
        yield archive
