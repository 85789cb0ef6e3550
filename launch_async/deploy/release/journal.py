"""The journal of one release: its steps, so that another process can finish the release after a crash.

The journal is a file of lines with checksums, like a fleet's journal. The SDK writes each step durably before the next
request, and ignores an incomplete last line. The journal contains UIDs, hashes and results of checks, and no secrets.
A process that uses the file holds a lock on it.
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
    """The open and locked journal of a release.

    Attributes:
        path: The file.
        facts: The recorded facts, by name. Later steps replace earlier ones of the same name.
    """

    def __init__(self, path: Path, file: FileIO, log: Log, facts: dict[str, object]) -> None:
        self.path = path
        self.facts: dict[str, object] = facts
        self._file = file
        self._log = log

    @classmethod
    def begun(cls, path: Path, release: Mapping[str, object]) -> Self:
        """Create a journal, or replace the journal of a release that has ended.

        Raises:
            JournalError: The file contains an unfinished release, is not a journal, or cannot be created.
        """
        earlier = None
        if path.exists():
            earlier = cls.reopened(path)
            if not earlier.is_over:
                earlier.close()
                raise JournalError(
                    f"The journal {path} contains an unfinished release. Finish it with "
                    f"launch.resume_release({str(path)!r}), or pass another file"
                )
        try:
            return cls._made(path, {"format": _FORMAT, "version": _VERSION, "release": dict(release)}, earlier)
        finally:
            if earlier is not None:
                earlier.close()

    @classmethod
    def reopened(cls, path: Path) -> Self:
        """Open an existing journal.

        Raises:
            JournalInUse: Another process uses it.
            JournalError: The file does not exist, or cannot be read.
        """
        if not path.exists():
            raise JournalError(f"The journal {path} does not exist. launch.deploy(..., journal=...) creates one")
        with _translated(path):
            file = FileIO(path, "r+")
        try:
            with _translated(path):
                if not lock(file.fileno()):
                    raise JournalInUse(f"Another process uses the journal {path}. Wait until it ends, or stop it")
                file.seek(0)
                content = file.readall()
            log = Log()
            header, *steps = log.read(content) or [{}]
            if header.get("format") != _FORMAT or header.get("version") != _VERSION:
                raise JournalError(f"The file {path} is not a release journal of this version. Pass another file")
            facts = {"release": header["release"]}
            for step in steps:
                facts |= cast("Mapping[str, object]", step["step"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            file.close()
            raise JournalError(
                f"The journal {path} is damaged: {error}. Check the deployments at the service"
            ) from None
        except BaseException:
            file.close()
            raise
        return cls(path, file, log, facts)

    @classmethod
    def _made(cls, path: Path, header: Record, earlier: ReleaseJournal | None) -> Self:
        """Create the complete and locked file in one step, so that no other process sees a part of it."""
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
                raise JournalInUse(
                    f"Another process has just created the journal {path}. Wait until it ends, or stop it"
                ) from None
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
        """Whether the release has ended, or never sent anything."""
        begun = self.facts.get("sends") is not None or "deployment" in self.facts
        return not begun or self.facts.get("outcome") is not None

    @property
    def release(self) -> Mapping[str, object]:
        """The facts at the start of the release."""
        return cast("Mapping[str, object]", self.facts["release"])

    def note(self, **facts: object) -> None:
        """Write a step durably.

        Raises:
            JournalError: The file cannot be written.
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
        """Close the file and release its lock."""
        self._file.close()


class JournalledSends(CreationLog):
    """Writes to a journal before each send of a creation.

    Args:
        journal: The journal; None for no journal.
        name: Name of the fact in the journal.
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
        # The file system has no hard links.
        draft.replace(path)


@contextlib.contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be used: {error.strerror or error}") from None
