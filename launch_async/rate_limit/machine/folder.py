"""The folder of the machine's budgets: its location, and checks that only the user can access it."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["Unsafe", "budget_files", "budget_path", "make_folder", "open_own"]

_NAME: Final = "contentstack-launch"
_SUFFIX: Final = ".budget"


class Unsafe(OSError):
    """A folder or file that another user could have prepared. The text says why."""


def budget_path(host: str, organization_uid: str) -> Path:
    """Return the file of an organization's budget at an API host, for this machine since its last start.

    The name of the file contains neither the organization nor the host.

    Raises:
        RuntimeError: The user has no home folder.
    """
    key = f"{_machine()}\n{host.lower()}\n{organization_uid}"
    return _parent() / _NAME / "budgets" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}{_SUFFIX}"


def make_folder(folder: Path) -> None:
    """Create the folder if it does not exist, and check that no other user can write to it.

    Raises:
        Unsafe: The folder is a link, or belongs to another user.
        OSError: The folder cannot be created.
    """
    folder.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in (folder.parent, folder):
        made.mkdir(mode=0o700, exist_ok=True)
        found = made.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise Unsafe(f"{made} is not a folder")
        _check_owner(found, made)
        if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o077:
            made.chmod(0o700)


def open_own(path: Path, *, create: bool) -> int:
    """Open a file of the folder for reading and writing. Return its descriptor.

    Raises:
        Unsafe: The path is a link or not a regular file, or the file belongs to another user.
        OSError: The file cannot be opened.
    """
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.open(path, flags | (os.O_CREAT if create else 0), 0o600)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise Unsafe(f"{path} is not a file")
        _check_owner(found, path)
        if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(file, 0o600)
    except BaseException:
        os.close(file)
        raise
    return file


def budget_files(folder: Path) -> Iterator[Path]:
    """Yield the paths of all budget files."""
    with os.scandir(folder) as entries:
        yield from (Path(entry.path) for entry in entries if entry.name.endswith(_SUFFIX))


def _check_owner(found: os.stat_result, path: Path) -> None:
    if (user := _user()) is not None and found.st_uid != user:
        raise Unsafe(f"{path} belongs to another user")


def _parent() -> Path:
    """Return the user's runtime folder, or the user's cache folder if there is none."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{_user()}")
    if runtime.is_absolute() and _is_ours(runtime):
        return runtime
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == _user()


def _user() -> int | None:
    """Return the user id of this process; None on a system without file owners."""
    return os.geteuid() if hasattr(os, "geteuid") else None


@cache
def _machine() -> str:
    """Return an id of this machine since its last start. Other machines can share the folder, but not the clock."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except (OSError, ValueError):
        import platform

        return platform.node()
