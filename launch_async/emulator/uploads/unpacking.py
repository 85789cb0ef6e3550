"""Unpack uploaded archives into one folder, within a size limit. After a failure, the folder is removed."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

MAX_ENTRIES = 50_000
MAX_DEPTH = 100
CHUNK_BYTES = 256 * 1024


class BrokenArchive(Exception):
    """The archive cannot be deployed. The build log shows the text."""


def unpack(archive: Path, folder: Path, limit: int) -> None:
    """Unpack ``archive`` into the new ``folder``. This blocks, so run it in a thread.

    Args:
        archive: The uploaded ZIP.
        folder: Folder to create. It is removed after a failure.
        limit: Maximum total size of all files, in bytes.

    Raises:
        BrokenArchive: The archive is damaged, encrypted, empty, too large or not a ZIP, or an entry is a link or leads
            out of the folder.
    """
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            _unpack_entries(opened, folder, limit)
    except BrokenArchive:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise BrokenArchive("the archive is damaged or not a zip file") from error


def safe_name(name: str) -> PurePosixPath:
    """Return the relative path of an entry.

    Raises:
        BrokenArchive: The name is absolute, leads out of the folder, has too many levels, or is not a valid file name.
    """
    path = PurePosixPath(name)
    windows = PureWindowsPath(name)
    leaves = path.is_absolute() or bool(windows.drive) or ".." in path.parts
    if leaves or not 0 < len(path.parts) <= MAX_DEPTH or "\0" in name or "\\" in name:
        raise BrokenArchive(f"the archive contains the unsafe name {name[:200]!r}")
    return path


def _unpack_entries(opened: zipfile.ZipFile, folder: Path, limit: int) -> None:
    entries = opened.infolist()
    if len(entries) > MAX_ENTRIES:
        raise BrokenArchive(f"the archive has more than {MAX_ENTRIES} entries")
    room = limit
    files = 0
    for entry in entries:
        target = folder / safe_name(entry.filename)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise BrokenArchive(f"the archive contains {entry.filename[:200]!r}, which is a link or a device")
        if entry.flag_bits & 0x1:
            raise BrokenArchive("the archive is encrypted")
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        room -= _unpack_file(opened, entry, target, room)
        files += 1
    if not files:
        raise BrokenArchive("the archive contains no files")


def _unpack_file(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, room: int) -> int:
    """Write one file and return its real size, which may differ from the size in the header."""
    written = 0
    with opened.open(entry) as source, target.open("wb") as sink:
        while chunk := source.read(CHUNK_BYTES):
            written += len(chunk)
            if written > room:
                raise BrokenArchive("the unpacked archive is too large")
            sink.write(chunk)
    return written
