"""`State`: what a fleet should be, as typed data that stands in a TOML file (docs/reference/state-file.md).

What a document does not mention is left as it is, and nothing is deleted unless it says `delete = true`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import attrs

from launch_async.errors import InvalidArgumentError
from launch_async.state.declarations import Declaration, DeclaredSettings
from launch_async.state.file.reading import read
from launch_async.state.file.writing import replace_file, written
from launch_async.state.values import VariableSource, described, is_reference
from launch_async.wire.secret import Secret

__all__ = ["Reference", "State"]


@attrs.frozen
class Reference:
    """A reference to a secret, which must lead to a value before the document is applied.

    Attributes:
        name: `env:NAME`, `file:PATH`, or the name of a function.
        used_by: What uses it, such as `shop/production API_TOKEN`.
    """

    name: str
    used_by: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} for {', '.join(self.used_by)}"


@attrs.define(kw_only=True)
class State(Declaration):
    """What a fleet should be. Change it like any other object, and `save` it: comments and order of a file are kept.

    Attributes:
        projects: Projects by name.
        groups: Settings of many environments, by a name of yours. Of two that fit, the later one wins.
        defaults: Settings of every environment that the document names, or that a group fits.
        unmanaged: Name patterns that are never touched: of projects, of environments, or `project/environment`.
        notes: What `pull` could not write down, and why.
        origin: The file that it was read from; None if it was not.
    """

    @staticmethod
    def load(path: str | os.PathLike[str]) -> State:
        """Read a state file.

        Raises:
            StateError: It is no TOML, or says what no document may; all problems at once, each with its line.
            InvalidArgumentError: It cannot be read.
        """
        try:
            text = Secret(Path(path).read_text("utf-8-sig"))
        except OSError as error:
            raise InvalidArgumentError(
                "path", f"{os.fspath(path)} cannot be read: {error.strerror or type(error).__name__}"
            ) from None
        except UnicodeDecodeError:
            raise InvalidArgumentError("path", f"{os.fspath(path)} is not UTF-8, as TOML must be") from None
        return State.from_toml(text, name=os.fspath(path))

    @staticmethod
    def from_toml(text: str, *, name: str = "launch.toml") -> State:
        """Read the text of a state file.

        Args:
            text: The text.
            name: The file's path: errors show it, and relative paths in the document begin in its folder.

        Raises:
            StateError: It is no TOML, or says what no document may; all problems at once, each with its line.
        """
        text = Secret(text)
        return read(State, text, name)

    def to_toml(self) -> str:
        """Return the document as TOML. One that was read from a file keeps that file's comments and order.

        Raises:
            InvalidArgumentError: Something cannot be written, such as a function, or a value that looks like a secret.
            ConfigurationError: tomlkit is not installed (extra `state`).
        """
        return written(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_toml()` to a file, whole or not at all.

        Raises:
            InvalidArgumentError: Something cannot be written, or the file cannot.
            ConfigurationError: tomlkit is not installed (extra `state`).
        """
        replace_file(Path(path), self.to_toml())

    @property
    def references(self) -> tuple[Reference, ...]:
        """All references to secrets, with what uses them: the list of what to set before `apply`."""
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
        return f"State of {len(self.projects)} projects, {environments} environments and {len(self.groups)} groups"
