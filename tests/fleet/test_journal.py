"""A journal is taken by one run at a time, and what is none of ours is refused and left as it is."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from launch_async import ConfigurationError, JournalError, JournalInUse, LaunchClient
from launch_async.fleet import (
    Cost,
    Entry,
    MemoryJournal,
    OperationState,
    Plan,
    PlannedSource,
    Redeploy,
    SqliteJournal,
    Target,
)


def _anything(_: Plan) -> None: ...


def _plan(count: int = 3, host: str = "launch-api.example", organization: str | None = None) -> Plan:
    targets = [Target(project_uid="a" * 24, environment_uid=f"{number:024x}") for number in range(count)]
    action = Redeploy(source=PlannedSource(kind="latest_commit"))
    return Plan.make(action, targets, host=host, organization_uid=organization, rate=10.0)


def _begun(path: Path) -> Plan:
    plan, journal = _plan(), SqliteJournal(path)
    journal.open(plan, check=_anything)
    journal.close()
    return plan


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.journal"


@pytest.mark.parametrize("in_memory", [False, True])
def test_what_was_written_is_there_again(path: Path, in_memory: bool) -> None:
    journal = MemoryJournal() if in_memory else SqliteJournal(path)
    plan = _plan()
    journal.open(plan, check=_anything)
    entry = Entry(
        key=plan.operations[1].key,
        state=OperationState.SENT,
        intended_at=datetime.now(UTC),
        deployment_uid="b" * 24,
        ended_at=datetime.now(UTC),
        attempts=2,
        requests=5,
        detail={"wave": 1, "message": "é"},
    )
    journal.write(entry)
    journal.close()

    assert journal.open(None, check=_anything) == plan
    assert list(journal.entries()) == [Entry(key=plan.operations[0].key), entry, Entry(key=plan.operations[2].key)]
    journal.close()


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory", "a b#c?d%41.journal"])
def test_a_file_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)

    plan = _begun(Path(name))

    with SqliteJournal(tmp_path / name) as journal:
        assert journal.open(None, check=_anything) == plan


@pytest.mark.parametrize("in_memory", [False, True])
def test_two_runs_at_once_are_refused(path: Path, in_memory: bool) -> None:
    first = MemoryJournal() if in_memory else SqliteJournal(path)
    second = first if in_memory else SqliteJournal(path)
    plan = _plan()
    first.open(plan, check=_anything)

    with pytest.raises(JournalInUse, match="in use by another run"):
        second.open(plan, check=_anything)

    first.write(Entry(key=plan.operations[0].key, state=OperationState.SUCCEEDED))
    first.close()
    second.open(plan, check=_anything)
    second.close()


def test_a_run_in_another_process_is_refused(path: Path) -> None:
    plan = _plan()
    code = f"""
from pathlib import Path
from launch_async import JournalError
from launch_async.fleet import SqliteJournal
try:
    SqliteJournal(Path({str(path)!r})).open(None, check=lambda _: None)
except JournalError as error:
    raise SystemExit(3 if "in use by another run" in str(error) else 1)
"""
    with SqliteJournal(path) as journal:
        journal.open(plan, check=_anything)
        other = subprocess.run([sys.executable, "-c", code])
        journal.write(Entry(key=plan.operations[0].key, state=OperationState.SUCCEEDED))

    assert other.returncode == 3


def test_a_file_that_appears_while_a_run_begins_is_not_overwritten(path: Path) -> None:
    def appear(_: Plan) -> None:
        path.write_bytes(b"somebody else's")

    with pytest.raises(JournalInUse, match="in use"):
        SqliteJournal(path).open(_plan(), check=appear)

    assert path.read_bytes() == b"somebody else's"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_journal_where_files_cannot_be_linked_is_made_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)

    plan = _begun(path)

    with SqliteJournal(path) as journal:
        assert journal.open(None, check=_anything) == plan


def test_a_journal_in_a_folder_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be made"):
        SqliteJournal(path.parent / "missing" / "run.journal").open(_plan(), check=_anything)


@pytest.mark.parametrize("in_memory", [False, True])
def test_there_is_nothing_to_resume_without_a_journal(path: Path, in_memory: bool) -> None:
    with pytest.raises(JournalError, match=r"begin a run with fleet\.run"):
        (MemoryJournal() if in_memory else SqliteJournal(path)).open(None, check=_anything)
    assert not path.exists()


@pytest.mark.parametrize("in_memory", [False, True])
def test_the_journal_of_another_plan_is_refused(path: Path, in_memory: bool) -> None:
    journal = MemoryJournal() if in_memory else SqliteJournal(path)
    journal.open(_plan(), check=_anything)
    journal.close()
    before = b"" if in_memory else path.read_bytes()

    with pytest.raises(JournalError, match="of another plan"):
        journal.open(_plan(), check=_anything)

    assert (b"" if in_memory else path.read_bytes()) == before


@pytest.mark.parametrize(
    ("host", "organization", "problem"),
    [
        ("launch-api.example", "blt0123456789abcdef", "was made for launch-api.example"),
        ("127.0.0.1:1", "blt0123456789abcdef", "made for organization blt0123456789abcdef, this client is of bltfe"),
    ],
)
async def test_a_journal_of_another_host_or_organization_is_refused_and_left_as_it_is(
    path: Path, host: str, organization: str, problem: str
) -> None:
    with SqliteJournal(path) as journal:
        journal.open(_plan(host=host, organization=organization), check=_anything)
    before = path.read_bytes()

    async with LaunchClient(base_url="http://127.0.0.1:1", organization_uid="bltfedcba9876543210") as client:
        with pytest.raises(ConfigurationError, match=problem):
            await client.fleet.resume(path)

    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def _changed_with(statement: str) -> Callable[[Path], None]:
    """What makes a journal and changes it behind its back."""

    def make(path: Path) -> None:
        _begun(path)
        _execute(path, statement)

    return make


def _with_an_edited_plan(path: Path) -> None:
    document = json.loads(_begun(path).to_json())
    document["operations"][0]["target"]["environment_uid"] = "f" * 24
    _execute(path, "UPDATE journal SET value = ?", json.dumps(document))


def _execute(path: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(statement, values)


def _garbled(path: Path) -> None:
    _begun(path)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path.write_text("dear diary"), "is not a fleet journal"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: _execute(path, "CREATE TABLE mine (name TEXT)"), "not a fleet journal"),
        (_changed_with("PRAGMA user_version = 2"), "of version 2"),
        (_changed_with("DELETE FROM operation"), "not those of its plan"),
        (_changed_with("UPDATE operation SET state = 'great'"), "damaged"),
        (_with_an_edited_plan, "damaged"),
        (_changed_with("DELETE FROM journal"), "damaged"),
        (_garbled, "damaged"),
        (lambda path: path.mkdir(), "cannot be used"),
    ],
)
def test_what_is_no_usable_journal_is_refused_and_left_as_it_is(path: Path, make, problem: str) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else b""

    for plan in (None, _plan()):
        with pytest.raises(JournalError, match=f"{problem}|another plan"):
            SqliteJournal(path).open(plan, check=_anything)

    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_journal_that_was_cut_at_any_length_is_refused_and_left_as_it_is(path: Path) -> None:
    plan = _begun(path)
    whole = path.read_bytes()
    for length in {*range(200), *range(200, len(whole), 499), len(whole) - 1}:
        path.write_bytes(whole[:length])

        for given in (None, plan):
            with pytest.raises(JournalError):
                SqliteJournal(path).open(given, check=_anything)

        assert path.read_bytes() == whole[:length]


def test_a_journal_that_is_not_open_says_so(path: Path) -> None:
    journal = SqliteJournal(path)

    with pytest.raises(JournalError, match="not open"):
        journal.entries()
    assert repr(journal) == f"SqliteJournal({str(path)!r})"


def test_a_plan_costs_what_it_says() -> None:
    assert _plan(30).cost == Cost(30, 3.0)
    assert "min" in str(attrs.evolve(Cost(6000, 600.0)))
