"""Build a ZIP from a folder, or check an existing ZIP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.archive.archive import (
        Archive as Archive,
        ArchiveListing as ArchiveListing,
        SecretFiles as SecretFiles,
        build_archive as build_archive,
        check_archive as check_archive,
        create_archive as create_archive,
        list_archive as list_archive,
    )
    from launch_async.archive.entries import ArchiveEntry as ArchiveEntry, Exclusion as Exclusion
    from launch_async.archive.spool import ReadableFile as ReadableFile, Stream as Stream
else:
    __getattr__, __dir__ = lazy(__name__)
