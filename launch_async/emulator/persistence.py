"""The state in a file: what an emulator knew is there again when the next one is started with the same file.

The file is replaced as a whole after every request that may have changed something; archives and sites lie in a folder
beside it. Scripts, faults, the ledger and signed URLs do not outlive the process. A build that was under way goes on,
or is run again if its command was really running.
"""

import io
import pickle
from pathlib import Path

from attrs import define, frozen

from launch_async.emulator.auth.credentials import Issued
from launch_async.emulator.control.controls import OrganizationCredentials
from launch_async.emulator.service import Service
from launch_async.emulator.state import State

VERSION = 3
_EMULATOR = {
    "control.controls": ("OrganizationCredentials",),
    "auth.credentials": ("App", "Grant", "Issued", "Token", "User"),
    "persistence": ("Snapshot",),
    "builds.script": ("LogLine", "Script"),
    "state": ("Deployment", "Domain", "Environment", "Organization", "Project", "ServerLine", "State", "Upload"),
}
# A pickle can name any function of any module. Only these classes, which do nothing but hold data, are let in.
READABLE: frozenset[tuple[str, str]] = frozenset(
    {(f"launch_async.emulator.{module}", name) for module, names in _EMULATOR.items() for name in names}
    | {
        ("collections", "deque"),
        ("pathlib", "PosixPath"),
        ("pathlib", "WindowsPath"),
        ("pathlib._local", "PosixPath"),
        ("pathlib._local", "WindowsPath"),
        ("builtins", "frozenset"),
    }
)


@define(eq=False)
class Snapshot:
    """Everything that outlives a process."""

    version: int
    advanced: float
    first: OrganizationCredentials
    state: State
    issued: Issued


@frozen
class StateFile:
    """Where an emulator keeps its state."""

    path: Path

    @property
    def folder(self) -> Path:
        """The folder for archives and sites."""
        return self.path.with_name(f"{self.path.name}.files")

    def save(self, service: Service, first: OrganizationCredentials) -> None:
        """Replace the file by what ``service`` knows now."""
        snapshot = Snapshot(VERSION, service.clock.advanced, first, service.state, service.credentials.issued)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.partial")
        # It holds credentials and the values of variables.
        partial.touch(mode=0o600)
        partial.write_bytes(pickle.dumps(snapshot))
        partial.replace(self.path)

    def load(self) -> Snapshot | None:
        """What was saved; None without a file.

        Raises:
            ValueError: it is not a state file of this version of the emulator.
        """
        if not self.path.exists():
            return None
        try:
            snapshot: object = _Reader(io.BytesIO(self.path.read_bytes())).load()
        except Exception as error:
            raise ValueError(f"{self.path} is not a state file of the emulator: {error}") from error
        if not isinstance(snapshot, Snapshot) or snapshot.version != VERSION:
            raise ValueError(f"{self.path} is not a state file of this version of the emulator")
        return snapshot


class _Reader(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> object:
        if (module_name, global_name) not in READABLE:
            raise pickle.UnpicklingError(f"{module_name}.{global_name} does not belong there")
        return super().find_class(module_name, global_name)
