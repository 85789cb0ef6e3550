"""A fleet journal in PostgreSQL, for workers on machines that do not share a disk.

Use it with `fleet.run(plan, journal=PostgresJournal(url, plan.uid))`. A session-level advisory lock keeps out a second
runner. The lock ends with the connection, so the journal of a killed process is free again. The journal needs psycopg,
and creates its tables on first use.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator, Sequence

import psycopg

from launch_async import JournalError, JournalInUse
from launch_async.fleet import Entry, Plan

TABLES = """
CREATE TABLE IF NOT EXISTS launch_journal (name text PRIMARY KEY, plan text NOT NULL);
CREATE TABLE IF NOT EXISTS launch_operation (
    journal text NOT NULL REFERENCES launch_journal ON DELETE CASCADE,
    key text NOT NULL,
    entry jsonb NOT NULL,
    PRIMARY KEY (journal, key)
);
"""


class PostgresJournal:
    """One journal of a database.

    Args:
        url: Address of the database, such as `postgresql://user@host/name`.
        name: Name of the journal.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: psycopg.Connection | None = None
        self._order: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"PostgresJournal({self._name!r})"

    def open(self, plan: Plan | None, *, check: Callable[[Plan], None]) -> Plan:
        """Lock the journal. Start it with the plan, or return the plan that it contains."""
        with self._translated():
            # Commit each statement durably before the next one starts.
            connection = psycopg.connect(self._url, autocommit=True)
        try:
            kept = self._taken(connection, plan, check)
        except BaseException:
            _release(connection)
            raise
        self._connection, self._order = connection, tuple(operation.key for operation in kept.operations)
        return kept

    def _taken(self, connection: psycopg.Connection, plan: Plan | None, check: Callable[[Plan], None]) -> Plan:
        with self._translated():
            lock = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (self._name,)).fetchone()
            if lock != (True,):
                raise JournalInUse(f"The journal {self._name} is in use by another run. Wait for that run, or stop it.")
            # Lock, because two processes could create the tables at the same time.
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('launch_journal', 1))")
                connection.execute(TABLES)
            row = connection.execute("SELECT plan FROM launch_journal WHERE name = %s", (self._name,)).fetchone()
        if row is None and plan is None:
            raise JournalError(
                f"The journal {self._name} does not exist. Start a run with fleet.run(plan, journal=...)."
            )
        kept = plan if row is None else Plan.from_json(row[0])
        assert kept is not None
        if plan is not None and plan.uid != kept.uid:
            raise JournalError(f"The journal {self._name} belongs to another plan ({kept.uid[:8]}, {kept.action}).")
        check(kept)
        if row is None:
            with self._translated(), connection.transaction(), connection.cursor() as cursor:
                cursor.execute("INSERT INTO launch_journal VALUES (%s, %s)", (self._name, kept.to_json()))
                cursor.executemany(
                    "INSERT INTO launch_operation VALUES (%s, %s, %s)",
                    [(self._name, one.key, json.dumps(Entry(key=one.key).to_dict())) for one in kept.operations],
                )
        return kept

    def entries(self) -> Sequence[Entry]:
        """Return the entry of every operation, in the order of the plan."""
        with self._translated():
            rows = self._opened().execute("SELECT entry FROM launch_operation WHERE journal = %s", (self._name,))
            known = {entry.key: entry for entry in (Entry.from_dict(row[0]) for row in rows)}
        return [known[key] for key in self._order]

    def write(self, entry: Entry) -> None:
        """Replace the entry of one operation."""
        with self._translated():
            self._opened().execute(
                "UPDATE launch_operation SET entry = %s WHERE journal = %s AND key = %s",
                (json.dumps(entry.to_dict()), self._name, entry.key),
            )

    def close(self) -> None:
        """Release the journal."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _release(connection)

    def _opened(self) -> psycopg.Connection:
        if self._connection is None:
            raise JournalError(f"The journal {self._name} is not open.")
        return self._connection

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except psycopg.Error as error:
            # The text of the error may contain the host, but no password.
            raise JournalError(f"The journal {self._name} cannot be used: {error}") from error


def _release(connection: psycopg.Connection) -> None:
    """Unlock the journal and close the connection: the server alone would unlock it a moment after the end."""
    with contextlib.suppress(psycopg.Error):
        connection.execute("SELECT pg_advisory_unlock_all()")
    connection.close()
