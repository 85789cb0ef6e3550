"""A file as the store of a shared budget. Each exchange locks the file, reads and writes the state, and unlocks it.

No process waits for anything while it holds the lock, so the lock is free within microseconds. The system releases the
lock of a killed process. The state is small and written in one piece, so a killed process leaves the old state or the
new one. If the state is damaged or of another version, the store creates a new one and counts the budget as used.
A worker removes the file when it leaves a budget that is not in use. Otherwise the next process removes the file.
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

_FIRST_READ_BYTES: Final = 4096
"""Bytes of the first read. Few states are longer."""
_MAX_BYTES: Final = 1 << 24
_UNREADABLE_FOR_S: Final = 60.0
"""Seconds after which a file that cannot be read is removed."""
_MAX_SWEPT: Final = 32
"""Maximum number of files that one sweep checks."""
_LOCK_TRY_EVERY_S: Final = 0.001
"""Seconds between two attempts to lock the file."""
_MAX_WAIT_S: Final = 0.7
"""Maximum seconds to wait for the lock. Only a process that was stopped holds it longer."""


class FileStore:
    """The file of a budget, as one event loop uses it.

    Raises:
        StoreUnusable: The file cannot be created or opened.
    """

    _file: int = -1
    _known: tuple[bytes, BudgetState] | None = None
    """The content that this process wrote last, and its state. It is not unpacked again if no other process wrote."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()
        sweep(path.parent)
        _open_stores.add(self)

    async def exchange(self, ask: Ask) -> Reply:
        """Process one call of a worker.

        Raises:
            StoreUnusable: The file cannot be read or written, or another process has locked it for too long.
        """
        give_up_at = time.monotonic() + _MAX_WAIT_S
        while (reply := self.exchange_now(ask)) is None:
            if time.monotonic() > give_up_at:
                raise StoreUnusable("another process has locked the file for too long")
            await asyncio.sleep(_LOCK_TRY_EVERY_S)
        return reply

    def exchange_now(self, ask: Ask) -> Reply | None:
        """Process one call of a worker without waiting. Return None if another process has locked the file."""
        try:
            if not self._lock():
                return None
            try:
                now = time.monotonic()
                state = self._read(ask, now)
                reply = state.exchange(ask, now)
                content = pack(state)
                _write(self._file, content)
                self._known = content, state
            finally:
                unlock(self._file)
        except OSError as error:
            raise StoreUnusable(_reason(error)) from error
        return reply

    async def close(self) -> None:
        """Leave the budget. Remove its file if the budget is not in use."""
        if self._file >= 0 and lock(self._file):
            _remove_if_idle(self._file, self._path)
        self.abandon()

    def abandon(self) -> None:
        """Close the file without removing it."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        self.abandon()

    def _lock(self) -> bool:
        """Lock the file at the path. Open it again if it was removed. Return False if another process has the lock."""
        while lock(self._file):
            if os.fstat(self._file).st_nlink > 0:
                return True
            self.abandon()
            self._open()
        return False

    def _read(self, ask: Ask, now: float) -> BudgetState:
        """Return the state of the locked file, or a new state if the file is empty or cannot be read."""
        content = _content(self._file)
        known, self._known = self._known, None
        if known is not None and content.startswith(known[0]):
            return known[1]
        state = unpack(content)
        if state is None:
            state = BudgetState.begin(now)
            if content:
                state.spend(ask.requests, ask.per, now)
        return state

    def _open(self) -> None:
        try:
            make_folder(self._path.parent)
            self._file = open_own(self._path, create=True)
        except OSError as error:
            raise StoreUnusable(_reason(error)) from error


def sweep(folder: Path) -> None:
    """Remove the files of unused budgets."""
    with suppress(OSError):
        for path in islice(budget_files(folder), _MAX_SWEPT):
            with suppress(OSError):
                file = open_own(path, create=False)
                try:
                    if lock(file):
                        _remove_if_idle(file, path)
                finally:
                    os.close(file)


def _content(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    content = os.read(file, _FIRST_READ_BYTES)
    more = os.fstat(file).st_size - _FIRST_READ_BYTES if len(content) == _FIRST_READ_BYTES else 0
    return content + os.read(file, min(more, _MAX_BYTES)) if more > 0 else content


def _write(file: int, content: bytes) -> None:
    os.lseek(file, 0, os.SEEK_SET)
    if os.write(file, content) != len(content):
        raise OSError("the disk is full")


def _remove_if_idle(file: int, path: Path) -> None:
    """Remove a locked file if its budget is not in use, or if the file has been unreadable for a while."""
    found = os.fstat(file)
    state = unpack(_content(file))
    unreadable = state is None and (found.st_size == 0 or time.time() - found.st_mtime > _UNREADABLE_FOR_S)
    if found.st_nlink > 0 and (unreadable or (state is not None and state.is_idle(time.monotonic()))):
        # If the system cannot remove an open file, a later sweep removes it.
        with suppress(OSError):
            path.unlink()


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


_open_stores: weakref.WeakSet[FileStore] = weakref.WeakSet()


def _close_in_child() -> None:
    """Close the files in a forked child. It shares open files with its parent, so it would hold the parent's lock."""
    for store in list(_open_stores):
        store.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
