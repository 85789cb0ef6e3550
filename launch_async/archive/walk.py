"""Which files of a folder are sent, and why each of the others stays behind: one walk, top down, in a fixed order."""

from __future__ import annotations

import os
import stat

import attrs

from launch_async.archive.entries import ArchiveEntry, Exclusion, printable, refused
from launch_async.archive.ignore import SECRET, VCS, IgnoreFile, default_exclusion, holds_secret, last_rule
from launch_async.archive.zip_writer import identity_of, open_member
from launch_async.errors import ArchiveError

__all__ = ["walk"]

_SECRET_HEAD = 1 << 20  # bytes of a file that are searched for a key or token
_JUNCTION = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)
_SPECIAL = {
    stat.S_IFLNK: "link",
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@attrs.frozen
class _Folder:
    prefix: str  # "" or "a/b/"
    git: tuple[IgnoreFile, ...] = ()
    launch: tuple[IgnoreFile, ...] = ()


def walk(
    root: str, *, follow_ignore_files: bool, send_secrets: bool = False
) -> tuple[list[ArchiveEntry], list[Exclusion]]:
    """Return what to send and what stays behind, each ordered by path."""
    visit = _Walk(root, follow_ignore_files=follow_ignore_files, send_secrets=send_secrets)
    visit.run()
    if visit.unusable:
        raise ArchiveError(
            "folder",
            f"a ZIP cannot hold these names: {', '.join(visit.unusable[:20])}. Rename them: UTF-8 without backslashes",
            paths=visit.unusable,
        )
    return sorted(visit.found, key=lambda one: one.path), sorted(visit.left, key=lambda one: one.path)


class _Walk:
    def __init__(self, root: str, *, follow_ignore_files: bool, send_secrets: bool) -> None:
        self.found: list[ArchiveEntry] = []
        self.left: list[Exclusion] = []
        self.unusable: list[str] = []
        self._root = root
        self._follow = follow_ignore_files
        self._send_secrets = send_secrets
        self._waiting = [_Folder("")]

    def run(self) -> None:
        while self._waiting:
            folder = self._waiting.pop()
            entries = self._entries(folder.prefix)
            if self._follow:
                folder = self._with_ignore_files(folder, {entry.name for entry in entries})
            for entry in entries:
                self._visit(folder, entry)

    def _entries(self, prefix: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(f"{self._root}/{prefix}") as entries:
                return list(entries)
        except OSError as error:
            raise refused("folder", prefix or self._root, f"cannot be read ({error.strerror})") from error

    def _with_ignore_files(self, folder: _Folder, names: set[str]) -> _Folder:
        git, launch = folder.git, folder.launch
        if ".gitignore" in names and (rules := self._ignore_file(f"{folder.prefix}.gitignore")):
            git = (*git, rules)
        if ".launchignore" in names and (rules := self._ignore_file(f"{folder.prefix}.launchignore")):
            launch = (*launch, rules)
        return _Folder(folder.prefix, git, launch)

    def _ignore_file(self, path: str) -> IgnoreFile | None:
        info = self._lstat(path)
        if not stat.S_ISREG(info.st_mode):
            return None  # git does not follow links here either
        with open_member(self._root, path, identity_of(info)) as file:
            return IgnoreFile(path, file.read().decode("utf-8", "surrogateescape"))

    def _visit(self, folder: _Folder, entry: os.DirEntry[str]) -> None:
        path = folder.prefix + entry.name
        info = self._lstat(path)
        is_folder = stat.S_ISDIR(info.st_mode)
        size = info.st_size if stat.S_ISREG(info.st_mode) else None
        reason = _special(info) or _exclusion(folder, path, entry.name, is_folder=is_folder)
        if reason is not None:
            self.left.append(Exclusion(printable(f"{path}/" if is_folder else path), reason, size))
        elif not _expressible(entry.name):
            self.unusable.append(printable(path))
        elif is_folder:
            self._waiting.append(_Folder(f"{path}/", folder.git, folder.launch))
        elif not self._send_secrets and self._is_secret(path, entry.name, info):
            self.left.append(Exclusion(printable(path), SECRET, size))
        else:
            mode = 0o755 if info.st_mode & stat.S_IXUSR else 0o644
            self.found.append(ArchiveEntry(path, info.st_size, mode, identity=identity_of(info)))

    def _lstat(self, path: str) -> os.stat_result:
        try:
            return os.lstat(f"{self._root}/{path}")  # DirEntry.stat() knows no inode on Windows
        except OSError as error:
            raise refused("folder", path, "vanished while the folder was listed") from error

    def _is_secret(self, path: str, name: str, info: os.stat_result) -> bool:
        by_name = holds_secret(path, name, None)
        if by_name is not None:
            return by_name
        with open_member(self._root, path, identity_of(info)) as file:
            return bool(holds_secret(path, name, file.read(_SECRET_HEAD)))


def _special(info: os.stat_result) -> str | None:
    if stat.S_ISREG(info.st_mode):
        return None
    if stat.S_ISDIR(info.st_mode):
        # A Windows junction looks like a folder and leads anywhere.
        return "link" if getattr(info, "st_reparse_tag", 0) == _JUNCTION else None
    return _SPECIAL.get(stat.S_IFMT(info.st_mode), "special file")


def _exclusion(folder: _Folder, path: str, name: str, *, is_folder: bool) -> str | None:
    default = default_exclusion(path, name, is_folder=is_folder)
    if default == VCS:
        return VCS
    rule = last_rule(folder.launch, path, name, is_folder=is_folder)
    if rule is None and default is not None:
        return default
    rule = rule or last_rule(folder.git, path, name, is_folder=is_folder)
    return None if rule is None or rule.keeps else rule.reason


def _expressible(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\\" not in name  # a folder separator to some readers
