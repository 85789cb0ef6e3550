"""`State`: the declared state of a fleet, as typed data that a TOML file contains (docs/reference/state-file.md).

The SDK changes only what a document mentions, and deletes only entries with `delete = true`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import attrs

from launch_async._text import count_of
from launch_async.errors import InvalidArgumentError
from launch_async.state.declarations import Declaration, DeclaredSettings
from launch_async.state.file.reading import read
from launch_async.state.file.writing import replace_file, written
from launch_async.state.values import VariableSource, described, is_reference
from launch_async.wire.secret import Secret

__all__ = ["Reference", "State"]


@attrs.frozen
class Reference:
    """A reference to a secret. It must have a value before you apply the document.

    Attributes:
        name: `env:NAME`, `file:PATH`, or the name of a function.
        used_by: The entries that use the reference, such as `shop/production API_TOKEN`.
    """

    name: str
    used_by: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} for {', '.join(self.used_by)}"


@attrs.define(kw_only=True)
class State(Declaration):
    """The declared state of a fleet. Change it like any object, and `save` it; a file keeps its comments and order.

    Attributes:
        projects: Projects by name.
        groups: Settings of several environments, by a name that you choose. A later group takes precedence.
        defaults: Settings of every environment that the document names or a group matches.
        unmanaged: Name patterns of projects, environments or `project/environment` that the SDK never changes.
        notes: Entries that `pull` left out, with the reason.
        origin: The file of the document; None without a file.
    """

    @staticmethod
    def load(path: str | os.PathLike[str]) -> State:
        """Read a state file.

        Raises:
            StateError: The text is not valid TOML or not a valid document. The error lists all problems by line.
            InvalidArgumentError: The file cannot be read.
        """
        try:
            text = Secret(Path(path).read_text("utf-8-sig"))
        except OSError as error:
            raise InvalidArgumentError(
                "path", f"The file {os.fspath(path)!r} cannot be read: {error.strerror or type(error).__name__}"
            ) from None
        except UnicodeDecodeError:
            raise InvalidArgumentError(
                "path", f"The file {os.fspath(path)!r} is not UTF-8. Save it as UTF-8, which TOML requires"
            ) from None
        return State.from_toml(text, name=os.fspath(path))

    @staticmethod
    def from_toml(text: str, *, name: str = "launch.toml") -> State:
        """Read the text of a state file.

        Args:
            text: The text.
            name: Path of the file for error messages. Relative paths in the document start at its folder.

        Raises:
            StateError: The text is not valid TOML or not a valid document. The error lists all problems by line.
        """
        text = Secret(text)
        return read(State, text, name)

    def to_toml(self) -> str:
        """Return the document as TOML. A document from a file keeps the comments and the order of the file.

        Raises:
            InvalidArgumentError: TOML cannot contain a value, such as a function, or a value looks like a secret.
            ConfigurationError: tomlkit is not installed (extra `state`).
        """
        return written(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_toml()` to a file atomically.

        Raises:
            InvalidArgumentError: TOML cannot contain a value, or the file cannot be written.
            ConfigurationError: tomlkit is not installed (extra `state`).
        """
        replace_file(Path(path), self.to_toml())

    @property
    def references(self) -> tuple[Reference, ...]:
        """All references to secrets and their uses. Set their values before `apply`."""
        users: dict[str, list[str]] = {}
        for label, settings in self._labelled():
            sources: dict[str, VariableSource] = {**settings.variables}
            protection = settings.password_protection
            if protection is not None and protection.password is not None:
                sources["password"] = protection.password
            for name, source in sources.items():
                if is_reference(source):
                    users.setdefault(described(source), []).append(f"{label} {name}")
        return tuple(Reference(name, tuple(used_by)) for name, used_by in users.items())

    def _labelled(self) -> Iterator[tuple[str, DeclaredSettings]]:
        yield "defaults", self.defaults
        yield from ((f"groups.{name}", group) for name, group in self.groups.items())
        for project_name, project in self.projects.items():
            for name, environment in project.environments.items():
                yield f"{project_name}/{name}", environment

    def __str__(self) -> str:
        environments = sum(len(project.environments) for project in self.projects.values())
        counts = [count_of(len(self.projects), "project"), count_of(environments, "environment")]
        return f"State of {', '.join(counts)} and {count_of(len(self.groups), 'group')}"
