"""Walk a folder from the top, and decide for each file whether it is sent or why it is left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

import attrs

from launch_async.archive.entries import ArchiveEntry, Exclusion, encodable, is_plain_name, printable, refused
from launch_async.archive.ignore import VCS, IgnoreFile, Rule, default_exclusion, last_rule
from launch_async.archive.secret_files import SECRET, holds_secret
from launch_async.archive.zip_writer import identity_of, open_member, read_head
from launch_async.errors import ArchiveError

__all__ = ["walk"]

_SEARCHED_BYTES = 1 << 20  # The first bytes of a file, which are searched for a key or token.
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
    prefix: str  # Path of the folder with a final slash, such as "a/b/"; empty for the root.
    git: tuple[IgnoreFile, ...] = ()
    launch: tuple[IgnoreFile, ...] = ()


def walk(
    root: str, *, follow_ignore_files: bool, send_secrets: bool, checkpoint: Callable[[], None]
) -> tuple[list[ArchiveEntry], list[Exclusion]]:
    """Return the files to send and the paths that are left out, each ordered by path.

    The walk calls `checkpoint` for each file and folder. `checkpoint` may raise to stop the walk.
    """
    visit = _Walk(root, follow_ignore_files=follow_ignore_files, send_secrets=send_secrets, checkpoint=checkpoint)
    visit.run()
    if visit.unusable:
        raise ArchiveError(
            "folder",
            f"contains names that a ZIP cannot contain: {', '.join(visit.unusable[:20])}. Rename the files. Names must "
            "be UTF-8, without backslashes, and without a colon after the first letter of the path",
            paths=visit.unusable,
        )
    return sorted(visit.found, key=lambda one: one.path), sorted(visit.left_out, key=lambda one: one.path)


class _Walk:
    def __init__(
        self, root: str, *, follow_ignore_files: bool, send_secrets: bool, checkpoint: Callable[[], None]
    ) -> None:
        self.found: list[ArchiveEntry] = []
        self.left_out: list[Exclusion] = []
        self.unusable: list[str] = []
        self._root = root
        self._follow = follow_ignore_files
        self._send_secrets = send_secrets
        self._checkpoint = checkpoint
        self._waiting = [_Folder("")]

    def run(self) -> None:
        while self._waiting:
            folder = self._waiting.pop()
            entries = self._entries(folder.prefix)
            if self._follow:
                folder = self._with_ignore_files(folder, {entry.name for entry in entries})
            for entry in entries:
                self._checkpoint()
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
            return None  # Git does not read an ignore file that is a link either.
        with open_member(self._root, path, identity_of(info)) as file:
            return IgnoreFile(path, file.read())

    def _visit(self, folder: _Folder, entry: os.DirEntry[str]) -> None:
        path = folder.prefix + entry.name
        is_folder = _is_folder(entry)
        # The rules decide before the file is read, because a file that is left out may vanish at any time.
        reason, included_by = _decide(folder, path, entry.name, is_folder=is_folder)
        if reason is not None:
            self._leave(path, "link" if _is_link(entry) else reason, is_folder=is_folder)
            return
        info = self._lstat(path)
        is_folder = stat.S_ISDIR(info.st_mode)
        special = _special(info)
        if special is not None:
            self._leave(path, special, is_folder=is_folder)
        elif not is_plain_name(path):
            self.unusable.append(printable(path))
        elif is_folder:
            self._waiting.append(_Folder(f"{path}/", folder.git, folder.launch))
        elif not self._may_send(path, entry.name, info, included_by):
            self.left_out.append(Exclusion(encodable(path), SECRET, info.st_size))
        else:
            mode = 0o755 if info.st_mode & stat.S_IXUSR else 0o644
            self.found.append(ArchiveEntry(path, info.st_size, mode, identity=identity_of(info)))

    def _leave(self, path: str, reason: str, *, is_folder: bool) -> None:
        size: int | None = None
        if not is_folder:
            try:
                info = os.lstat(f"{self._root}/{path}")
                size = info.st_size if stat.S_ISREG(info.st_mode) else None
            except OSError:
                size = None  # The file no longer exists.
        self.left_out.append(Exclusion(encodable(f"{path}/" if is_folder else path), encodable(reason), size))

    def _lstat(self, path: str) -> os.stat_result:
        try:
            return os.lstat(f"{self._root}/{path}")  # On Windows, DirEntry.stat() returns no inode.
        except FileNotFoundError as error:
            problem = (
                "vanished while the SDK listed the folder. Stop the program that writes to the folder (a build, a "
                "watcher), or list the file in .launchignore"
            )
            raise refused("folder", path, problem) from error
        except OSError as error:
            raise refused("folder", path, f"cannot be read ({error.strerror})") from error

    def _may_send(self, path: str, name: str, info: os.stat_result, included_by: Rule | None) -> bool:
        if self._send_secrets or (included_by is not None and included_by.names_file):
            return True
        by_name = holds_secret(path, name, None)
        if by_name is not None:
            return not by_name
        if not info.st_size:
            return True
        head = read_head(self._root, path, identity_of(info), min(info.st_size, _SEARCHED_BYTES))
        return not holds_secret(path, name, head)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink()
    except OSError:
        return False


def _special(info: os.stat_result) -> str | None:
    if stat.S_ISREG(info.st_mode):
        return None
    if stat.S_ISDIR(info.st_mode):
        # A Windows junction looks like a folder, but can lead out of the folder.
        return "link" if getattr(info, "st_reparse_tag", 0) == _JUNCTION else None
    return _SPECIAL.get(stat.S_IFMT(info.st_mode), "special file")


def _decide(folder: _Folder, path: str, name: str, *, is_folder: bool) -> tuple[str | None, Rule | None]:
    """Return the reason to leave a path out, or None; and the `.launchignore` rule that includes it, or None."""
    default = default_exclusion(path, name, is_folder=is_folder)
    if default == VCS:
        return VCS, None
    launch = last_rule(folder.launch, path, is_folder=is_folder)
    if launch is not None:
        return (None, launch) if launch.keeps else (launch.reason, None)
    if default is not None:
        return default, None
    git = last_rule(folder.git, path, is_folder=is_folder)
    return (None if git is None or git.keeps else git.reason), None
