"""A journal in one file: a log of lines that is only ever made longer, and complete after each of them.

The file is locked for as long as a run has it, so a second runner is refused; a killed run leaves no lock behind.
Renamed, linked, or copied after its run, it is the same journal: no second file belongs to it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import uuid
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

import attrs

from launch_async._checked_lines import Log, Record
from launch_async._file_lock import NoFileLocks, lock
from launch_async.errors import JournalError, JournalInUse
from launch_async.fleet.journal.journal import Entry, moment_of, text_of
from launch_async.fleet.journal.origin import identity, is_last_written, mark_time
from launch_async.fleet.plan.plan import Plan

__all__ = ["EARLIEST", "FileJournal", "read_journal"]

_LOG: Final = logging.getLogger("launch_async.fleet")
_FORMAT: Final = "contentstack-launch/fleet-journal"
_VERSION: Final = 1
_BEGINNING: Final = b'", {"format": "' + _FORMAT.encode() + b'"'
"""What every journal's file has behind its first checksum."""
_CLOCKS_APART: Final = timedelta(minutes=5)
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before anything was deployed."""
_CHECKSUM: Final = len('["00000000')


class FileJournal:
    """A journal in one file.

    Args:
        path: The file; made when a run begins. A link to a file is followed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self._file: FileIO | None = None
        self._log = Log()
        self._entries: dict[str, Entry] = {}
        self._missing_since: datetime | None = None
        self._last_step_at: datetime | None = None

    def __repr__(self) -> str:
        return f"FileJournal({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_there(self) -> bool:
        """Whether there is something at its path: a run was begun, or somebody put it there."""
        return os.path.lexists(self.path)

    def set_aside(self) -> None:
        """Give the file of a run that is over another name, with `.previous` at its end, to make room for a new run."""
        path = _followed(self.path)
        with _translated(self.path):
            path.replace(path.with_name(f"{path.name}.previous"))

    @property
    def missing_since(self) -> datetime | None:
        """The time of the service after which its run may have done more than the file tells: a copy may be older.

        None where the file is surely the one that its run wrote last; `EARLIEST` where the service has no clock.
        """
        return self._missing_since

    @property
    def last_step_at(self) -> datetime | None:
        """The time of the journal's last step, as far as the service showed it; None if `missing_since` is.

        It is later than `missing_since` if only the `Date` of answers showed it: creations may have another clock.
        """
        return self._last_step_at

    def open(self, plan: Plan | None, *, check: Callable[[Plan], None]) -> Plan:
        """Take the journal for this run; see `Journal.open`."""
        path = _followed(self.path)
        is_new = not path.exists()
        if is_new:
            if plan is None:
                raise JournalError(f"there is no journal at {self.path}; begin a run with fleet.run(plan, journal=...)")
            check(plan)
            _create(path, plan)
        file = _taken(path)
        try:
            kept = self._read(file, plan, check, is_new=is_new)
        except BaseException:
            self.close()
            file.close()
            raise
        return kept

    def entries(self) -> Sequence[Entry]:
        """Return what is known of every operation, in the plan's order."""
        self._opened()
        return list(self._entries.values())

    def write(self, entry: Entry) -> None:
        """Replace what is known of one operation."""
        self._append({"entry": entry.to_dict()})
        self._entries[entry.key] = entry

    def close(self) -> None:
        """Give the journal back; calling it again does nothing."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _read(self, file: FileIO, plan: Plan | None, check: Callable[[Plan], None], *, is_new: bool) -> Plan:
        """Read all that the file tells, and refuse it where that cannot be gone on with."""
        with _translated(self.path):
            content = file.readall()
        kept, entries, opened, log = _parsed(self.path, content)
        since, step = moment_of(opened.get("missing_since")), moment_of(opened.get("last_step_at"))
        if plan is not None and kept.uid != plan.uid:
            raise JournalError(
                f"{self.path} is the journal of another plan ({kept.uid[:8]}, {kept.action}). "
                "Resume that one with fleet.resume(journal), or give this plan a file of its own"
            )
        check(kept)
        told = identity(file)
        is_original = is_new or (told is not None and told == opened.get("file") and is_last_written(file, log))
        if since is None and not is_original:
            since, step = _last_moment(kept, entries.values())
        self._file, self._log, self._entries = file, log, entries
        self._missing_since, self._last_step_at = since, step
        self._append({"opened": {"file": told, "missing_since": text_of(since), "last_step_at": text_of(step)}})
        return kept

    def _append(self, record: Record) -> None:
        """Write a line so that it is there whatever happens next, or not at all."""
        file = self._opened()
        line = self._log.line(record)
        with _translated(self.path):
            try:
                # Over whatever a write that was cut off has left behind the last whole line.
                file.seek(self._log.size)
                _write_whole(file, line)
                file.truncate()
                after = attrs.evolve(self._log)
                after.add(line)
                mark_time(file, after)
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(self._log.size)
                    mark_time(file, self._log)
                raise
        self._log = after

    def _opened(self) -> FileIO:
        if self._file is None:
            raise JournalError(f"{self.path} is not open")
        return self._file


def _followed(path: Path) -> Path:
    """Return the file that a path leads to."""
    with _translated(path):
        if path.is_symlink() and not path.exists():
            raise JournalError(
                f"{path} is a link to {path.readlink()}, and no file is there. "
                "Bring the file back, or delete the link if no run was begun with it"
            )
        return path.resolve()


def _taken(path: Path) -> FileIO:
    """Open the file, and lock it until it is closed."""
    with _translated(path):
        file = FileIO(path, "r+")
        try:
            if not _locked(path, file):
                raise JournalInUse(f"{path} is in use by another run; wait for it, or end it")
            file.seek(0)
        except BaseException:
            file.close()
            raise
    return file


def _locked(path: Path, file: FileIO) -> bool:
    try:
        return lock(file.fileno())
    except NoFileLocks:
        _LOG.warning("This platform has no file locks: nothing keeps a second run away from the journal %s", path)
        return True


def _check_beginning(path: Path, content: bytes) -> None:
    """Tell what is no journal from one that was cut short or is of another version."""
    if not content:
        raise JournalError(f"{path} is empty; if no run was begun with it, delete it")
    given = content[_CHECKSUM : _CHECKSUM + len(_BEGINNING)]
    if content[:2] != b'["'[: len(content)] or given != _BEGINNING[: len(given)]:
        raise JournalError(f"{path} is not a fleet journal; give the run another file")
    if b"\n" not in content:
        raise JournalError(f"{path} is truncated: not even its plan is whole. Use the whole file")


def _plan(path: Path, header: Record) -> Plan:
    if header["version"] != _VERSION:
        raise JournalError(
            f"{path} is a journal of version {header['version']}, and this SDK reads version {_VERSION}: "
            "resume it with the SDK that began it"
        )
    return Plan.from_json(json.dumps(header["plan"]))


def read_journal(path: str | os.PathLike[str]) -> tuple[Plan, Sequence[Entry]]:
    """Return what a journal's file tells, also while a run writes it; nothing is locked or written.

    Raises:
        JournalError: There is none, or it is damaged.
    """
    with _translated(Path(path)):
        content = Path(path).read_bytes()
    plan, entries, _, _ = _parsed(Path(path), content)
    return plan, list(entries.values())


def _parsed(path: Path, content: bytes) -> tuple[Plan, dict[str, Entry], Mapping[str, object], Log]:
    """Return the plan of a journal, what is known of each operation, how it was opened last, and the log itself."""
    _check_beginning(path, content)
    log = Log()
    try:
        header, *records = log.read(content) or [{}]
        plan = _plan(path, header)
        entries = {operation.key: Entry(key=operation.key) for operation in plan.operations}
        opened: Mapping[str, object] = {}
        for record in records:
            if "opened" in record:
                opened = cast("Mapping[str, object]", record["opened"])
                moment_of(opened.get("missing_since"))
                moment_of(opened.get("last_step_at"))
            else:
                entry = Entry.from_dict(cast("Mapping[str, object]", record["entry"]))
                entries[_known(entry.key, entries)] = entry
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError(
            f"{path} is damaged: {error}. Look at the service for what its run has done, and make a new plan"
        ) from error
    return plan, entries, opened, log


def _last_moment(plan: Plan, entries: Collection[Entry]) -> tuple[datetime, datetime]:
    """Return a time of the service's that was surely over when a journal's last step was written, and most likely.

    The service may stamp its answers by one clock and what it creates by another: so the times of creation that the
    steps hold come first, and without one there is a margin. This machine's clock may be wrong, and does not count.
    """
    if created := _moments(entries, "created_at"):
        return max(created), max(created)
    known = [*_moments(entries, "service_time"), *([plan.created_at] if plan.is_service_time else [])]
    return (max(known) - _CLOCKS_APART, max(known)) if known else (EARLIEST, EARLIEST)


def _moments(entries: Collection[Entry], name: str) -> list[datetime]:
    moments = [moment_of(entry.detail.get(name)) for entry in entries]
    return [moment for moment in moments if moment is not None]


def _known(key: str, entries: Mapping[str, Entry]) -> str:
    if key not in entries:
        raise ValueError(f"its plan has no operation {key!r}")
    return key


def _create(path: Path, plan: Plan) -> None:
    """Make the file whole or not at all, so that a run that is killed meanwhile leaves nothing behind that confuses."""
    line = Log().line({"format": _FORMAT, "version": _VERSION, "plan": json.loads(plan.to_json())})
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        _write_durably(temporary, line)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links.
            _write_durably(path, line)
        _make_name_durable(path)
    except FileExistsError as error:
        raise JournalInUse(f"{path} is in use by another run; wait for it, or end it") from error
    except OSError as error:
        raise JournalError(f"{path} cannot be made: {error}. Name a file in a folder that you may write to") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_durably(path: Path, content: bytes) -> None:
    with FileIO(path, "x") as file:
        _write_whole(file, content)
        os.fsync(file.fileno())


def _write_whole(file: FileIO, content: bytes) -> None:
    """Write all of it: a disk that is nearly full, or a signal, may end a write in its middle."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def _make_name_durable(path: Path) -> None:
    """Keep the file's name through a loss of power, where a folder can be synced."""
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(f"{path} cannot be used: {error.strerror or error}. {_cure(error)}") from error


def _cure(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Make the file writable, or copy it to a folder that you may write to and resume the copy"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free some space, then resume: all steps up to this one are in the journal"
    if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
        return "Files cannot be locked there: keep the journal on a local disk, or give a journal of your own"
    if error.errno == errno.EISDIR:
        return "Name a file, not a folder"
    return "Copy it to a local disk and resume the copy"
