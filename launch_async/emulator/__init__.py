"""A faithful Contentstack Launch to test against, in this process or as ``python -m launch_async.emulator``.

It shares no code with the client, so that a mistake of the client cannot hide behind a matching one here.
"""

from launch_async.emulator.bench import OrganizationCredentials
from launch_async.emulator.faults import Fault, FaultKind, Faults
from launch_async.emulator.ledger import Creation, Ledger, LedgerEntry
from launch_async.emulator.script import LogLine, Script, Scripts
from launch_async.emulator.server import LaunchEmulator

__all__ = [
    "Creation",
    "Fault",
    "FaultKind",
    "Faults",
    "LaunchEmulator",
    "Ledger",
    "LedgerEntry",
    "LogLine",
    "OrganizationCredentials",
    "Script",
    "Scripts",
]
