"""A Contentstack Launch server for tests, in this process or as ``python -m launch_async.emulator``.

The emulator shares no code with the client, so a mistake in the client cannot be hidden by the same mistake here. The
package is loaded when it is first used, so the pytest plugin costs a test run nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.emulator.builds.script import LogLine as LogLine, Script as Script, Scripts as Scripts
    from launch_async.emulator.clock import Clock as Clock
    from launch_async.emulator.control.controls import OrganizationCredentials as OrganizationCredentials
    from launch_async.emulator.control.faults import Fault as Fault, FaultKind as FaultKind, Faults as Faults
    from launch_async.emulator.ledger import (
        Creation as Creation,
        Ledger as Ledger,
        LedgerEntry as LedgerEntry,
        Purge as Purge,
    )
    from launch_async.emulator.options import EmulatorKeywords as EmulatorKeywords, EmulatorOptions as EmulatorOptions
    from launch_async.emulator.server import LaunchEmulator as LaunchEmulator
    from launch_async.emulator.tape.recorder import Recorder as Recorder
    from launch_async.emulator.tape.tape import Tape as Tape, TapedExchange as TapedExchange
    from launch_async.emulator.transport import InMemoryTransport as InMemoryTransport
else:
    __getattr__, __dir__ = lazy(__name__)
