"""The journal: what a run meant to do, and what became of it, so that a killed run can be finished and done once.

An intent is written before the request and its outcome after, in one SQLite file in WAL mode. The file is locked for
as long as a run has it, by SQLite itself, so a second runner is refused and a killed one leaves no lock behind. It
holds no secret: a plan has none, and errors are kept by name and by their redacted text.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import sqlite3
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, cast

import attrs

from launch_async.errors import InvalidArgumentError, JournalError, JournalInUse
from launch_async.fleet.plan.plan import Plan

__all__ = ["Entry", "Journal", "OperationState", "SqliteJournal"]

_APPLICATION_ID: Final = 0x4C4E4348
"""`LNCH`, in the header of the file: tells our journals from other SQLite files."""
_VERSION: Final = 1
_HEADER: Final = 100
_SCHEMA: Final = """
CREATE TABLE journal (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE operation (
    key TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    intended_at TEXT,
    deployment_uid TEXT,
    ended_at TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    detail TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;
"""


class OperationState(enum.StrEnum):
    """How far an operation is."""

    PLANNED = "planned"
    """Nothing was sent."""
    INTENDED = "intended"
    """A request was about to be sent: whether it was is not known."""
    SENT = "sent"
    """The service has accepted it; a deployment goes on."""
    SUCCEEDED = "succeeded"
    """Done."""
    FAILED = "failed"
    """Done, without success; nothing goes on."""
    SKIPPED = "skipped"
    """Left alone on purpose."""
    AMBIGUOUS = "ambiguous"
    """It may have been done, and nobody can tell."""

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to do."""
        return self not in (OperationState.PLANNED, OperationState.INTENDED, OperationState.SENT)


@attrs.frozen(kw_only=True)
class Entry:
    """What a journal knows of one operation.

    Attributes:
        key: Key of the operation.
        state: How far it is.
        intended_at: When it was about to be sent, by the service's clock.
        deployment_uid: The deployment that it created or was attached to.
        ended_at: When it ended.
        attempts: How often it was tried, over all runs.
        requests: Requests that it took, over all runs.
        detail: Further facts for the report, without a secret.
    """

    key: str
    state: OperationState = OperationState.PLANNED
    intended_at: datetime | None = None
    deployment_uid: str | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    requests: int = 0
    detail: Mapping[str, object] = attrs.field(factory=lambda: cast("dict[str, object]", {}))

    def to_dict(self) -> dict[str, object]:
        """Return the entry as plain data that JSON can express, for a journal that is kept elsewhere."""
        return {
            **attrs.asdict(self),
            "state": str(self.state),
            "intended_at": _text(self.intended_at),
            "ended_at": _text(self.ended_at),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> Self:
        """Read what `to_dict` wrote.

        Raises:
            ValueError: It is no entry.
        """
        try:
            return cls(
                key=str(document["key"]),
                state=OperationState(str(document["state"])),
                intended_at=_moment(document["intended_at"]),
                deployment_uid=cast("str | None", document["deployment_uid"]),
                ended_at=_moment(document["ended_at"]),
                attempts=cast("int", document["attempts"]),
                requests=cast("int", document["requests"]),
                detail=dict(cast("Mapping[str, object]", document["detail"])),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no journal entry: {error!r}") from error


class Journal(Protocol):
    """What a run asks of its journal; implement it to keep one elsewhere, as in a shared database.

    Every method must be durable when it returns: a process may be killed right after. Implementations refuse a second
    runner between `open` and `close`, and give the journal free when the process that has it dies. Plans and entries
    are stored as JSON: `Plan.to_json`, `Entry.to_dict`.
    """

    def open(self, plan: Plan | None, *, check: Callable[[Plan], None]) -> Plan:
        """Take the journal for this run: begin it with a plan, or go on with the plan that it holds.

        Args:
            plan: The plan to begin with; None to go on.
            check: Is asked before the journal is touched; what it raises leaves the journal as it is.

        Raises:
            JournalInUse: Another run has it.
            JournalError: It cannot be used otherwise; it was left as it was.
        """
        ...

    def entries(self) -> Sequence[Entry]:
        """Return what is known of every operation, in the plan's order."""
        ...

    def write(self, entry: Entry) -> None:
        """Replace what is known of one operation."""
        ...

    def close(self) -> None:
        """Give the journal back."""
        ...


class SqliteJournal:
    """A journal in one SQLite file.

    Args:
        path: The file; made when a run begins. Beside it, SQLite keeps `-wal` and `-shm` files while a run has it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self._database: sqlite3.Connection | None = None
        self._order: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"SqliteJournal({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def open(self, plan: Plan | None, *, check: Callable[[Plan], None]) -> Plan:
        """Take the journal for this run; see `Journal.open`."""
        exists = self.path.exists()
        if plan is None and not exists:
            raise JournalError(f"there is no journal at {self.path}; begin a run with fleet.run(plan, journal=...)")
        kept = _kept_plan(self.path) if exists else cast("Plan", plan)
        if plan is not None and kept.uid != plan.uid:
            raise JournalError(
                f"{self.path} is the journal of another plan ({kept.uid[:8]}, {kept.action}). "
                "Resume that one with fleet.resume(journal), or give this plan a file of its own"
            )
        check(kept)
        if not exists:
            _create(self.path, kept)
        database = self._connect()
        try:
            with _translated(self.path):
                # From the first write on, the lock is held until the connection is closed, or the process dies.
                database.execute("PRAGMA locking_mode = EXCLUSIVE")
                database.execute("BEGIN EXCLUSIVE")
                _check_operations(self.path, database, kept)
                database.execute("COMMIT")
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                # Switching to WAL gives the lock back for a moment; a read takes it again, for good.
                database.execute("BEGIN IMMEDIATE")
                database.execute("COMMIT")
        except BaseException:
            database.close()
            raise
        self._database, self._order = database, tuple(operation.key for operation in kept.operations)
        return kept

    def entries(self) -> Sequence[Entry]:
        """Return what is known of every operation, in the plan's order."""
        with _translated(self.path):
            known = {entry.key: entry for entry in _entries(self._opened())}
        return [known[key] for key in self._order]

    def write(self, entry: Entry) -> None:
        """Replace what is known of one operation."""
        with _translated(self.path):
            self._opened().execute(
                "UPDATE operation SET state = ?, intended_at = ?, deployment_uid = ?, ended_at = ?, attempts = ?, "
                "requests = ?, detail = ? WHERE key = ?",
                (
                    str(entry.state),
                    _text(entry.intended_at),
                    entry.deployment_uid,
                    _text(entry.ended_at),
                    entry.attempts,
                    entry.requests,
                    json.dumps(dict(entry.detail), ensure_ascii=False),
                    entry.key,
                ),
            )

    def close(self) -> None:
        """Give the journal back; calling it again does nothing."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _connect(self) -> sqlite3.Connection:
        with _translated(self.path):
            # Writes are quick and come from one loop, but that loop may run in another thread than the caller's.
            # And a relative path might have a meaning of its own for SQLite, such as `:memory:`.
            path = self.path.absolute()
            return sqlite3.connect(path, isolation_level=None, timeout=0.0, check_same_thread=False)

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise JournalError(f"{self.path} is not open")
        return self._database


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _kept_plan(path: Path) -> Plan:
    """Return the plan of a journal without locking or changing the file, whatever it is.

    The plan was written before anything else and never changes, so the file itself has it, even if a run goes on or
    was killed and left the rest in the `-wal` file.
    """
    _check_header(path)
    with (
        _translated(path),
        contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as database,
    ):
        (text,) = database.execute("SELECT value FROM journal WHERE name = 'plan'").fetchone()
        try:
            return Plan.from_json(text)
        except InvalidArgumentError as error:
            raise JournalError(f"{path} is damaged: {error.message}") from error


def _check_header(path: Path) -> None:
    """Refuse what is no journal of ours before SQLite touches it."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER)
    except OSError as error:
        raise JournalError(f"{path} cannot be used: {error}") from error
    if not head:
        raise JournalError(f"{path} is empty; if no run was begun with it, delete it")
    if not head.startswith(b"SQLite format 3\x00"):
        raise JournalError(f"{path} is not a fleet journal")
    if len(head) < _HEADER:
        raise JournalError(f"{path} is truncated")
    page_size, pages = int.from_bytes(head[16:18]), int.from_bytes(head[28:32])
    version, application = int.from_bytes(head[60:64]), int.from_bytes(head[68:72])
    if application != _APPLICATION_ID:
        raise JournalError(f"{path} is a SQLite file, but not a fleet journal")
    if version != _VERSION:
        raise JournalError(f"{path} is a journal of version {version}, this SDK writes version {_VERSION}")
    # While a -wal file is there, SQLite knows better: it may have been interrupted while it made this file longer.
    if _size(path) < pages * (65536 if page_size == 1 else page_size) and not _size(Path(f"{path}-wal")):
        raise JournalError(f"{path} is truncated")


def _create(path: Path, plan: Plan) -> None:
    """Make the file whole or not at all, so that a run that is killed meanwhile leaves nothing behind that confuses."""
    content = _new_content(plan)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        _write_durably(temporary, content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links.
            _write_durably(path, content)
    except FileExistsError as error:
        raise JournalInUse(f"{path} is in use by another run; wait for it, or end it") from error
    except OSError as error:
        raise JournalError(f"{path} cannot be made: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _new_content(plan: Plan) -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_SCHEMA)
        database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {_VERSION}")
        database.execute("INSERT INTO journal VALUES ('plan', ?)", (plan.to_json(),))
        database.executemany(
            "INSERT INTO operation (key, state) VALUES (?, ?)",
            [(operation.key, str(OperationState.PLANNED)) for operation in plan.operations],
        )
        database.commit()
        return database.serialize()


def _check_operations(path: Path, database: sqlite3.Connection, plan: Plan) -> None:
    """Read everything once, so that damage is found before the first request."""
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise JournalError(f"{path} is damaged: {verdict}")
    if {entry.key for entry in _entries(database)} != {operation.key for operation in plan.operations}:
        raise JournalError(f"{path} is damaged: its operations are not those of its plan")


@contextlib.contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise JournalInUse(f"{path} is in use by another run; wait for it, or end it") from error
        raise JournalError(f"{path} cannot be used: {error}") from error
    except (sqlite3.DatabaseError, TypeError, ValueError) as error:
        if isinstance(error, JournalError):
            raise
        raise JournalError(f"{path} is damaged or truncated: {error}") from error


def _entries(database: sqlite3.Connection) -> Sequence[Entry]:
    rows = database.execute(
        "SELECT key, state, intended_at, deployment_uid, ended_at, attempts, requests, detail FROM operation"
    )
    return [_entry(row) for row in rows]


def _entry(row: tuple[object, ...]) -> Entry:
    key, state, intended_at, deployment_uid, ended_at, attempts, requests, detail = row
    return Entry(
        key=str(key),
        state=OperationState(str(state)),
        intended_at=_moment(intended_at),
        deployment_uid=None if deployment_uid is None else str(deployment_uid),
        ended_at=_moment(ended_at),
        attempts=cast("int", attempts),
        requests=cast("int", requests),
        detail=json.loads(str(detail)),
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: object) -> datetime | None:
    return None if text is None else datetime.fromisoformat(str(text))
