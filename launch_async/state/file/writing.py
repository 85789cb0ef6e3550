"""Write a document as TOML with tomlkit (extra `state`), into the text of its file, so that comments remain."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import attrs

from launch_async.errors import ConfigurationError, InvalidArgumentError, StateError, StateProblem
from launch_async.http.operation import is_encodable
from launch_async.models.project import GitProvider
from launch_async.state.declarations import (
    SWITCHES,
    TEXTS,
    Declaration,
    DeclaredEnvironment,
    DeclaredGroup,
    DeclaredPasswordProtection,
    DeclaredProject,
    DeclaredSettings,
)
from launch_async.state.file.lines import KeyPath
from launch_async.state.file.reading import problem_at, read
from launch_async.state.file.secret_values import looks_secret
from launch_async.state.values import Delete, LiteralValue, VariableSource, is_reference

if TYPE_CHECKING:
    from tomlkit.items import Item

__all__ = ["replace_file", "written"]

Plain: TypeAlias = "str | bool | list[str] | dict[str, Plain]"
Table: TypeAlias = dict[str, Plain]

_INLINE: Final = (frozenset({"literal"}), frozenset({"delete"}))
"""Tables on one line: values of variables."""
_ALL: Final = ("*",)
_SAME_AS_MISSING: Final[tuple[object, ...]] = (False, [], {}, [*_ALL], str(GitProvider.GITHUB))
"""Values that mean the same as a missing key."""


def written(state: Declaration) -> str:
    """Return a document as TOML.

    Raises:
        StateError: TOML cannot contain a value.
        ConfigurationError: tomlkit is not installed.
    """
    plain = _document(state)
    try:
        import tomlkit
    except ImportError:
        raise ConfigurationError(
            'Writing state files needs tomlkit: pip install "contentstack-launch[state]"'
        ) from None
    # New entries get separate tables, unless tomlkit cannot add a table, for example after a dotted key.
    origin = state.origin
    for inline in (False, True) if origin is not None else ():
        document = tomlkit.parse("" if origin is None else origin.text)
        _merge(document, plain, inline=inline)
        text = document.as_string()
        with contextlib.suppress(StateError):
            if read(type(state), text, "") == state:
                return text
    fresh = tomlkit.document()
    _merge(fresh, plain, inline=False)
    return fresh.as_string()


def replace_file(path: Path, text: str) -> None:
    """Write a file atomically. An existing file keeps its permissions.

    Raises:
        InvalidArgumentError: The file cannot be written.
    """
    try:
        target = path.resolve()
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
            Path(temporary).chmod(mode)
            Path(temporary).replace(target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise InvalidArgumentError(
            "path", f"The file {str(path)!r} cannot be written: {error.strerror or error}"
        ) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _merge(container: MutableMapping[str, object], plain: Table, *, inline: bool) -> None:
    """Update a tomlkit container to the content of a table, and keep entries that are equal."""
    for key in [key for key in container if key not in plain]:
        if _unwrapped(container[key]) not in _SAME_AS_MISSING:
            del container[key]
    for key, value in plain.items():
        existing: object = container.get(key)
        if isinstance(value, dict) and isinstance(existing, MutableMapping) and value.keys() not in _INLINE:
            _merge(cast("MutableMapping[str, object]", existing), value, inline=inline)
        elif key not in container or _unwrapped(container[key]) != value:
            container[key] = _item(value, inline=inline)


def _unwrapped(item: object) -> object:
    return cast("Item", item).unwrap() if hasattr(item, "unwrap") else item


def _item(value: Plain, *, inline: bool) -> object:
    import tomlkit

    if not isinstance(value, dict):
        return value
    if inline or value.keys() in _INLINE:
        on_one_line = tomlkit.inline_table()
        for key, inner in value.items():
            on_one_line.append(key, _item(inner, inline=True))
        return on_one_line
    # A table that contains only tables needs no header.
    table = tomlkit.table(is_super_table=bool(value) and all(_is_table(one) for one in value.values()))
    for key, inner in value.items():
        table.append(key, _item(inner, inline=False))
    return table


def _is_table(value: Plain) -> bool:
    return isinstance(value, dict) and value.keys() not in _INLINE


def _document(state: Declaration) -> Table:
    """Return a document as plain data.

    Raises:
        StateError: TOML cannot contain a value.
    """
    writer = _Writer(state)
    document = writer.document()
    writer.check_texts(document, ())
    if writer.problems:
        raise StateError(writer.problems)
    return document


class _Writer:
    """Converts a document to plain data, and collects values that TOML cannot contain."""

    def __init__(self, state: Declaration) -> None:
        self._state = state
        self.problems: list[StateProblem] = []

    def document(self) -> Table:
        state = self._state
        defaults = self._settings(state.defaults, ("defaults",))
        groups: Table = {name: self._group(group, ("groups", name)) for name, group in state.groups.items()}
        projects: Table = {name: self._project(one, ("projects", name)) for name, one in state.projects.items()}
        return {
            **({"unmanaged": list(state.unmanaged)} if state.unmanaged else {}),
            **({"defaults": defaults} if defaults else {}),
            **({"groups": groups} if groups else {}),
            **({"projects": projects} if projects else {}),
        }

    def _group(self, group: DeclaredGroup, path: KeyPath) -> Table:
        patterns: Table = {"projects": list(group.projects), "environments": list(group.environments)}
        if group.projects != _ALL or group.environments != _ALL:
            patterns = {key: value for key, value in patterns.items() if value != [*_ALL]}
        return {**patterns, **self._settings(group, path)}

    def _project(self, project: DeclaredProject, path: KeyPath) -> Table:
        environments: Table = {
            name: self._environment(one, (*path, "environments", name)) for name, one in project.environments.items()
        }
        repository: Table = {} if project.repository is None else attrs.asdict(project.repository)
        if repository.get("git_provider") == GitProvider.GITHUB:
            del repository["git_provider"]
        return {
            **_given({"uid": project.uid, "description": project.description, "source": project.source}),
            **({"delete": True} if project.delete else {}),
            **({"repository": repository} if repository else {}),
            **({"environments": environments} if environments else {}),
        }

    def _environment(self, environment: DeclaredEnvironment, path: KeyPath) -> Table:
        return {
            **_given({"uid": environment.uid, "source": environment.source}),
            **({"delete": True} if environment.delete else {}),
            **self._settings(environment, path),
        }

    def _settings(self, settings: DeclaredSettings, path: KeyPath) -> Table:
        variables: Table = {
            name: self._variable(name, source, (*path, "variables", name))
            for name, source in settings.variables.items()
        }
        protection = settings.password_protection
        return {
            **_given({name: cast("str | bool | None", getattr(settings, name)) for name in (*TEXTS, *SWITCHES)}),
            **_given({"protected": settings.protected}),
            **({} if protection is None else {"password_protection": self._protection(protection, path)}),
            **({"variables": variables} if variables else {}),
        }

    def _protection(self, protection: DeclaredPasswordProtection, path: KeyPath) -> Table:
        password = protection.password
        if password is not None and not (isinstance(password, str) and is_reference(password)):
            self._wrong(
                (*path, "password_protection", "password"),
                'cannot be written as a plain text: use "env:NAME" or "file:PATH"',
            )
            password = None
        return _given({"is_enabled": protection.is_enabled, "username": protection.username, "password": password})

    def _variable(self, name: str, source: VariableSource, path: KeyPath) -> Plain:
        if isinstance(source, LiteralValue):
            return {"literal": source.value}
        if isinstance(source, Delete):
            return {"delete": True}
        if not isinstance(source, str):
            self._wrong(path, 'cannot be written, because it is a function: use "env:NAME" or "file:PATH"')
            return ""
        if not is_reference(source) and looks_secret(name, source):
            self._wrong(
                path, 'looks like a secret, so it is not written: use "env:NAME", "file:PATH" or a LiteralValue'
            )
            return ""
        return source

    def check_texts(self, value: Plain, path: KeyPath) -> None:
        """Find texts that TOML cannot contain."""
        for key, inner in value.items() if isinstance(value, dict) else ():
            self.check_texts(inner, (*path, key))
        texts: Iterator[str] = iter([*path[-1:], *([value] if isinstance(value, str) else [])])
        if not all(is_encodable(text) for text in texts):
            self._wrong(path, "cannot be written: the text has a lone surrogate, which TOML does not allow")

    def _wrong(self, path: KeyPath, message: str) -> None:
        self.problems.append(problem_at(self._state.origin, path, message))


def _given(values: Mapping[str, str | bool | None]) -> Table:
    return {name: value for name, value in values.items() if value is not None}
