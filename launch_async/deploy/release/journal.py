"""The journal of one release: how far it is, so that a killed process can be followed by one that finishes it.

A file of checksummed lines, as a fleet's journal is: each step is written before the next request, and is durable then.
A line that was cut off is left out. It holds UIDs, hashes and the outcome of checks, no secret. The file is locked as
long as a process has it.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Generator, Mapping
from io import FileIO
from pathlib import Path
from typing import Final, Self, cast

from launch_async._checked_lines import Log, Record
from launch_async._file_lock import lock
from launch_async.errors import JournalError, JournalInUse
from launch_async.resources._create.reconciling import CreationLog
from launch_async.resources._create.sending import SendRecord

__all__ = ["JournalledSends", "ReleaseJournal"]

_FORMAT: Final = "contentstack-launch/release-journal"
_VERSION: Final = 1


class ReleaseJournal:
    """How far a release is, in a file that is open and locked.

    Attributes:
        path: The file.
        facts: All that is known, by name; later steps replace earlier ones of the same name.
    """

    def __init__(self, path: Path, file: FileIO, log: Log, facts: dict[str, object]) -> None:
        self.path = path
        self.facts: dict[str, object] = facts
        self._file = file
        self._log = log

    @classmethod
    def begun(cls, path: Path, release: Mapping[str, object]) -> Self:
        """Begin a journal; one whose release is over is replaced.

        Raises:
            JournalError: The file holds a release that is not over, is something else, or cannot be made.
        """
        earlier = None
        if path.exists():
            earlier = cls.reopened(path)
            if not earlier.is_over:
                earlier.close()
                raise JournalError(
                    f"{path} holds a release that is not over: finish it with launch.resume_release({str(path)!r}), or "
                    "name another file"
                )
        try:
            return cls._made(path, {"format": _FORMAT, "version": _VERSION, "release": dict(release)}, earlier)
        finally:
            if earlier is not None:
                earlier.close()

    @classmethod
    def reopened(cls, path: Path) -> Self:
        """Open a journal that was begun before.

        Raises:
            JournalInUse: Another process has it.
            JournalError: There is none, or it cannot be read.
        """
        if not path.exists():
            raise JournalError(f"there is no journal at {path}; begin one with launch.deploy(..., journal=...)")
        with _translated(path):
            file = FileIO(path, "r+")
        try:
            with _translated(path):
                if not lock(file.fileno()):
                    raise JournalInUse(f"another process has {path}: wait for it, or end it")
                file.seek(0)
                content = file.readall()
            log = Log()
            header, *steps = log.read(content) or [{}]
            if header.get("format") != _FORMAT or header.get("version") != _VERSION:
                raise JournalError(f"{path} is not the journal of a release of this version; name another file")
            facts = {"release": header["release"]}
            for step in steps:
                facts |= cast("Mapping[str, object]", step["step"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            file.close()
            raise JournalError(f"{path} is damaged: {error}. Look at the service for what its release did") from None
        except BaseException:
            file.close()
            raise
        return cls(path, file, log, facts)

    @classmethod
    def _made(cls, path: Path, header: Record, earlier: ReleaseJournal | None) -> Self:
        """Make the file whole or not at all, and locked before anybody else can see it."""
        draft, log = path.with_name(f".{path.name}.{uuid.uuid4().hex}"), Log()
        with _translated(path):
            file = FileIO(draft, "x+")
            try:
                line = log.line(header)
                file.write(line)
                os.fsync(file.fileno())
                lock(file.fileno())
                if earlier is None:
                    _link(draft, path)
                else:
                    draft.replace(path)
            except FileExistsError:
                file.close()
                raise JournalInUse(f"another process has just made {path}: wait for it, or end it") from None
            except BaseException:
                file.close()
                raise
            finally:
                with contextlib.suppress(OSError):
                    draft.unlink(missing_ok=True)
        log.add(line)
        return cls(path, file, log, {"release": header["release"]})

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do: it has ended, or nothing was ever sent."""
        begun = self.facts.get("sends") is not None or "deployment" in self.facts
        return not begun or self.facts.get("outcome") is not None

    @property
    def release(self) -> Mapping[str, object]:
        """What was known when it began."""
        return cast("Mapping[str, object]", self.facts["release"])

    def note(self, **facts: object) -> None:
        """Write a step; it is durable when this returns.

        Raises:
            JournalError: It cannot be written.
        """
        line = self._log.line({"step": facts})
        with _translated(self.path):
            try:
                self._file.seek(self._log.size)
                left = memoryview(line)
                while left:
                    left = left[self._file.write(left) :]
                self._file.truncate()
                os.fsync(self._file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    self._file.truncate(self._log.size)
                raise
        self._log.add(line)
        self.facts |= facts

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


class JournalledSends(CreationLog):
    """Writes under a name when a creation was sent, before each send.

    Args:
        journal: Where to write; None for nowhere.
        name: The name.
    """

    def __init__(self, journal: ReleaseJournal | None, name: str) -> None:
        self._journal = journal
        self._name = name

    def sending(self, record: SendRecord) -> None:
        """See `CreationLog.sending`."""
        self._note(record.to_dict())

    def unsent(self) -> None:
        """See `CreationLog.unsent`."""
        self._note(None)

    def nothing_happened(self) -> None:
        """See `CreationLog.nothing_happened`."""
        self._note(None)

    def _note(self, record: Mapping[str, object] | None) -> None:
        if self._journal is not None:
            self._journal.note(**{self._name: record})


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links.
        draft.replace(path)


@contextlib.contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(f"{path} cannot be used: {error.strerror or error}") from None
