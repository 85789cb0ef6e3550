"""Archives: the ZIP files that Launch builds from. The same folder always produces the same bytes.

`list_archive` shows the files that would be sent, and why other files are left out. `build_archive` writes the ZIP to a
temporary file. `create_archive` does the same without blocking the event loop. `check_archive` checks an existing ZIP.
None of these functions needs a client or the network.

The archive leaves out a file for the first of these reasons that applies:

1. The file is version control data, or a link. The SDK follows no links, so no file outside the folder is read.
2. A `.launchignore` file excludes the file. A `!` line in it includes a file that a later reason would exclude.
3. The vendor's tools exclude the file, such as the files in `node_modules` or `.next`.
4. A `.gitignore` file excludes the file. Both kinds of ignore files work as in git: they can be nested and negated, and
   are relative to their own folder. The SDK does not read ignore files above the folder. Therefore you can send a build
   output that the repository ignores: pass the folder of the build output. The SDK does not read git's index either, so
   a rule also excludes tracked files.
5. The file is a socket, a pipe or a device.
6. The file contains a secret. By default, a file with a secret is an error. `secrets=` can drop or send these files. A
   `!` line of `.launchignore` with the file name without wildcards, such as `!.env.production`, sends the file.

Empty folders are not sent. File names are sent unchanged, without Unicode normalization.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import struct
import tempfile
import threading
import weakref
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias, get_args

import attrs

from launch_async._text import count_of, file_size, first_lines, listed
from launch_async._views import Displayable
from launch_async.archive.entries import ArchiveEntry, Exclusion, encodable, printable, quoted, refused
from launch_async.archive.secret_files import SECRET
from launch_async.archive.walk import walk
from launch_async.archive.zip_check import check_members
from launch_async.archive.zip_writer import SizeExceeded, pack
from launch_async.errors import ArchiveError, InvalidArgumentError

__all__ = [
    "MAX_ARCHIVE_SIZE",
    "MIN_ARCHIVE_SIZE",
    "Archive",
    "ArchiveListing",
    "SecretFiles",
    "build_archive",
    "check_archive",
    "create_archive",
    "list_archive",
]

MIN_ARCHIVE_SIZE = 1024
"""Minimum size of an uploaded ZIP, in bytes. The SDK enlarges a smaller ZIP with an archive comment."""

MAX_ARCHIVE_SIZE = 104_857_600
"""Maximum size of an uploaded ZIP, in bytes: 100 MiB."""

SecretFiles: TypeAlias = Literal["refuse", "drop", "send"]
"""How to handle files that contain secrets: raise an error, leave them out, or send them like other files."""

_SIZE_RULE = "reference/facts.md#5-upload-flow"
_MOST_SHOWN = 20

_LOG: Final = logging.getLogger(__name__)


@attrs.frozen
class ArchiveListing(Displayable):
    """The files of an archive, and the files that were left out. `print(listing)` shows a short table.

    Attributes:
        folder: The folder, or the ZIP that was checked.
        entries: The files to send, ordered by path.
        excluded: The files that are left out, ordered by path.
    """

    folder: Path
    entries: tuple[ArchiveEntry, ...]
    excluded: tuple[Exclusion, ...] = ()

    @property
    def total_size(self) -> int:
        """Size of all files together before compression, in bytes."""
        return sum(entry.size for entry in self.entries)

    @property
    def largest(self) -> list[ArchiveEntry]:
        """The files to send, the largest first."""
        return sorted(self.entries, key=lambda entry: (-entry.size, entry.path))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Paths of the files that are left out because they contain secrets."""
        return tuple(exclusion.path for exclusion in self.excluded if exclusion.reason == SECRET)

    def to_dict(self) -> dict[str, object]:
        """Return the listing as plain data, ready for JSON."""
        return {
            "folder": encodable(str(self.folder)),
            "total_size": self.total_size,
            "entries": [{"path": entry.path, "size": entry.size, "mode": entry.mode} for entry in self.entries],
            "excluded": [{"path": one.path, "reason": one.reason, "size": one.size} for one in self.excluded],
        }

    def __str__(self) -> str:
        sent = [f"{file_size(entry.size):>10}  {printable(entry.path)}" for entry in self.largest]
        left_out = [
            f"{'' if one.size is None else file_size(one.size):>10}  {printable(one.path)}  ({printable(one.reason)})"
            for one in self.excluded
        ]
        files = count_of(len(self.entries), "file")
        return "\n".join(
            [
                f"{files} to send, {file_size(self.total_size)} before compression; largest first:",
                *first_lines(sent, _MOST_SHOWN, indent=12),
                f"{len(left_out)} left out{':' if left_out else '.'}",
                *first_lines(left_out, _MOST_SHOWN, indent=12),
            ]
        )


@attrs.frozen
class Archive:
    """A ZIP on disk, ready for an upload. As a context manager it deletes the file if it is a temporary file.

    Attributes:
        path: Path of the ZIP.
        size: Size of the ZIP in bytes.
        sha256: SHA-256 of the ZIP, in hexadecimal.
        content_hash: SHA-256 over the paths, modes and contents of the files, in hexadecimal. Two archives with the
            same files have the same value, even if they are compressed differently.
        listing: The files of the archive, and the files that were left out.
        temporary: Whether the ZIP is a temporary file. The SDK deletes a temporary file on `close`, or when Python
            frees this object.
    """

    path: Path
    size: int
    sha256: str
    content_hash: str
    listing: ArchiveListing
    temporary: bool = False
    _delete: Callable[[], object] | None = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        delete = weakref.finalize(self, _remove, self.path) if self.temporary else None
        object.__setattr__(self, "_delete", delete)

    def close(self) -> None:
        """Delete the file if it is a temporary file. A second call does nothing."""
        if self._delete is not None:
            self._delete()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def list_archive(
    folder: str | os.PathLike[str], *, secrets: SecretFiles = "refuse", follow_ignore_files: bool = True
) -> ArchiveListing:
    """Return the files that an archive of `folder` would contain, and the files that it would leave out and why.

    Args:
        folder: The folder to send.
        secrets: How to handle files that contain secrets and are not left out for another reason. `refuse` raises an
            error, `drop` leaves the files out and logs a warning, `send` sends them like other files. The SDK detects
            these files by name: `.env`, `.env.*`, `prod.env` and similar names, except samples; key stores; `.netrc`,
            `.kube/config`, `*.tfstate` and similar files. The SDK detects private keys by the content of any file
            except scripts, pages, styles and media, and tokens by the content of `.npmrc` and `.yarnrc.yml`. A line
            such as `!.env.production` in `.launchignore` sends a single file.
        follow_ignore_files: Whether `.gitignore` and `.launchignore` files apply.

    Raises:
        ArchiveError: The folder does not exist, contains no file to send, or contains secrets. Or a file or folder in
            the folder cannot be read, or has a name that a ZIP cannot contain.
        InvalidArgumentError: `secrets` has another value.
    """
    return _list(folder, secrets, follow_ignore_files, lambda: None)


def _list(
    folder: str | os.PathLike[str],
    secrets: SecretFiles,
    follow_ignore_files: bool,
    checkpoint: Callable[[], None],
) -> ArchiveListing:
    _check_choice(secrets)
    found, left_out = walk(
        _existing_folder(folder),
        follow_ignore_files=follow_ignore_files,
        send_secrets=secrets == "send",
        checkpoint=checkpoint,
    )
    secret = [one.path for one in left_out if one.reason == SECRET]
    if secret:
        _refuse_or_report(secret, secrets)
    if not found:
        raise ArchiveError(
            "folder",
            f"{quoted(os.fspath(folder))} contains no file to send ({len(left_out)} left out). Pass the folder that "
            "contains the site, or include files with a `!` line in .launchignore",
            rule=_SIZE_RULE,
        )
    return ArchiveListing(folder=Path(folder), entries=tuple(found), excluded=tuple(left_out))


def build_archive(
    folder: str | os.PathLike[str] | ArchiveListing,
    *,
    secrets: SecretFiles = "refuse",
    follow_ignore_files: bool = True,
    level: int = 6,
) -> Archive:
    """Pack a folder into a temporary ZIP. `Archive.close` deletes the ZIP.

    Two calls with the same files write the same bytes, on any supported Python with the same zlib.

    Args:
        folder: The folder, or a listing of the folder. For a listing, the SDK packs exactly the listed files, and
            raises an error if one of these files has changed since then.
        secrets: As in `list_archive`. If `folder` is a listing, this argument has no effect.
        follow_ignore_files: As in `list_archive`. If `folder` is a listing, this argument has no effect.
        level: Compression level of zlib: 0 (no compression), or 1 (fastest) to 9 (smallest).

    Raises:
        ArchiveError: As in `list_archive`. Or a file has changed, the ZIP would be larger than 100 MiB, or the SDK
            cannot write it to the temporary folder.
        InvalidArgumentError: `secrets` has another value, or `level` is not from 0 to 9.
    """
    return _build(folder, secrets, follow_ignore_files, level, lambda: None)


async def create_archive(
    folder: str | os.PathLike[str] | ArchiveListing,
    *,
    secrets: SecretFiles = "refuse",
    follow_ignore_files: bool = True,
    level: int = 6,
) -> Archive:
    """Run `build_archive` in a thread, with the same arguments and errors.

    If the caller is cancelled, the thread stops at the next file, even while it lists the folder, and leaves no ZIP.
    """
    return await _in_thread(partial(_build, folder, secrets, follow_ignore_files, level))


def check_archive(zip_path: str | os.PathLike[str], *, secrets: SecretFiles = "refuse") -> Archive:
    """Check an existing ZIP. The SDK does not change or delete the file.

    Args:
        zip_path: Path of the ZIP.
        secrets: How to handle a ZIP that contains secrets (as in `list_archive`) or version control data. `send`
            accepts the ZIP. `refuse` and `drop` raise an error, because the SDK sends a ZIP unchanged.

    Raises:
        ArchiveError: The file is not a complete ZIP, is smaller than 1024 bytes or larger than 100 MiB, contains no
            file, contains a secret, or contains a name or link that leads out of the archive.
        InvalidArgumentError: `secrets` has another value.
    """
    return _check(zip_path, secrets, lambda: None)


async def check_archive_in_thread(
    zip_path: str | os.PathLike[str], *, secrets: SecretFiles, name: str | None = None, temporary: bool = False
) -> Archive:
    """Run `check_archive` in a thread. If the caller is cancelled, the thread stops at the next block of 1 MiB.

    Args:
        zip_path: Path of the ZIP.
        secrets: As in `check_archive`.
        name: Name of the ZIP in error texts; its path by default.
        temporary: Whether the archive deletes the file when it is closed.
    """
    return await _in_thread(partial(_check, zip_path, secrets, name=name, temporary=temporary))


def _check(
    zip_path: str | os.PathLike[str],
    secrets: SecretFiles,
    checkpoint: Callable[[], None],
    *,
    name: str | None = None,
    temporary: bool = False,
) -> Archive:
    _check_choice(secrets)
    path = Path(zip_path)
    name = quoted(str(path)) if name is None else name
    try:
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            raise ArchiveError("zip_path", f"{name} is not a file")
        check_size(size)
        with path.open("rb") as file, zipfile.ZipFile(file) as source:
            members = sorted(check_members(source, checkpoint), key=lambda member: member.name)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except ArchiveError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise ArchiveError("zip_path", f"{name} is not a ZIP, or is incomplete") from error
    except OSError as error:
        raise ArchiveError("zip_path", f"{name} cannot be read ({error.strerror})") from error
    if not members:
        raise ArchiveError("zip_path", f"{name} contains no file", rule=_SIZE_RULE)
    if secrets != "send" and (secret := [printable(member.name) for member in members if member.secret]):
        why = '. secrets="drop" works only with a folder' if secrets == "drop" else ""
        raise ArchiveError(
            "zip_path",
            f"{name} contains secrets: {listed(secret, _MOST_SHOWN)}. Make a ZIP without these files, or pass "
            f'secrets="send"{why}',
            paths=secret,
        )
    entries = tuple(ArchiveEntry(member.name, member.size, member.mode) for member in members)
    content_hash = _content_hash(entries, [member.digest for member in members])
    return Archive(path, size, sha256, content_hash, ArchiveListing(path, entries), temporary)


class _Stopped(Exception):
    """The caller of `_in_thread` was cancelled."""


async def _in_thread(work: Callable[[Callable[[], None]], Archive]) -> Archive:
    """Run `work` in a thread, with a checkpoint that `work` calls often. It raises after the caller was cancelled."""
    stop = threading.Event()

    def checkpoint() -> None:
        if stop.is_set():
            raise _Stopped

    working = asyncio.ensure_future(asyncio.to_thread(work, checkpoint))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        working.add_done_callback(_discard)
        await asyncio.wait([working])
        raise


def _discard(building: asyncio.Future[Archive]) -> None:
    # If the work ended before the cancellation took effect, no caller receives the archive, so delete it here.
    if not building.cancelled() and building.exception() is None:
        building.result().close()


def _check_choice(secrets: str) -> None:
    # A misspelled value such as `refused` must not count as `drop` or `send`.
    if secrets not in get_args(SecretFiles):
        raise InvalidArgumentError("secrets", f"must be 'refuse', 'drop' or 'send', not {secrets!r}")


def _existing_folder(folder: str | os.PathLike[str]) -> str:
    path = os.fspath(folder)
    if not isinstance(path, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ArchiveError("folder", f"must be a string or a path of strings, not {type(folder).__name__}")
    if not os.path.isdir(path):  # noqa: PTH112 - the error shows the path as the caller wrote it
        problem = "is not a folder" if os.path.exists(path) else "does not exist"  # noqa: PTH110
        where = "" if os.path.isabs(path) else f" in {printable(os.getcwd())}"  # noqa: PTH109, PTH117
        raise refused("folder", path, f"{problem}{where}")
    return path


def _refuse_or_report(paths: Sequence[str], secrets: SecretFiles) -> None:
    paths = [printable(path) for path in paths]
    if secrets == "refuse":
        raise ArchiveError(
            "folder",
            f"contains secrets that would be sent: {listed(paths, _MOST_SHOWN)}. List the files in .gitignore or "
            '.launchignore, or pass secrets="drop". Set secrets as variables of the environment instead. To send a '
            f"file that contains no secret, add a line to .launchignore: !/{paths[0]}",
            paths=paths,
        )
    _LOG.warning(
        "The archive leaves out %s with secrets: %s",
        count_of(len(paths), "file"),
        listed(paths, _MOST_SHOWN),
        extra={"paths": paths},
    )


def _build(
    folder: str | os.PathLike[str] | ArchiveListing,
    secrets: SecretFiles,
    follow_ignore_files: bool,
    level: int,
    checkpoint: Callable[[], None],
) -> Archive:
    if level not in range(10):
        raise InvalidArgumentError("level", f"must be a whole number from 0 to 9, not {level!r}")
    listing = folder if isinstance(folder, ArchiveListing) else _list(folder, secrets, follow_ignore_files, checkpoint)
    checkpoint()
    try:
        descriptor, name = tempfile.mkstemp(prefix="launch-", suffix=".zip")
    except OSError as error:
        raise unwritable(error) from error
    try:
        with os.fdopen(descriptor, "w+b") as spool:
            digests = pack(
                os.fspath(listing.folder),
                listing.entries,
                spool,
                level=level,
                limit=MAX_ARCHIVE_SIZE,
                pad_to=MIN_ARCHIVE_SIZE,
                checkpoint=checkpoint,
            )
            size = spool.tell()
            spool.seek(0)
            sha256 = hashlib.file_digest(spool, "sha256").hexdigest()
        return Archive(Path(name), size, sha256, _content_hash(listing.entries, digests), listing, temporary=True)
    except SizeExceeded:
        _remove(Path(name))
        raise _too_large(listing) from None
    except OSError as error:  # The ZIP cannot be written: `pack` raises ArchiveError for files that it cannot read.
        _remove(Path(name))
        raise unwritable(error) from error
    except BaseException:
        _remove(Path(name))
        raise


def unwritable(error: OSError) -> ArchiveError:
    """Return the error for a temporary folder in which the ZIP cannot be written."""
    where = printable(tempfile.tempdir or "the temporary folder")
    return ArchiveError(
        "folder",
        f"the ZIP cannot be written to {where} ({error.strerror}). Free space there, or use another folder: set the "
        "variable TMPDIR (TEMP on Windows) before the program starts",
    )


def _too_large(listing: ArchiveListing) -> ArchiveError:
    largest = listing.largest[:5]
    named = ", ".join(f"{printable(entry.path)} ({file_size(entry.size)})" for entry in largest)
    return ArchiveError(
        "folder",
        f"contains {count_of(len(listing.entries), 'file')} with {file_size(listing.total_size)} before compression. "
        f"The ZIP would be larger than 100 MiB. The largest files are {named}. List the files that the build does not "
        "need in .launchignore",
        rule=_SIZE_RULE,
        paths=[entry.path for entry in largest],
    )


def check_size(count: int) -> None:
    """Check the size of a ZIP in bytes.

    Raises:
        ArchiveError: Launch does not accept a ZIP of this size.
    """
    if count < MIN_ARCHIVE_SIZE:
        problem = (
            f"has {count} bytes, but Launch accepts only ZIPs of at least 1024 bytes. Pass the folder instead of the "
            "ZIP. The SDK then makes a ZIP that is large enough"
        )
        raise ArchiveError("zip_path", problem, rule=_SIZE_RULE)
    if count > MAX_ARCHIVE_SIZE:
        problem = f"has {file_size(count)}, but Launch accepts only ZIPs of at most 100 MiB"
        raise ArchiveError("zip_path", problem, rule=_SIZE_RULE)


def _content_hash(entries: Sequence[ArchiveEntry], digests: Sequence[bytes]) -> str:
    total = hashlib.sha256(b"launch-archive-1\n")
    for entry, digest in zip(entries, digests, strict=True):
        name = entry.path.encode()
        total.update(b"%o %d " % (entry.mode, len(name)) + name + digest)
    return total.hexdigest()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
