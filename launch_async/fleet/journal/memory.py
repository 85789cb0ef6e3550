"""A journal that is forgotten with the run: for runs that need not be resumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from launch_async.errors import JournalError, JournalInUse
from launch_async.fleet.journal.journal import Entry
from launch_async.fleet.plan.plan import Plan

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """A journal in memory; a run without a file uses one."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._entries: dict[str, Entry] = {}
        self._in_use = False

    def open(self, plan: Plan | None, *, check: Callable[[Plan], None]) -> Plan:
        """Begin with a plan, or go on with the plan that is held; see `Journal.open`."""
        if self._in_use:
            raise JournalInUse("the journal is in use by another run; wait for it, or end it")
        kept = self._plan or plan
        if kept is None:
            raise JournalError("the journal is empty; begin a run with fleet.run(plan, journal=...)")
        if plan is not None and plan.uid != kept.uid:
            raise JournalError("the journal is of another plan; resume that one, or take another journal")
        check(kept)
        if self._plan is None:
            self._plan = kept
            self._entries = {operation.key: Entry(key=operation.key) for operation in kept.operations}
        self._in_use = True
        return kept

    def entries(self) -> Sequence[Entry]:
        """Return what is known of every operation, in the plan's order."""
        return list(self._entries.values())

    def write(self, entry: Entry) -> None:
        """Replace what is known of one operation."""
        self._entries[entry.key] = entry

    def close(self) -> None:
        """Give it back: what is known stays, for a resumption in the same process."""
        self._in_use = False
