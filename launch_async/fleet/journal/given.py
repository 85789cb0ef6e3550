"""The journal that a caller has given: a path, a journal, or none."""

from __future__ import annotations

import os
from pathlib import Path

from launch_async.fleet.journal.file import FileJournal
from launch_async.fleet.journal.journal import Journal
from launch_async.fleet.journal.memory import MemoryJournal

__all__ = ["journal_of"]


def journal_of(journal: str | os.PathLike[str] | Journal | None) -> Journal:
    """Return the journal that a caller means; one in memory for none."""
    if journal is None:
        return MemoryJournal()
    return FileJournal(Path(journal)) if isinstance(journal, str | os.PathLike) else journal
