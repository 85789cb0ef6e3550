"""The journal: what a run meant to do, and what became of it, so that a killed run can be finished and done once.

An intent is written before the request and its outcome after, in one SQLite file in WAL mode. The file is locked for
as long as a run has it, by SQLite itself, so a second runner is refused and a killed one leaves no lock behind. It
holds no secret: a plan has none, and errors are kept by name and by their redacted text.
"""

from __future__ import annotations

import contextlib
import enum
import json
import sqlite3
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, cast

import attrs

from launch_async.errors import InvalidArgumentError, JournalError
from launch_async.workflows.fleet.plan import Plan

__all__ = ["Entry", "Journal", "OperationState", "SqliteJournal"]

_APPLICATION_ID: Final = 0x4C4E4348
"""`LNCH`, in the header of the file: tells our journals from other SQLite files."""
_VERSION: Final = 1
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


class Journal(Protocol):
    """What a run asks of its journal; implement it to keep one elsewhere, as in a shared database.

    Every method must be durable when it returns: a process may be killed right after. Implementations refuse a second
    runner between `open` and `close`.
    """

    def open(self, plan: Plan | None) -> Plan:
        """Take the journal for this run: begin it with a plan, or go on with the plan that it holds.

        Args:
            plan: The plan to begin with; None to go on.

        Raises:
            JournalError: It cannot be used.
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
        self.path = Path(path)
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

    def open(self, plan: Plan | None) -> Plan:
        """Take the journal for this run; see `Journal.open`."""
        exists = self.path.exists() and self.path.stat().st_size > 0
        if plan is None and not exists:
            raise JournalError(f"there is no journal at {self.path}; begin a run with fleet.run(plan, journal=...)")
        if exists:
            _check_header(self.path)
        database = self._connect()
        try:
            with _translated(self.path):
                # From the first write on, the lock is held until the connection is closed, or the process dies.
                database.execute("PRAGMA locking_mode = EXCLUSIVE")
                database.execute("BEGIN EXCLUSIVE")
                kept = self._kept_plan(database) if exists else self._begin(database, cast("Plan", plan))
                database.execute("COMMIT")
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                # Switching to WAL gives the lock back for a moment; a read takes it again, for good.
                database.execute("BEGIN IMMEDIATE")
                database.execute("COMMIT")
            if plan is not None and kept.uid != plan.uid:
                raise JournalError(
                    f"{self.path} is the journal of another plan ({kept.uid[:8]}, {kept.action}). "
                    "Resume that one with fleet.resume(journal), or give this plan a file of its own"
                )
        except BaseException:
            database.close()
            raise
        self._database, self._order = database, tuple(operation.key for operation in kept.operations)
        return kept

    def entries(self) -> Sequence[Entry]:
        """Return what is known of every operation, in the plan's order."""
        rows = self._opened().execute(
            "SELECT key, state, intended_at, deployment_uid, ended_at, attempts, requests, detail FROM operation"
        )
        known = {entry.key: entry for entry in map(_entry, rows)}
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
            return sqlite3.connect(self.path, isolation_level=None, timeout=0.0, check_same_thread=False)

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise JournalError(f"{self.path} is not open")
        return self._database

    def _begin(self, database: sqlite3.Connection, plan: Plan) -> Plan:
        for statement in _SCHEMA.split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {_VERSION}")
        database.execute("INSERT INTO journal VALUES ('plan', ?)", (plan.to_json(),))
        database.executemany(
            "INSERT INTO operation (key, state) VALUES (?, ?)",
            [(operation.key, str(OperationState.PLANNED)) for operation in plan.operations],
        )
        return plan

    def _kept_plan(self, database: sqlite3.Connection) -> Plan:
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID:
            raise JournalError(f"{self.path} is a SQLite file, but not a fleet journal")
        if version != _VERSION:
            raise JournalError(f"{self.path} is a journal of version {version}, this SDK writes version {_VERSION}")
        (text,) = database.execute("SELECT value FROM journal WHERE name = 'plan'").fetchone()
        try:
            plan = Plan.from_json(text)
        except InvalidArgumentError as error:
            raise JournalError(f"{self.path} is damaged: {error.message}") from error
        keys = {key for (key,) in database.execute("SELECT key FROM operation")}
        if keys != {operation.key for operation in plan.operations}:
            raise JournalError(f"{self.path} is damaged: its operations are not those of its plan")
        return plan


def _check_header(path: Path) -> None:
    """Refuse what is no SQLite file before SQLite touches it, so that it is left as it is."""
    with path.open("rb") as file:
        head = file.read(100)
    if not head.startswith(b"SQLite format 3\x00"):
        raise JournalError(f"{path} is not a fleet journal")
    pages, page_size = int.from_bytes(head[28:32]), int.from_bytes(head[16:18])
    page_size = 65536 if page_size == 1 else page_size
    if path.stat().st_size < min(pages, 1) * page_size:
        raise JournalError(f"{path} is truncated")


@contextlib.contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise JournalError(f"{path} is in use by another run; wait for it, or end it") from error
        raise JournalError(f"{path} cannot be used: {error}") from error
    except (sqlite3.DatabaseError, TypeError) as error:
        raise JournalError(f"{path} is damaged or truncated: {error}") from error


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
