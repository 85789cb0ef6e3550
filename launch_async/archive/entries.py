"""A file that is sent, and a path that stays behind."""

from __future__ import annotations

import attrs

from launch_async.errors import ArchiveError

__all__ = ["ArchiveEntry", "Exclusion"]


@attrs.frozen
class ArchiveEntry:
    """A file that is sent.

    Attributes:
        path: Relative to the folder, with `/`.
        size: Bytes, uncompressed.
        mode: 0o755 if its owner may execute it, 0o644 otherwise.
        identity: What tells whether the file changes before it is sent; empty in a ZIP that exists already.
    """

    path: str
    size: int
    mode: int
    identity: tuple[int, ...] = attrs.field(default=(), repr=False, eq=False, kw_only=True)


@attrs.frozen
class Exclusion:
    """A file or folder that stays behind.

    Attributes:
        path: Relative to the folder, with `/`; a folder ends with `/` and stands for everything below it.
        reason: Such as `vcs`, `vendor default`, `build cache`, `os noise`, `secret`, `link`, `socket`, `pipe`, `device`
            or `ignored by docs/.gitignore:3`.
        size: Bytes; None for a folder, which was not looked into, and for a file that vanished meanwhile.
    """

    path: str
    reason: str
    size: int | None = None


def refused(parameter: str, name: str, problem: str) -> ArchiveError:
    """Return the error about one file or folder of what `parameter` names."""
    return ArchiveError(parameter, f"{printable(name)} {problem}", paths=[printable(name)])


def printable(name: str) -> str:
    """Return a name that can be encoded and that a terminal only shows, whatever the file system holds."""
    if name.isprintable():
        return name
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def encodable(name: str) -> str:
    """Return a name that can be encoded, and is otherwise as the file system holds it."""
    return name.encode("utf-8", "backslashreplace").decode()


def is_plain_name(name: str) -> bool:
    """Tell whether a name means the same file below a folder to every program that unpacks a ZIP."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    parts = name.split("/")
    # A backslash separates folders to some readers, and `a:` is a drive to them.
    return not ("\\" in name or "\0" in name or name[1:2] == ":" or any(part in {"", ".", ".."} for part in parts))
