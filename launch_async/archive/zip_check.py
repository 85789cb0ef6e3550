"""Check that an existing ZIP can be uploaded: the ZIP is readable and complete, and no path leads out of the ZIP."""

from __future__ import annotations

import hashlib
import posixpath
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator

import attrs

from launch_async.archive.entries import is_plain_name, refused
from launch_async.archive.ignore import VCS, default_exclusion
from launch_async.archive.secret_files import holds_secret

__all__ = ["CheckedFile", "check_members"]

_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1


@attrs.frozen
class CheckedFile:
    """A file of a ZIP. `digest` is the SHA-256 of its content; `secret` is whether it needs `secrets="send"`."""

    name: str
    size: int
    mode: int
    digest: bytes
    secret: bool


def check_members(source: zipfile.ZipFile, checkpoint: Callable[[], None]) -> Iterator[CheckedFile]:
    """Read every file of a ZIP once and check its CRC. `checkpoint` is called for each block, and may raise to stop."""
    seen: set[str] = set()
    for info in source.infolist():
        checkpoint()
        name = _safe_name(info)
        if name in seen:
            raise refused("zip_path", name, "occurs twice in the ZIP")
        seen.add(name)
        if not info.is_dir():
            yield _read(source, info, name, checkpoint)


def _safe_name(info: zipfile.ZipInfo) -> str:
    # `zipfile` changes separators to "/" and cuts the name at a NUL, so check the original name.
    name = _plain(info.orig_filename)
    is_top = re.fullmatch(r"(\./)+", info.orig_filename) is not None
    if not is_top and not is_plain_name(name):
        raise refused("zip_path", info.orig_filename, "is not a plain path inside the archive")
    return _plain(info.filename)


def _plain(name: str) -> str:
    # Some ZIP programs write `./` before every name, and add an entry for the folder `./`.
    return re.sub(r"^(\./)+", "", name).removesuffix("/")


def _read(source: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, checkpoint: Callable[[], None]) -> CheckedFile:
    if info.flag_bits & _ENCRYPTED:
        raise refused("zip_path", name, "is encrypted, so Launch cannot unpack it")
    digest, head = hashlib.sha256(), b""
    try:
        with source.open(info) as file:
            while chunk := file.read(_CHUNK_BYTES):
                checkpoint()
                head = head or chunk
                digest.update(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise refused("zip_path", name, "is damaged") from error
    except (NotImplementedError, RuntimeError) as error:
        raise refused("zip_path", name, "uses a compression method that the SDK cannot check. Use deflate") from error
    unix_mode = info.external_attr >> 16
    if stat.S_ISLNK(unix_mode):
        _check_link(name, head)
    elif stat.S_IFMT(unix_mode) not in {0, stat.S_IFREG}:
        raise refused("zip_path", name, "is not a file")
    mode = 0o755 if unix_mode & stat.S_IXUSR else 0o644
    return CheckedFile(name, info.file_size, mode, digest.digest(), _is_secret(name, head))


def _check_link(name: str, target: bytes) -> None:
    where = posixpath.normpath(posixpath.join(posixpath.dirname(name), target.decode("utf-8", "surrogateescape")))
    if where.startswith(("/", "../")) or where == "..":
        raise refused("zip_path", name, "is a link that leads out of the archive")


def _is_secret(name: str, head: bytes) -> bool:
    parts = name.split("/")
    in_vcs = any(default_exclusion(part, part, is_folder=True) == VCS for part in parts)
    return in_vcs or bool(holds_secret(name, parts[-1], head))
