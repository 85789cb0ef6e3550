"""Names, globs and UIDs: how the SDK finds the projects and environments that they match.

The rules are the same for `LaunchClient.find`, the fleet, declared state and the command:

1. 24 lower-case hex digits are a UID, and never a name.
2. An exact name beats a glob: `shop[1]` is the project of that name, if there is one.
3. Otherwise a text with `*`, `?` or `[...]` is a glob.

Names are case-sensitive. Two Unicode spellings of a name (`ü` as one character, or as `u` with a mark) are the same
name, unless the listing contains both. Spaces around a name do not count.
"""

from __future__ import annotations

import difflib
import fnmatch
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from launch_async._text import listed, printable
from launch_async.errors import AmbiguousName, NameNotFound
from launch_async.http.operation import check_text, is_uid
from launch_async.resources.environments import Environments
from launch_async.resources.projects import Projects

__all__ = ["FoundEnvironment", "FoundProject", "find_environment", "find_project", "matching", "only"]

_MAX_SUGGESTIONS: Final = 5
"""Highest number of names that an error suggests."""


class _Named(Protocol):
    """An item of a listing: a project or an environment."""

    @property
    def uid(self) -> str: ...
    @property
    def name(self) -> str | None: ...


N = TypeVar("N", bound=_Named)


class FoundProject(NamedTuple):
    """The result of `find(project)`.

    Attributes:
        project_uid: UID of the project.
    """

    project_uid: str


class FoundEnvironment(NamedTuple):
    """The result of `find(project, environment)`: the first two arguments of most calls.

    For example: `deploy(*found, source)`.

    Attributes:
        project_uid: UID of the project.
        environment_uid: UID of the environment.
    """

    project_uid: str
    environment_uid: str


async def find_project(projects: Projects, wanted: str) -> str:
    """Return the UID of the one project that matches a name, a glob or a UID. For a UID, the SDK sends no request.

    Raises:
        InvalidArgumentError: The argument is empty or not a string.
        NameNotFound: No project matches.
        AmbiguousName: Several projects match.
    """
    if is_uid(check_text("project", wanted)):
        return wanted
    return only("project", wanted, await projects.list(), globs=True).uid


async def find_environment(environments: Environments, project_uid: str, wanted: str) -> str:
    """Return the UID of the one environment of a project that matches a name, a glob or a UID.

    Raises:
        InvalidArgumentError: The argument is empty or not a string.
        NameNotFound: No environment matches.
        AmbiguousName: Several environments match.
    """
    if is_uid(check_text("environment", wanted)):
        return wanted
    listing = await environments.list(project_uid)
    return only(f"environment of project {project_uid}", wanted, listing, globs=True).uid


def matching(items: Iterable[N], wanted: Iterable[str]) -> list[N]:
    """Return the items that match at least one of several names, globs or UIDs, in the order of the listing."""
    known = list(items)
    meant = {item.uid for one in wanted for item in _matches(known, one)}
    return [item for item in known if item.uid in meant]


def only(kind: str, wanted: str, items: Sequence[N], *, globs: bool = False) -> N:
    """Return the one item that matches a name or a UID, or a glob if `globs` is true.

    Args:
        kind: Kind of the listed items, for errors: `project` or `environment of project ...`.
        wanted: The name, UID or glob.
        items: The whole listing.
        globs: Whether a glob is accepted.

    Raises:
        NameNotFound: No item matches.
        AmbiguousName: Several items match.
    """
    found = _matches(items, wanted, globs=globs)
    if len(found) == 1:
        return found[0]
    if found:
        raise AmbiguousName(
            f"{len(found)} names match {wanted!r}, but the call needs exactly one {kind}: {_suggested(found)}. "
            "Pass the full name or the UID",
            candidates={item.uid: item.name or "" for item in found},
            operation="find",
        )
    close = _similar(wanted, items)
    listing = "launch.projects.list()" if kind == "project" else "launch.environments.list(project_uid)"
    advice = (
        f"Similar names: {_suggested(close)}" if close else f"{listing} returns all names ({len(items):,} in total)"
    )
    raise NameNotFound(
        f"No {kind} matches {wanted!r}. Names are case-sensitive. {advice if items else 'The listing is empty'}",
        candidates={item.uid: item.name or "" for item in close},
        operation="find",
    )


def _matches(items: Sequence[N], wanted: str, *, globs: bool = True) -> list[N]:
    if is_uid(wanted):
        return [item for item in items if item.uid == wanted]
    plain = _normalized(wanted)
    exact = [item for item in items if item.name == wanted] or [
        item for item in items if _normalized(item.name) == plain
    ]
    if exact or not globs:
        return exact
    return [item for item in items if item.name and fnmatch.fnmatchcase(_normalized(item.name), plain)]


def _normalized(name: str | None) -> str:
    return unicodedata.normalize("NFC", name or "").strip()


def _suggested(items: Sequence[_Named]) -> str:
    return printable(listed([f"{item.name!r} ({item.uid})" for item in items], _MAX_SUGGESTIONS))


def _similar(wanted: str, items: Sequence[N]) -> list[N]:
    """Return the items with a similar name: a similar spelling, or a name that contains the text."""
    text = _normalized(wanted).strip("*?").casefold()
    names = {item.uid: _normalized(item.name).casefold() for item in items if item.name}
    alike = difflib.get_close_matches(text, list(names.values()), n=_MAX_SUGGESTIONS)
    offered = [*alike, *sorted(name for name in names.values() if text and text in name and name not in alike)]
    order = {name: place for place, name in reversed(list(enumerate(offered)))}
    close = [item for item in items if names.get(item.uid) in order]
    return sorted(close, key=lambda item: order[names[item.uid]])[:_MAX_SUGGESTIONS]
