"""The entries of a listing: files to send, and paths that are left out."""

from __future__ import annotations

import attrs

from launch_async.errors import ArchiveError

__all__ = ["ArchiveEntry", "Exclusion"]


@attrs.frozen
class ArchiveEntry:
    """A file to send.

    Attributes:
        path: Path relative to the folder, with `/`.
        size: Size in bytes, before compression.
        mode: 0o755 if the owner may execute the file, 0o644 otherwise.
        identity: Values that change if the file is changed or replaced; empty for a file of an existing ZIP.
    """

    path: str
    size: int
    mode: int
    identity: tuple[int, ...] = attrs.field(default=(), repr=False, eq=False, kw_only=True)


@attrs.frozen
class Exclusion:
    """A file or folder that is left out.

    Attributes:
        path: Path relative to the folder, with `/`. The path of a folder ends with `/`, and stands for all files in it.
        reason: Reason, such as `vcs`, `vendor default`, `build cache`, `os noise`, `secret`, `link`, `socket`, `pipe`,
            `device` or `ignored by docs/.gitignore:3`.
        size: Size in bytes; None for a folder, because its content was not read, and for a file that no longer exists.
    """

    path: str
    reason: str
    size: int | None = None


def refused(parameter: str, name: str, problem: str) -> ArchiveError:
    """Return the error for one file or folder of the argument `parameter`."""
    return ArchiveError(parameter, f"{quoted(name)} {problem}", paths=[printable(name)])


def quoted(name: str) -> str:
    """Return a name in quotes, with escapes for all characters that cannot be encoded or printed."""
    return f"'{printable(name)}'"


def printable(name: str) -> str:
    """Return a name with escapes for all characters that cannot be encoded or printed."""
    if name.isprintable():
        return name
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def encodable(name: str) -> str:
    """Return a name with escapes for bytes that are not UTF-8, and otherwise unchanged."""
    return name.encode("utf-8", "backslashreplace").decode()


def is_plain_name(name: str) -> bool:
    """Return whether every unzip program reads a name as the same path inside the folder."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    parts = name.split("/")
    # Some unzip programs read a backslash as a separator of folders, and `a:` as a drive.
    return not ("\\" in name or "\0" in name or name[1:2] == ":" or any(part in {"", ".", ".."} for part in parts))
