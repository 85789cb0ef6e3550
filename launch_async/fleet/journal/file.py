"""A journal in one file: a log that only grows, and that is complete after each line.

A run locks the file, so a second run is refused. A killed run leaves no lock. The file can be renamed, linked, or
copied after its run: no second file belongs to it.
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
"""The text after the first checksum of every journal."""
_CLOCK_MARGIN: Final = timedelta(minutes=5)
"""Assumed maximum difference between the clock of `Date` headers and the clock of creations."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""A time before all deployments."""
_CHECKSUM_LENGTH: Final = len('["00000000')


class FileJournal:
    """A journal in one file.

    Args:
        path: The file. A run creates it, and follows a link.
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
    def exists(self) -> bool:
        """Whether a file or link exists at the path."""
        return os.path.lexists(self.path)

    def set_aside(self) -> None:
        """Rename the file of a finished run to a name that ends with `.previous`, so that a new run can begin."""
        path = _resolved(self.path)
        with _journal_errors(self.path):
            path.replace(path.with_name(f"{path.name}.previous"))

    @property
    def missing_since(self) -> datetime | None:
        """The time, by the service's clock, after which the run may have done more than the file contains.

        None if the file is certainly the one that its run wrote last. `EARLIEST` if the service shows no time.
        """
        return self._missing_since

    @property
    def last_step_at(self) -> datetime | None:
        """The most likely time of the journal's last step; None if `missing_since` is None.

        It is later than `missing_since` if only the `Date` of answers shows it, because creations may have another
        clock.
        """
        return self._last_step_at

    def open(self, plan: Plan | None, *, check: Callable[[Plan], None]) -> Plan:
        """Open the journal for this run; see `Journal.open`."""
        path = _resolved(self.path)
        is_new = not path.exists()
        if is_new:
            if plan is None:
                raise JournalError(
                    f"The journal {self.path} does not exist. Start a run with launch.fleet.run(plan, journal=...) or "
                    "launch.state.apply(plan, journal=...)"
                )
            check(plan)
            _create(path, plan)
        file = _open_locked(path)
        try:
            kept = self._read(file, plan, check, is_new=is_new)
        except BaseException:
            self.close()
            file.close()
            raise
        return kept

    def entries(self) -> Sequence[Entry]:
        """Return the entry of every operation, in the plan's order."""
        self._opened()
        return list(self._entries.values())

    def write(self, entry: Entry) -> None:
        """Replace the entry of one operation."""
        self._append({"entry": entry.to_dict()})
        self._entries[entry.key] = entry

    def close(self) -> None:
        """Close and unlock the journal. A second call does nothing."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _read(self, file: FileIO, plan: Plan | None, check: Callable[[Plan], None], *, is_new: bool) -> Plan:
        """Read the file, and refuse it if a run cannot continue with it."""
        with _journal_errors(self.path):
            content = file.readall()
        kept, entries, opened, log = _parsed(self.path, content)
        since, step = moment_of(opened.get("missing_since")), moment_of(opened.get("last_step_at"))
        if plan is not None and kept.uid != plan.uid:
            raise JournalError(
                f"The journal {self.path} belongs to another plan ({kept.uid[:8]}, {kept.what}). "
                "Resume that plan with launch.fleet.resume(journal), or use another file for this plan"
            )
        check(kept)
        file_id = identity(file)
        is_known = file_id is not None and file_id == opened.get("file")
        is_original = is_new or (is_known and is_last_written(file, log))
        if since is None and not is_original:
            since, step = _last_moment(kept, entries.values())
        self._file, self._log, self._entries = file, log, entries
        self._missing_since, self._last_step_at = since, step
        self._append({"opened": {"file": file_id, "missing_since": text_of(since), "last_step_at": text_of(step)}})
        return kept

    def _append(self, record: Record) -> None:
        """Write a line durably. If this fails, the file stays unchanged."""
        file = self._opened()
        line = self._log.line(record)
        with _journal_errors(self.path):
            try:
                # This overwrites the rest of an incomplete write after the last complete line.
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
            raise JournalError(f"The journal {self.path} is not open")
        return self._file


def _resolved(path: Path) -> Path:
    """Return the file at the end of a path's links."""
    with _journal_errors(path):
        if path.is_symlink() and not path.exists():
            raise JournalError(
                f"The journal {path} is a link to {path.readlink()}, which does not exist. "
                "Restore the file, or delete the link if no run used it"
            )
        return path.resolve()


def _open_locked(path: Path) -> FileIO:
    """Open the file, and lock it until it is closed."""
    with _journal_errors(path):
        file = FileIO(path, "r+")
        try:
            if not _locked(path, file):
                raise JournalInUse(f"The journal {path} is in use by another run. Wait for that run, or stop it")
            file.seek(0)
        except BaseException:
            file.close()
            raise
    return file


def _locked(path: Path, file: FileIO) -> bool:
    try:
        return lock(file.fileno())
    except NoFileLocks:
        _LOG.warning("This platform has no file locks, so a second run could use the journal %s at the same time", path)
        return True


def _check_beginning(path: Path, content: bytes) -> None:
    """Refuse a file that is not a journal, is empty or is truncated."""
    if not content:
        raise JournalError(f"The journal {path} is empty. Delete the file if no run used it")
    given = content[_CHECKSUM_LENGTH : _CHECKSUM_LENGTH + len(_BEGINNING)]
    if content[:2] != b'["'[: len(content)] or given != _BEGINNING[: len(given)]:
        raise JournalError(f"The file {path} is not a fleet journal. Use another file for the run")
    if b"\n" not in content:
        raise JournalError(f"The journal {path} is truncated, so its plan is incomplete. Use the complete file")


def _plan(path: Path, header: Record) -> Plan:
    if header["version"] != _VERSION:
        raise JournalError(
            f"The file {path} is a journal of version {header['version']}, but this SDK reads version {_VERSION}. "
            "Resume it with the SDK version that created it"
        )
    return Plan.from_json(json.dumps(header["plan"]))


def read_journal(path: str | os.PathLike[str]) -> tuple[Plan, Sequence[Entry]]:
    """Return the plan and the entries in a journal's file, without a lock, also while a run writes the file.

    Raises:
        JournalError: The file does not exist, or is damaged.
    """
    with _journal_errors(Path(path)):
        content = Path(path).read_bytes()
    plan, entries, _, _ = _parsed(Path(path), content)
    return plan, list(entries.values())


def _parsed(path: Path, content: bytes) -> tuple[Plan, dict[str, Entry], Mapping[str, object], Log]:
    """Return the plan of a journal, the entries of its operations, its last `opened` record, and the log."""
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
                entries[_checked_key(entry.key, entries)] = entry
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError(
            f"The journal {path} is damaged: {error}. Check in Launch what its run has done, and make a new plan for "
            "the rest"
        ) from error
    return plan, entries, opened, log


def _last_moment(plan: Plan, entries: Collection[Entry]) -> tuple[datetime, datetime]:
    """Return a time that is certainly before a journal's last step, and the most likely time of that step.

    Both are by the service's clock for creations. If the steps contain no time of creation, the `Date` of answers
    counts with a margin, because it may come from another clock. This machine's clock may be wrong, and does not count.
    """
    if created := _moments(entries, "created_at"):
        return max(created), max(created)
    known = [*_moments(entries, "service_time"), *([plan.created_at] if plan.is_service_time else [])]
    return (max(known) - _CLOCK_MARGIN, max(known)) if known else (EARLIEST, EARLIEST)


def _moments(entries: Collection[Entry], name: str) -> list[datetime]:
    moments = [moment_of(entry.detail.get(name)) for entry in entries]
    return [moment for moment in moments if moment is not None]


def _checked_key(key: str, entries: Mapping[str, Entry]) -> str:
    if key not in entries:
        raise ValueError(f"its plan has no operation with the key {key!r}")
    return key


def _create(path: Path, plan: Plan) -> None:
    """Create the complete file. After a kill during the call, the file is complete or does not exist."""
    line = Log().line({"format": _FORMAT, "version": _VERSION, "plan": json.loads(plan.to_json())})
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        _write_durably(temporary, line)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:
            # The file system has no hard links.
            _write_durably(path, line)
        _make_name_durable(path)
    except FileExistsError as error:
        raise JournalInUse(f"The journal {path} is in use by another run. Wait for that run, or stop it") from error
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be created: {error}. Use a file in a writable folder") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_durably(path: Path, content: bytes) -> None:
    with FileIO(path, "x") as file:
        _write_whole(file, content)
        os.fsync(file.fileno())


def _write_whole(file: FileIO, content: bytes) -> None:
    """Write all bytes. A nearly full disk or a signal may end a single write early."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def _make_name_durable(path: Path) -> None:
    """Sync the folder, so that the file's name survives a loss of power."""
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _journal_errors(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be used: {error.strerror or error}. {_advice(error)}") from error


def _advice(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Make the file writable, or copy it to a writable folder and resume the copy"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free some disk space, then resume the run: the journal contains all steps before this one"
    if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
        return "Files cannot be locked there. Keep the journal on a local disk, or use your own Journal"
    if error.errno == errno.EISDIR:
        return "Use a file, not a folder"
    return "Copy the file to a local disk and resume the copy"
