"""A faithful Contentstack Launch to test against, in this process or as ``python -m launch_async.emulator``.

It shares no code with the client, so that a mistake of the client cannot hide behind a matching one here. It is loaded
when it is first touched, so that the pytest plugin costs a test run nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch_async.emulator.bench import OrganizationCredentials
    from launch_async.emulator.budget import Budget
    from launch_async.emulator.faults import Fault, FaultKind, Faults
    from launch_async.emulator.ledger import Creation, Ledger, LedgerEntry, Purge
    from launch_async.emulator.script import LogLine, Script, Scripts
    from launch_async.emulator.server import LaunchEmulator
    from launch_async.emulator.travel import LogNormal, Travel

__all__ = [
    "Budget",
    "Creation",
    "Fault",
    "FaultKind",
    "Faults",
    "LaunchEmulator",
    "Ledger",
    "LedgerEntry",
    "LogLine",
    "LogNormal",
    "OrganizationCredentials",
    "Purge",
    "Script",
    "Scripts",
    "Travel",
]

_MODULES = {
    "bench": ("OrganizationCredentials",),
    "budget": ("Budget",),
    "faults": ("Fault", "FaultKind", "Faults"),
    "ledger": ("Creation", "Ledger", "LedgerEntry", "Purge"),
    "script": ("LogLine", "Script", "Scripts"),
    "server": ("LaunchEmulator",),
    "travel": ("LogNormal", "Travel"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
