"""The file as the store of a shared budget: read, changed and written under a lock, for each exchange.

Nobody holds the lock while waiting for anything, so it is free within microseconds, and the system drops it with the
process. The state is small, and written in one piece: a process that is killed meanwhile leaves the old one or the new
one. What is damaged all the same, or of another version, is made again, and counts as spent.
The file goes when a worker leaves a budget that is not in use, or is swept by whoever comes next.
"""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from launch_async._file_lock import lock, unlock
from launch_async.rate_limit.machine.folder import budget_files, make_folder, open_own
from launch_async.rate_limit.machine.layout import pack, unpack
from launch_async.rate_limit.shared.messages import Ask, Reply, StoreUnusable
from launch_async.rate_limit.shared.state import BudgetState

__all__ = ["FileStore", "sweep"]

_AT_ONCE: Final = 4096
"""Bytes that are read first; few states are longer."""
_MOST: Final = 1 << 24
_UNREADABLE_FOR_S: Final = 60.0
_MOST_SWEPT: Final = 32
"""Files that one sweep looks at."""
_LOCK_TRY_EVERY_S: Final = 0.001
_MOST_WAIT_S: Final = 0.7
"""Seconds to wait for the lock at most: only a process that was stopped holds it that long."""


class FileStore:
    """One event loop's way to a budget in a file.

    Raises:
        StoreUnusable: There can be no such file.
    """

    _file: int = -1

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()
        sweep(path.parent)
        _open_stores.add(self)

    async def exchange(self, ask: Ask) -> Reply:
        """Do what a worker asks for.

        Raises:
            StoreUnusable: The file cannot be read or written, or somebody else holds it for too long.
        """
        give_up_at = time.monotonic() + _MOST_WAIT_S
        while (reply := self.exchange_now(ask)) is None:
            if time.monotonic() > give_up_at:
                raise StoreUnusable("another process has locked it for too long")
            await asyncio.sleep(_LOCK_TRY_EVERY_S)
        return reply

    def exchange_now(self, ask: Ask) -> Reply | None:
        """Do the same without waiting; return None if another process has locked the file."""
        try:
            if not self._lock():
                return None
            try:
                now = time.monotonic()
                state = _read(self._file, ask, now)
                reply = state.exchange(ask, now)
                _write(self._file, state)
            finally:
                unlock(self._file)
        except OSError as error:
            raise StoreUnusable(_reason(error)) from error
        return reply

    async def close(self) -> None:
        """Leave the budget; remove its file if it is not in use."""
        if self._file >= 0 and lock(self._file):
            _remove_if_idle(self._file, self._path)
        self.abandon()

    def abandon(self) -> None:
        """Close the file and nothing else."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        self.abandon()

    def _lock(self) -> bool:
        """Lock the file at the path, which may not be the open one any more; return False if another process has it."""
        while lock(self._file):
            if os.fstat(self._file).st_nlink > 0:
                return True
            self.abandon()
            self._open()
        return False

    def _open(self) -> None:
        try:
            make_folder(self._path.parent)
            self._file = open_own(self._path, create=True)
        except OSError as error:
            raise StoreUnusable(_reason(error)) from error


def sweep(folder: Path) -> None:
    """Remove the files of budgets that are not in use."""
    with suppress(OSError):
        for path in islice(budget_files(folder), _MOST_SWEPT):
            with suppress(OSError):
                file = open_own(path, create=False)
                try:
                    if lock(file):
                        _remove_if_idle(file, path)
                finally:
                    os.close(file)


def _read(file: int, ask: Ask, now: float) -> BudgetState:
    """Return the state of a locked file; a new one where there is none yet, or none that can be read."""
    content = _content(file)
    state = unpack(content)
    if state is None:
        state = BudgetState.begin(now)
        if content:
            state.spend(ask.requests, ask.per, now)
    return state


def _content(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    content = os.read(file, _AT_ONCE)
    more = os.fstat(file).st_size - _AT_ONCE if len(content) == _AT_ONCE else 0
    return content + os.read(file, min(more, _MOST)) if more > 0 else content


def _write(file: int, state: BudgetState) -> None:
    content = pack(state)
    os.lseek(file, 0, os.SEEK_SET)
    if os.write(file, content) != len(content):
        raise OSError("the disk is full")


def _remove_if_idle(file: int, path: Path) -> None:
    """Remove a locked file that nobody needs: what it says is over, or nobody has been able to read it for a while."""
    found = os.fstat(file)
    state = unpack(_content(file))
    unreadable = state is None and (found.st_size == 0 or time.time() - found.st_mtime > _UNREADABLE_FOR_S)
    if found.st_nlink > 0 and (unreadable or (state is not None and state.is_idle(time.monotonic()))):
        # Where an open file cannot be removed, somebody else's sweep will do it.
        with suppress(OSError):
            path.unlink()


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


_open_stores: weakref.WeakSet[FileStore] = weakref.WeakSet()


def _close_in_child() -> None:
    """A child shares its parent's open files, and locks: with one of them it would hold the lock of its parent."""
    for store in list(_open_stores):
        store.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
