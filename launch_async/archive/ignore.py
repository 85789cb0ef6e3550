"""Decide which files of a folder are left out: the rules of ignore files, and the vendor's exclusions.

Ignore files work exactly as in git. The last rule that matches a path decides, and an ignore file has priority over the
ignore files of the folders above it. The functions check one path at a time. The caller walks the folder from the top,
and does not enter a folder that is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import chain

import attrs

from launch_async.archive.glob import compile_glob, literal_length

__all__ = [
    "BUILD_CACHE",
    "VCS",
    "VENDOR",
    "IgnoreFile",
    "Rule",
    "default_exclusion",
    "last_rule",
]

VCS = "vcs"
VENDOR = "vendor default"
BUILD_CACHE = "build cache"
OS_NOISE = "os noise"

# Names that are left out at any depth (FACTS §5). The vendor's list also contains `.env` and `.env.local`. They are not
# in this list, because the argument `secrets` decides about files with these names.
_ANYWHERE = {
    ".git": VCS,
    ".svn": VCS,
    ".hg": VCS,
    "node_modules": VENDOR,
    ".vscode": VENDOR,
    ".cs-launch.json": VENDOR,
    ".next": BUILD_CACHE,
    ".nuxt": BUILD_CACHE,
    ".svelte-kit": BUILD_CACHE,
    ".output": BUILD_CACHE,
    ".turbo": BUILD_CACHE,
    ".cache": BUILD_CACHE,
    ".DS_Store": OS_NOISE,
    "Thumbs.db": OS_NOISE,
}
# In other folders, these names usually belong to the site, for example to a page /docs/coverage or a log viewer.
_AT_THE_ROOT = {"logs": VENDOR, "coverage": BUILD_CACHE}


@attrs.frozen
class Rule:
    """One line of an ignore file.

    Attributes:
        source: Path of the ignore file, relative to the archived folder.
        line: Line number, from 1.
        keeps: Whether the line begins with `!`, so it includes the path again.
        folders_only: Whether the line ends with `/`.
        names_file: Whether the last part of the line is a plain name, without wildcards.
    """

    source: str
    line: int
    keeps: bool
    folders_only: bool
    names_file: bool

    @property
    def reason(self) -> str:
        """Reason for an exclusion by this rule."""
        return f"ignored by {self.source}:{self.line}"


@attrs.frozen
class _Glob:
    rule: Rule
    regex: re.Pattern[bytes]
    by_name: bool


class IgnoreFile:
    """The rules of one ignore file, for its folder and the paths below."""

    def __init__(self, source: str, text: bytes) -> None:
        """Read the rules. As in git, an invalid line matches no path."""
        self._source = source
        self._base = len(os.fsencode(source.removesuffix(source.rpartition("/")[2])))
        # Most lines are plain names, which a dictionary finds in constant time.
        self._names: dict[bytes, list[Rule]] = {}
        self._paths: dict[bytes, list[Rule]] = {}
        self._globs: list[_Glob] = []
        for number, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
            self._add(number, line.removesuffix(b"\r"))
        self._globs.reverse()

    def _add(self, number: int, line: bytes) -> None:
        body = _without_trailing_spaces(line.partition(b"\0")[0])
        if body.startswith(b"#"):
            return
        keeps = body.startswith(b"!")
        body = body.removeprefix(b"!")
        folders_only = body.endswith(b"/")
        body = body.removesuffix(b"/")
        by_name = b"/" not in body
        body = body.removeprefix(b"/")
        if not body:
            return
        last = body.rpartition(b"/")[2]
        rule = Rule(self._source, number, keeps, folders_only, names_file=literal_length(last) == len(last))
        if literal_length(body) == len(body):
            (self._names if by_name else self._paths).setdefault(body, []).append(rule)
        elif (regex := compile_glob(body)) is not None:
            self._globs.append(_Glob(rule, regex, by_name))

    def match(self, path: bytes, name: bytes, *, is_folder: bool) -> Rule | None:
        """Return the last rule that matches a path at or below this file's folder, or None."""
        path = path[self._base :]
        best: Rule | None = None
        for rule in chain(self._names.get(name, ()), self._paths.get(path, ())):
            if (is_folder or not rule.folders_only) and (best is None or rule.line > best.line):
                best = rule
        for glob in self._globs:
            if best is not None and glob.rule.line < best.line:
                break
            if (is_folder or not glob.rule.folders_only) and glob.regex.match(name if glob.by_name else path):
                return glob.rule
        return best


def last_rule(files: Sequence[IgnoreFile], path: str, *, is_folder: bool) -> Rule | None:
    """Return the rule that decides about a path, or None. `files` are ordered from the outermost to the innermost."""
    if not files:
        return None
    encoded = os.fsencode(path)
    name = encoded.rpartition(b"/")[2]
    for file in reversed(files):
        if (rule := file.match(encoded, name, is_folder=is_folder)) is not None:
            return rule
    return None


def default_exclusion(path: str, name: str, *, is_folder: bool) -> str | None:
    """Return the reason why the vendor's tools leave a path out; None if they include the path."""
    reason = _ANYWHERE.get(name)
    if reason is None and is_folder and name == ".env":
        return VENDOR  # The folder of a Python virtual environment, not a file with secrets.
    if reason is None and path == name:
        reason = _AT_THE_ROOT.get(name)
        if reason is None and not is_folder and name.endswith(".zip"):
            return VENDOR
    return reason


def _without_trailing_spaces(line: bytes) -> bytes:
    bare = line.rstrip(b" ")
    # `\ ` at the end is a space of the name. `\\ ` at the end is a backslash and a space that git ignores.
    escaped = (len(bare) - len(bare.rstrip(b"\\"))) % 2 == 1
    return bare + b" " if escaped and len(bare) < len(line) else bare
