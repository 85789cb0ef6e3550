"""The state file: an emulator that starts with the file continues with the state of the previous emulator.

The file has JSON lines. Each line contains the changes of one request, as ``[kind, key, fields]``. If several entries
describe the same resource, the last entry is valid. Null instead of the fields means that the resource was removed. If
the last line has no line break, it is ignored. Archives and sites are in a folder next to the file. Scripts, faults,
the ledger and signed URLs are not saved. A build that was running continues. With real builds, its command starts
again.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import attrs
import cattrs
from attrs import define
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from launch_async.emulator import state as of_state
from launch_async.emulator.auth.credentials import App, Grant, Issued, Token, User
from launch_async.emulator.control.controls import OrganizationCredentials
from launch_async.emulator.service import Service
from launch_async.emulator.shapes import as_list
from launch_async.emulator.state import (
    MAX_SERVER_LINES,
    Deployment,
    Domain,
    Environment,
    Organization,
    Project,
    State,
    Upload,
)
from launch_async.emulator.uploads.unpacking import safe_name

Entry: TypeAlias = tuple[str, str, object]
VERSION: Final = 4
EMULATOR: Final = "emulator"
# The order in which the kinds are read. A resource refers only to resources of earlier kinds.
KINDS: Final[Mapping[str, type[Any]]] = {
    "organization": Organization,
    "user": User,
    "app": App,
    "access": Token,
    "refresh": Token,
    "grant": Grant,
    "session": User,
    "project": Project,
    "upload": Upload,
    "environment": Environment,
    "domain": Domain,
    "deployment": Deployment,
}
REFERENCES: Final[Mapping[type[Any], tuple[str, str]]] = {
    Organization: ("organization", "uid"),
    Project: ("project", "uid"),
    Upload: ("upload", "uid"),
    Environment: ("environment", "uid"),
    Deployment: ("deployment", "uid"),
    User: ("user", "email"),
    App: ("app", "client_id"),
}
# Attributes that are derived from the contained resources, and attributes that refer to these.
DERIVED: Final = ("projects", "environments", "deployments", "domains", "changes")
POINTERS: Final = ("live", "building", "waiting")

for _kind in (Organization, Project, Upload, Environment, Domain, Deployment):
    attrs.resolve_types(_kind, dict(vars(of_state)))


@define(eq=False)
class Snapshot:
    """Everything that is saved."""

    advanced: float
    first: OrganizationCredentials
    state: State
    issued: Issued


class StateFile:
    """The state file of an emulator.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._advanced: float | None = None
        self._json_form = _JsonForm(self.folder)

    @property
    def folder(self) -> Path:
        """Folder of the archives and the sites."""
        return self._path.with_name(f"{self._path.name}.files")

    def save(self, service: Service, first: OrganizationCredentials) -> None:
        """Append the changes since the last call. The first call writes a new file."""
        new = self._advanced is None
        entries = [*self._json_form.changed(service.state, service.credentials.issued)]
        if service.clock.advanced != self._advanced:
            self._advanced = service.clock.advanced
            fields = {"version": VERSION, "advanced": self._advanced, "first": attrs.asdict(first)}
            entries.insert(0, (EMULATOR, "", fields))
        if not entries:
            return
        line = json.dumps(entries, default=list, separators=(",", ":")) + "\n"
        if new:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        target = self._path.with_name(f"{self._path.name}.partial") if new else self._path
        # The file contains credentials and the values of variables, so only its owner may read it.
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if new else os.O_APPEND)
        with os.fdopen(os.open(target, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(line)
        if new:
            target.replace(self._path)

    def load(self) -> Snapshot | None:
        """Return the saved state; None if there is no file.

        Raises:
            ValueError: The file is not a state file of this version of the emulator.
        """
        if not self._path.exists():
            return None
        try:
            return self._json_form.snapshot(_entries(self._path.read_text("utf-8")))
        except Exception as error:
            raise ValueError(
                f"{self._path} is not a state file of this version of the emulator: {error}. Delete the file to start "
                "without a state, or choose another file"
            ) from error


class _JsonForm:
    """Converts resources to JSON and back. A resource refers to another one by key, and to a file by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, dict[str, Any]] = {}
        self._converter = converter = cattrs.Converter()
        for kind, (name, key) in REFERENCES.items():
            converter.register_unstructure_hook(kind, _key_of(key))
            converter.register_structure_hook(kind, self._lookup(name))
        converter.register_unstructure_hook(Path, lambda path: path.relative_to(folder).as_posix())
        converter.register_structure_hook(Path, lambda name, _: folder / safe_name(name))
        converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
        self._write: dict[str, Callable[[Any], dict[str, Any]]] = {}
        self._read: dict[str, Callable[[Any, Any], Any]] = {}
        for name, kind in KINDS.items():
            omitted: dict[str, Any] = {one.name: override(omit=True) for one in attrs.fields(kind)}
            inside = {name: omit for name, omit in omitted.items() if name in DERIVED}
            current = {name: omit for name, omit in omitted.items() if name in POINTERS}
            self._write[name] = make_dict_unstructure_fn(kind, converter, **inside)
            self._read[name] = make_dict_structure_fn(kind, converter, **inside, **current)

    def changed(self, state: State, issued: Issued) -> Iterator[Entry]:
        """Yield an entry for each change since the last call."""
        for name, key in state.take_removed():
            yield name, key, None
        for name, table in issued.tables().items():
            for key in table.take_changed_keys():
                value = table.get(key)
                yield name, key, None if value is None else self._fields(name, value)
        for entity in state.take_changed():
            name, _ = REFERENCES.get(type(entity), ("domain", ""))
            yield name, entity.uid, self._write[name](entity)

    def _fields(self, name: str, value: object) -> object:
        """Return the saved form of a user, an app or a token; of a session, the key of its user."""
        return self._converter.unstructure(value) if name == "session" else self._write[name](value)

    def snapshot(self, entries: Iterator[Entry]) -> Snapshot:
        """Return the state that the entries of a file describe."""
        last: dict[str, dict[str, Any]] = {name: {} for name in (EMULATOR, *KINDS)}
        for name, key, fields in entries:
            if fields is None:
                last[name].pop(key, None)
            else:
                last[name][key] = fields
        about = last[EMULATOR][""]
        if about["version"] != VERSION:
            raise ValueError(f"it has version {about['version']}, not {VERSION}")
        self._known = {name: {} for name in KINDS}
        state, issued = State(tracked=True), Issued(tracked=True)
        for name, kind in KINDS.items():
            for key, fields in last[name].items():
                one = self._known["user"][fields] if name == "session" else self._read[name](fields, kind)
                self._known[name][key] = one
                if name in issued.tables():
                    issued.tables()[name][key] = one
                else:
                    state.add(one)
        for deployment in state.deployments.values():
            if deployment.server_lines is not None:
                deployment.server_lines = deque(deployment.server_lines, MAX_SERVER_LINES)
        for authtoken, user in issued.sessions.items():
            if authtoken not in user.authtokens:
                user.authtokens.append(authtoken)
        for key, fields in last["environment"].items():
            for name in POINTERS:
                setattr(self._known["environment"][key], name, self._known["deployment"].get(fields[name]))
        self._known = {}
        first = OrganizationCredentials(**about["first"])
        return Snapshot(about["advanced"], first, state, issued)

    def _lookup(self, name: str) -> Callable[[Any, Any], Any]:
        return lambda key, _: self._known[name][key]


def _key_of(attribute: str) -> Callable[[Any], Any]:
    return lambda one: getattr(one, attribute)


def _entries(text: str) -> Iterator[Entry]:
    """Yield every entry of a file, in order."""
    *lines, _ = text.split("\n")
    if not lines:
        raise ValueError("it has no complete line")
    for line in lines:
        for entry in as_list(json.loads(line)) or []:
            name, key, fields = cast("list[Any]", entry)
            yield str(name), str(key), fields
