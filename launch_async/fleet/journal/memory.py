"""A journal in memory, for runs that do not need to be resumed in another process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from launch_async.errors import JournalError, JournalInUse
from launch_async.fleet.journal.journal import Entry
from launch_async.fleet.plan.plan import Plan

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """A journal in memory. A run without a journal file uses one."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._entries: dict[str, Entry] = {}
        self._in_use = False

    def open(self, plan: Plan | None, *, check: Callable[[Plan], None]) -> Plan:
        """Open the journal for this run; see `Journal.open`."""
        if self._in_use:
            raise JournalInUse("The journal is in use by another run. Wait for that run, or stop it")
        kept = self._plan or plan
        if kept is None:
            raise JournalError("The journal is empty. Start a run with launch.fleet.run(plan, journal=...)")
        if plan is not None and plan.uid != kept.uid:
            raise JournalError("The journal belongs to another plan. Resume that plan, or use another journal")
        check(kept)
        if self._plan is None:
            self._plan = kept
            self._entries = {operation.key: Entry(key=operation.key) for operation in kept.operations}
        self._in_use = True
        return kept

    def entries(self) -> Sequence[Entry]:
        """Return the entry of every operation, in the plan's order."""
        return list(self._entries.values())

    def write(self, entry: Entry) -> None:
        """Replace the entry of one operation."""
        self._entries[entry.key] = entry

    def close(self) -> None:
        """Release the journal. Its entries stay, for a resumption in the same process."""
        self._in_use = False
