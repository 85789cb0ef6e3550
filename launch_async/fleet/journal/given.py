"""The `journal` argument: a path, a journal, or None."""

from __future__ import annotations

import os
from pathlib import Path

from launch_async.fleet.journal.file import FileJournal
from launch_async.fleet.journal.journal import Journal
from launch_async.fleet.journal.memory import MemoryJournal

__all__ = ["journal_of"]


def journal_of(journal: str | os.PathLike[str] | Journal | None) -> Journal:
    """Return the journal for an argument; a journal in memory for None."""
    if journal is None:
        return MemoryJournal()
    return FileJournal(Path(journal)) if isinstance(journal, str | os.PathLike) else journal
