"""Parse TOML to a `State`, or report all problems with their file, line and key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar, cast

from launch_async.errors import StateError, StateProblem
from launch_async.http.operation import is_uid
from launch_async.models.project import GitProvider
from launch_async.state.declarations import (
    SWITCHES,
    TEXTS,
    Declaration,
    DeclaredEnvironment,
    DeclaredGroup,
    DeclaredPasswordProtection,
    DeclaredProject,
    DeclaredRepository,
    DeclaredSettings,
    Origin,
)
from launch_async.state.file.lines import KeyPath, key_lines, line_of, shown_path
from launch_async.state.file.secret_values import looks_secret
from launch_async.state.values import DELETE, LiteralValue, VariableSource, is_reference
from launch_async.wire.secret import Secret

__all__ = ["problem_at", "read"]

D = TypeVar("D", bound=Declaration)
T = TypeVar("T")

Table = Mapping[str, object]

_SETTINGS: Final = (*TEXTS, *SWITCHES, "password_protection", "protected", "variables")
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "state": ("defaults", "groups", "projects", "unmanaged"),
    "defaults": _SETTINGS,
    "group": ("projects", "environments", *_SETTINGS),
    "project": ("uid", "description", "delete", "repository", "source", "environments"),
    "environment": ("uid", "delete", "source", *_SETTINGS),
    "password_protection": ("is_enabled", "username", "password"),
    "repository": ("repository_name", "username", "repository_url", "git_provider"),
}
"""The keys that each table may have."""
_SYNTAX: Final = re.compile(r"^(.*?) \(at (?:line (\d+), column \d+|end of document)\)$")
_KINDS: Final[Mapping[type, str]] = {str: "a string", bool: "true or false", dict: "a table", list: "a list of strings"}


def read(kind: type[D], text: str, name: str) -> D:
    """Parse a document as an object of a class.

    Raises:
        StateError: The text is not valid TOML or not a valid document.
    """
    # A document may contain a secret by mistake: the frames that raise contain none.
    text = Secret(text)
    declared = _read(kind, text, name)
    if isinstance(declared, list):
        raise StateError(declared)
    return declared


def _read(kind: type[D], text: str, name: str) -> D | list[StateProblem]:
    """Parse a document, or return all problems."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [_syntax_problem(error, text, name)]
    except RecursionError:
        return [StateProblem(file=name, line=None, key="", message="is nested too deeply")]
    reader = _Reader(Origin(name, text, key_lines(text.replace("\r\n", "\n")), Path(name).parent))
    declared = reader.declared(kind, document)
    return sorted(reader.problems, key=lambda one: one.line or 0) or declared


def problem_at(origin: Origin | None, path: KeyPath, message: str) -> StateProblem:
    """Return a problem with an entry of a document."""
    line = None if origin is None else line_of(path, origin.lines)
    return StateProblem(file="" if origin is None else origin.name, line=line, key=shown_path(path), message=message)


def _syntax_problem(error: tomllib.TOMLDecodeError, text: str, name: str) -> StateProblem:
    found = _SYNTAX.match(str(error))
    if found is None:
        return StateProblem(file=name, line=None, key="", message=f"is not valid TOML: {error}")
    line = int(found[2]) if found[2] else text.rstrip("\n").count("\n") + 1
    return StateProblem(file=name, line=line, key="", message=f"is not valid TOML: {found[1]}")


class _Reader:
    """Reads tables, and collects their problems."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self.problems: list[StateProblem] = []

    def declared(self, kind: type[D], document: Table) -> D:
        self._check_keys(document, "state", ())
        defaults = self._table(document, "defaults", ())
        return kind(
            defaults=self._settings(DeclaredSettings, defaults, "defaults", ("defaults",)),
            groups=self._tables(document, "groups", (), self._group),
            projects=self._tables(document, "projects", (), self._project),
            unmanaged=self._patterns(document, "unmanaged", (), ()),
            origin=self._origin,
        )

    def _group(self, table: Table, path: KeyPath) -> DeclaredGroup:
        if not {"projects", "environments"} & table.keys():
            self._wrong(path, 'has no patterns: add projects = ["..."], environments = ["..."] or both')
        group = self._settings(DeclaredGroup, table, "group", path)
        group.projects = self._patterns(table, "projects", path, ("*",))
        group.environments = self._patterns(table, "environments", path, ("*",))
        return group

    def _project(self, table: Table, path: KeyPath) -> DeclaredProject:
        self._check_keys(table, "project", path)
        project = DeclaredProject(
            uid=self._uid(table, path),
            description=self._get(table, "description", str, path),
            delete=self._get(table, "delete", bool, path) or False,
            repository=self._repository(table, path),
            source=self._get(table, "source", str, path),
            environments=self._tables(table, "environments", path, self._environment),
        )
        if project.repository is not None and project.source is not None:
            self._wrong((*path, "source"), "cannot be used together with a repository: remove one of them")
        if project.delete and (kept := [name for name, one in project.environments.items() if not one.delete]):
            self._wrong(
                (*path, "delete"),
                f"would also delete {', '.join(kept)}, which the document declares: remove these environments from it",
            )
        return project

    def _environment(self, table: Table, path: KeyPath) -> DeclaredEnvironment:
        environment = self._settings(DeclaredEnvironment, table, "environment", path)
        environment.uid = self._uid(table, path)
        environment.delete = self._get(table, "delete", bool, path) or False
        environment.source = self._get(table, "source", str, path)
        if environment.delete and environment.protected:
            self._wrong((*path, "delete"), "cannot delete a protected environment: remove `protected = true` first")
        return environment

    def _settings(self, kind: type[T], table: Table, name: str, path: KeyPath) -> T:
        self._check_keys(table, name, path)
        settings: dict[str, object] = {
            **{text: self._get(table, text, str, path) for text in TEXTS},
            **{switch: self._get(table, switch, bool, path) for switch in SWITCHES},
            "protected": self._get(table, "protected", bool, path),
            "password_protection": self._protection(table, path),
            "variables": self._variables(self._table(table, "variables", path), (*path, "variables")),
        }
        if settings["framework_preset"] == "":
            self._wrong((*path, "framework_preset"), "must not be empty, because every environment has a preset")
        return cast("Callable[..., T]", kind)(**settings)

    def _protection(self, table: Table, path: KeyPath) -> DeclaredPasswordProtection | None:
        if "password_protection" not in table:
            return None
        inner, path = self._table(table, "password_protection", path), (*path, "password_protection")
        self._check_keys(inner, "password_protection", path)
        password = self._get(inner, "password", str, path)
        if password is not None and is_reference(password):
            self._check_reference(password, (*path, "password"))
        elif password is not None:
            self._wrong((*path, "password"), 'must be a reference: write "env:NAME" or "file:PATH"')
        return DeclaredPasswordProtection(
            is_enabled=self._get(inner, "is_enabled", bool, path),
            username=self._get(inner, "username", str, path),
            password=password,
        )

    def _repository(self, table: Table, path: KeyPath) -> DeclaredRepository | None:
        if "repository" not in table:
            return None
        inner, path = self._table(table, "repository", path), (*path, "repository")
        self._check_keys(inner, "repository", path)
        texts = {key: self._get(inner, key, str, path) for key in KEYS["repository"] if key in inner}
        missing = [key for key in KEYS["repository"][:3] if not texts.get(key)]
        if missing and isinstance(table["repository"], dict):
            self._wrong(path, f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        provider = texts.get("git_provider") or GitProvider.GITHUB
        if not GitProvider(provider).is_known:
            self._wrong((*path, "git_provider"), f"{provider!r} is not one of {', '.join(GitProvider)}")
        return DeclaredRepository(
            repository_name=texts.get("repository_name") or "",
            username=texts.get("username") or "",
            repository_url=texts.get("repository_url") or "",
            git_provider=str(provider),
        )

    def _variables(self, table: Table, path: KeyPath) -> dict[str, VariableSource]:
        return {name: self._variable(name, value, (*path, name)) for name, value in table.items()}

    def _variable(self, name: str, value: object, path: KeyPath) -> VariableSource:
        if isinstance(value, str):
            if is_reference(value):
                self._check_reference(value, path)
            elif looks_secret(name, value):
                self._wrong(
                    path,
                    'looks like a secret: write "env:NAME" or "file:PATH", or {literal = "..."} if the value is public',
                )
            return value
        if isinstance(value, dict):
            inner = cast("Table", value)
            literal = inner.get("literal")
            if len(inner) == 1 and isinstance(literal, str):
                return LiteralValue(literal)
            if inner == {"delete": True}:
                return DELETE
        if isinstance(value, bool | int | float):
            shown = str(value).lower() if isinstance(value, bool) else value
            self._wrong(path, f'must be a string: write "{shown}"')
        else:
            self._wrong(path, 'must be a string, {literal = "..."} or {delete = true}')
        return ""

    def _check_reference(self, reference: str, path: KeyPath) -> None:
        kind, _, name = reference.partition(":")
        if not name.strip() or "\0" in name or (kind == "env" and "=" in name):
            what = "the name of an environment variable" if kind == "env" else "the path of a file"
            self._wrong(path, f'"{kind}:" must be followed by {what}. For a plain text, write {{literal = "..."}}')

    def _uid(self, table: Table, path: KeyPath) -> str | None:
        uid = self._get(table, "uid", str, path)
        if uid is not None and not is_uid(uid):
            self._wrong((*path, "uid"), "is not 24 lower-case hex digits")
        return uid

    def _patterns(self, table: Table, key: str, path: KeyPath, default: tuple[str, ...]) -> tuple[str, ...]:
        given = cast("list[object] | None", self._get(table, key, list, path))
        if given is None:
            return default
        if wrong := [one for one in given if not isinstance(one, str)]:
            self._wrong((*path, key), f"must be a list of strings, but {wrong[0]!r} is not a string")
        return tuple(str(one) for one in given)

    def _tables(self, table: Table, key: str, path: KeyPath, read_one: Callable[[Table, KeyPath], T]) -> dict[str, T]:
        inner, path = self._table(table, key, path), (*path, key)
        if key != "groups" and "" in inner:
            self._wrong((*path, ""), "must not be an empty name")
        return {name: read_one(self._table(inner, name, path), (*path, name)) for name in inner}

    def _table(self, table: Table, key: str, path: KeyPath) -> Table:
        return cast("Table", self._get(table, key, dict, path) or {})

    def _get(self, table: Table, key: str, kind: type[T], path: KeyPath) -> T | None:
        value = table.get(key)
        if value is None or isinstance(value, kind):
            return value
        self._wrong((*path, key), f"must be {_KINDS[kind]}, not {_shown_kind(value)}")
        return None

    def _check_keys(self, table: Table, name: str, path: KeyPath) -> None:
        for key in table:
            if key not in KEYS[name]:
                self._wrong((*path, key), f"is not a key of this table{_advice(key, name)}")

    def _wrong(self, path: KeyPath, message: str) -> None:
        self.problems.append(problem_at(self._origin, path, message))


def _advice(key: str, name: str) -> str:
    """Return a similar key as advice, or all keys."""
    close: Iterable[str] = difflib.get_close_matches(re.sub(r"(?<=[a-z])([A-Z])", r"_\1", key).lower(), KEYS[name], 1)
    meant = next(iter(close), None)
    return f". Did you mean {meant}?" if meant else f". The keys are {', '.join(KEYS[name])}"


def _shown_kind(value: object) -> str:
    return _KINDS.get(type(value)) or f"the {type(value).__name__} {value!r}"
