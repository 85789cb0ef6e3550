"""Which files of a folder stay behind: ignore files, the vendor's exclusions, and secrets.

Ignore files follow git: the last rule that matches a path decides, an inner file comes before an outer one, and nothing
below an ignored folder is looked at. `pathspec` translates the patterns, but its own matching lets a rule for a folder
match everything below it, so that `!*/` re-includes files that git leaves out (its issues 129 and 137). Here a rule is
matched against exactly one path, while the caller walks from the top and does not descend into what is left out.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from itertools import chain

import attrs
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

__all__ = [
    "BUILD_CACHE",
    "SECRET",
    "VCS",
    "VENDOR",
    "IgnoreFile",
    "Rule",
    "default_exclusion",
    "holds_secret",
    "last_rule",
]

VCS = "vcs"
VENDOR = "vendor default"
BUILD_CACHE = "build cache"
OS_NOISE = "os noise"
SECRET = "secret"  # noqa: S105 - the reason, not a secret

# FACTS §5, at any depth. `.env` and `.env.local` are on the vendor's list too, but a file of that name is a secret: the
# caller decides whether it is refused or dropped. A folder of that name is a virtual environment.
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
# Deeper down these are content: a page called /coverage, a log viewer, a download.
_AT_THE_ROOT = {"logs": VENDOR, "coverage": BUILD_CACHE}

_SECRET_NAMES = frozenset(
    {"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".netrc", "_netrc", ".pypirc", ".git-credentials", ".dockercfg"}
)
_SECRET_SUFFIXES = (".p12", ".pfx", ".jks", ".keystore", ".ppk")
_SAMPLE_SUFFIXES = (".example", ".sample", ".template")
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
# `_authToken=${NPM_TOKEN}` names a variable and gives nothing away.
_NPM_TOKEN = re.compile(rb"^[^#;\r\n]*_(?:authToken|auth|password)[ \t]*=[ \t]*[\"']?(?!\$\{)[^\s\"']", re.MULTILINE)
_YARN_TOKEN = re.compile(rb"^\s*[\"']?npmAuth(?:Token|Ident)[\"']?\s*:\s*[\"']?(?!\$\{)[^\s\"'#]", re.MULTILINE)
_CONTENT_RULES = (
    ((".pem", ".key"), _PRIVATE_KEY),
    ((".npmrc",), _NPM_TOKEN),
    ((".yarnrc.yml",), _YARN_TOKEN),
)

_POSIX_CLASSES = {
    "[:alnum:]": "a-zA-Z0-9",
    "[:alpha:]": "a-zA-Z",
    "[:blank:]": " \t",
    "[:digit:]": "0-9",
    "[:lower:]": "a-z",
    "[:space:]": " \t\n\r\f\v",
    "[:upper:]": "A-Z",
    "[:xdigit:]": "0-9a-fA-F",
}


@attrs.frozen
class Rule:
    """One line of an ignore file.

    Attributes:
        source: Path of the ignore file, relative to the archived folder.
        line: Line number, from 1.
        keeps: Whether the line begins with `!` and so brings a path back.
        folders_only: Whether the line ends with `/`.
    """

    source: str
    line: int
    keeps: bool
    folders_only: bool

    @property
    def reason(self) -> str:
        """How an exclusion by this rule is explained."""
        return f"ignored by {self.source}:{self.line}"


@attrs.frozen
class _Glob:
    rule: Rule
    regex: re.Pattern[str]
    by_name: bool
    slashes: int | None  # how many a matching path has; None if the pattern holds `**`

    def matches(self, path: str, name: str) -> bool:
        if self.by_name:
            return self.regex.fullmatch(name) is not None
        # Brackets such as `[!x]` would match a slash, which git's never do.
        return (self.slashes is None or path.count("/") == self.slashes) and self.regex.fullmatch(path) is not None


class IgnoreFile:
    """The rules of one ignore file, for the paths at and below its folder."""

    def __init__(self, source: str, text: str) -> None:
        """Read the rules; lines that git cannot understand match nothing, as in git."""
        self._base = len(source) - len(source.rpartition("/")[2])
        # Most lines are plain names: one look-up finds them, however many there are.
        self._names: dict[str, list[Rule]] = {}
        self._paths: dict[str, list[Rule]] = {}
        self._globs: list[_Glob] = []
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
            self._add(source, number, line.removesuffix("\r"))
        self._globs.reverse()

    def _add(self, source: str, number: int, line: str) -> None:
        body = _without_trailing_spaces(line)
        if not body or body.startswith("#"):
            return
        keeps = body.startswith("!")
        body = body.removeprefix("!")
        folders_only = body.endswith("/")
        body = body.removesuffix("/")
        if not body:
            return
        rule = Rule(source=source, line=number, keeps=keeps, folders_only=folders_only)
        by_name = "/" not in body
        body = re.sub(r"(^|/)\*{3,}(?=/|$)", r"\1**", body.removeprefix("/"))
        if not re.search(r"[*?\[\\]", body):
            (self._names if by_name else self._paths).setdefault(body, []).append(rule)
        elif (regex := _translate(body, by_name=by_name)) is not None:
            any_depth = "**" in body.split("/")
            self._globs.append(_Glob(rule, regex, by_name, None if any_depth else body.count("/")))

    def match(self, path: str, name: str, *, is_folder: bool) -> Rule | None:
        """Return the last rule that matches a path at or below this file's folder, or None."""
        path = path[self._base :]
        best: Rule | None = None
        for rule in chain(self._names.get(name, ()), self._paths.get(path, ())):
            if (is_folder or not rule.folders_only) and (best is None or rule.line > best.line):
                best = rule
        for glob in self._globs:
            if best is not None and glob.rule.line < best.line:
                break
            if (is_folder or not glob.rule.folders_only) and glob.matches(path, name):
                return glob.rule
        return best


def last_rule(files: Sequence[IgnoreFile], path: str, name: str, *, is_folder: bool) -> Rule | None:
    """Return the rule that decides about a path, or None; `files` go from the outermost to the innermost."""
    for file in reversed(files):
        if (rule := file.match(path, name, is_folder=is_folder)) is not None:
            return rule
    return None


def default_exclusion(path: str, name: str, *, is_folder: bool) -> str | None:
    """Return why the vendor's tools leave a path out, or None if they don't (FACTS §5)."""
    reason = _ANYWHERE.get(name)
    if reason is None and is_folder and name == ".env":
        return VENDOR
    if reason is None and path == name:
        reason = _AT_THE_ROOT.get(name)
        if reason is None and not is_folder and name.endswith(".zip"):
            return VENDOR
    return reason


def holds_secret(path: str, name: str, head: bytes | None) -> bool | None:
    """Tell whether a file is secret by its name, and by its content where the name alone does not decide.

    Args:
        path: Relative to the archived folder, with `/`.
        name: The last segment of `path`.
        head: The beginning of the file, if it was read already.

    Returns:
        True or False, or None if the answer depends on `head` and `head` is None.
    """
    lower = name.lower()
    if lower.startswith(".env"):
        return not lower.endswith(_SAMPLE_SUFFIXES)
    if lower in _SECRET_NAMES or lower.endswith(_SECRET_SUFFIXES) or f"/{path}".endswith("/.aws/credentials"):
        return True
    for suffixes, pattern in _CONTENT_RULES:
        if lower.endswith(suffixes):
            return None if head is None else pattern.search(head) is not None
    return False


def _without_trailing_spaces(line: str) -> str:
    bare = line.rstrip(" ")
    # `\ ` at the end is a space that belongs to the name; `\\ ` is a backslash and a space that does not.
    escaped = (len(bare) - len(bare.rstrip("\\"))) % 2 == 1
    return f"{bare} " if escaped and len(bare) < len(line) else bare


def _translate(body: str, *, by_name: bool) -> re.Pattern[str] | None:
    """Turn a pattern into an expression for one whole path, or one whole name; None if nothing can ever match it."""
    for posix_class, members in _POSIX_CLASSES.items():
        body = body.replace(posix_class, members)
    segments = ["*"] if by_name and not body.strip("*") else body.split("/")
    # pathspec shortens a last `*` or `**` to "anything with this prefix"; spelt like this it stays exact.
    if segments[-1] == "**":
        segments.append("?*")
    elif segments[-1] == "*":
        segments[-1] = "?*"
    try:
        regex, _ = GitIgnoreSpecPattern.pattern_to_regex("/" + "/".join(segments))
        if regex is None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # `[[`: read as plain characters, as git does
            return re.compile(regex, re.DOTALL)
    except (ValueError, re.error):
        return None
