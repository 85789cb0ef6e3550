"""A journal is taken by one run at a time, and what is none of ours is refused and left as it is."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import attrs
import pytest

from launch_async import ConfigurationError, JournalError, JournalInUse, LaunchClient
from launch_async._checked_lines import Log
from launch_async.fleet import (
    Cost,
    Entry,
    MemoryJournal,
    OperationState,
    Plan,
    PlannedSource,
    Redeploy,
    Target,
)
from launch_async.fleet.journal.file import EARLIEST, FileJournal
from tests.fleet.conftest import room_for


def _anything(_: Plan) -> None: ...


def _plan(count: int = 3, host: str = "launch-api.example", organization: str | None = None) -> Plan:
    targets = [Target(project_uid="a" * 24, environment_uid=f"{number:024x}") for number in range(count)]
    action = Redeploy(source=PlannedSource(kind="latest_commit"))
    now = datetime.now(UTC)
    return Plan.make(action, targets, host=host, organization_uid=organization, rate=10.0, created_at=now)


def _begun(path: Path) -> Plan:
    plan, journal = _plan(), FileJournal(path)
    journal.open(plan, check=_anything)
    journal.close()
    return plan


_ENTRIES: Final = [
    Entry(key="0", state=OperationState.INTENDED, intended_at=datetime.now(UTC), attempts=1),
    Entry(key="0", state=OperationState.SENT, deployment_uid="d" * 24, detail={"message": "é \ud800 \u2028\n" * 9}),
    Entry(key="1", state=OperationState.INTENDED, detail={"message": "x" * 200}),
    Entry(key="0", state=OperationState.SUCCEEDED),
]


def _of(plan: Plan, entry: Entry) -> Entry:
    return attrs.evolve(entry, key=plan.operations[int(entry.key)].key)


def _worked_on(path: Path) -> tuple[Plan, list[list[Entry]]]:
    """Make a journal with some steps, and return what it tells after each."""
    plan = _plan()
    with FileJournal(path) as journal:
        journal.open(plan, check=_anything)
        steps = [list(journal.entries())]
        for entry in _ENTRIES:
            journal.write(_of(plan, entry))
            steps.append(list(journal.entries()))
    return plan, steps


def _kept(path: Path) -> list[Entry]:
    with FileJournal(path) as journal:
        journal.open(None, check=_anything)
        return list(journal.entries())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.journal"


@pytest.mark.parametrize("in_memory", [False, True])
def test_what_was_written_is_there_again(path: Path, in_memory: bool) -> None:
    journal = MemoryJournal() if in_memory else FileJournal(path)
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

    with FileJournal(tmp_path / name) as journal:
        assert journal.open(None, check=_anything) == plan


@pytest.mark.parametrize("in_memory", [False, True])
def test_two_runs_at_once_are_refused(path: Path, in_memory: bool) -> None:
    first = MemoryJournal() if in_memory else FileJournal(path)
    second = first if in_memory else FileJournal(path)
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
from launch_async.fleet import FileJournal
try:
    FileJournal(Path({str(path)!r})).open(None, check=lambda _: None)
except JournalError as error:
    raise SystemExit(3 if "in use by another run" in str(error) else 1)
"""
    with FileJournal(path) as journal:
        journal.open(plan, check=_anything)
        other = subprocess.run([sys.executable, "-c", code])
        journal.write(Entry(key=plan.operations[0].key, state=OperationState.SUCCEEDED))

    assert other.returncode == 3


def test_a_file_that_appears_while_a_run_begins_is_not_overwritten(path: Path) -> None:
    def appear(_: Plan) -> None:
        path.write_bytes(b"somebody else's")

    with pytest.raises(JournalInUse, match="in use"):
        FileJournal(path).open(_plan(), check=appear)

    assert path.read_bytes() == b"somebody else's"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_journal_where_files_cannot_be_linked_is_made_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)

    plan = _begun(path)

    with FileJournal(path) as journal:
        assert journal.open(None, check=_anything) == plan


def test_a_journal_in_a_folder_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be created"):
        FileJournal(path.parent / "missing" / "run.journal").open(_plan(), check=_anything)


@pytest.mark.parametrize("in_memory", [False, True])
def test_there_is_nothing_to_resume_without_a_journal(path: Path, in_memory: bool) -> None:
    with pytest.raises(JournalError, match=r"Start a run with fleet\.run"):
        (MemoryJournal() if in_memory else FileJournal(path)).open(None, check=_anything)
    assert not path.exists()


@pytest.mark.parametrize("in_memory", [False, True])
def test_the_journal_of_another_plan_is_refused(path: Path, in_memory: bool) -> None:
    journal = MemoryJournal() if in_memory else FileJournal(path)
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
        ("127.0.0.1:1", "blt0123456789abcdef", "made for organization blt0123456789abcdef, but this client uses bltfe"),
    ],
)
async def test_a_journal_of_another_host_or_organization_is_refused_and_left_as_it_is(
    path: Path, host: str, organization: str, problem: str
) -> None:
    with FileJournal(path) as journal:
        journal.open(_plan(host=host, organization=organization), check=_anything)
    before = path.read_bytes()

    async with LaunchClient(base_url="http://127.0.0.1:1", organization_uid="bltfedcba9876543210") as client:
        with pytest.raises(ConfigurationError, match=problem):
            await client.fleet.resume(path)

    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def _lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def _rewritten(number: int, change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """What makes a journal and writes one of its records anew, with checksums that fit."""

    def make(path: Path) -> None:
        _worked_on(path)
        records = [json.loads(line)[1] for line in _lines_of(path)]
        change(records[number])
        log, content = Log(), b""
        for record in records:
            content += log.line(record)
            log.add(log.line(record))
        path.write_bytes(content)

    return make


def _edited(path: Path) -> None:
    _worked_on(path)
    path.write_bytes(path.read_bytes().replace(b'"environment_name": ""', b'"environment_name": "x"', 1))


def _without_a_line(path: Path) -> None:
    _worked_on(path)
    first, _, *rest = _lines_of(path)
    path.write_bytes(b"".join([first, *rest]))


def _with_two_lines_swapped(path: Path) -> None:
    _worked_on(path)
    first, second, third, *rest = _lines_of(path)
    path.write_bytes(b"".join([first, third, second, *rest]))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path.write_text("dear diary"), "is not a fleet journal"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"SQLite format 3\x00"), "is not a fleet journal"),
        (lambda path: path.write_bytes(b"\x00" * 5000), "is not a fleet journal"),
        (_rewritten(0, lambda record: record.update(version=2)), "of version 2"),
        (_rewritten(0, lambda record: record.update(plan={})), "is damaged"),
        (_rewritten(0, lambda record: record["plan"]["operations"].pop(0)), "its plan has no operation"),
        (_rewritten(2, lambda record: record["entry"].update(state="great")), "is damaged: 'great'"),
        (_rewritten(2, lambda record: record.clear()), "is damaged"),
        (_edited, "is damaged: line 1 is not as it was written"),
        (_without_a_line, "is damaged: line 2 is not as it was written"),
        (_with_two_lines_swapped, "is damaged: line 2 is not as it was written"),
        (lambda path: path.mkdir(), "cannot be used: Is a directory. Use a file"),
    ],
)
def test_what_is_no_usable_journal_is_refused_and_left_as_it_is(path: Path, make, problem: str) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else b""

    for plan in (None, _plan()):
        with pytest.raises(JournalError, match=problem):
            FileJournal(path).open(plan, check=_anything)

    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_changed_bit_anywhere_is_noticed_and_left_as_it_is(path: Path) -> None:
    _worked_on(path)
    whole = path.read_bytes()
    for position in (*range(0, len(whole) - 1, 7), len(whole) - 2):
        changed = bytearray(whole)
        changed[position] ^= 1
        path.write_bytes(changed)

        with pytest.raises(JournalError):
            FileJournal(path).open(None, check=_anything)

        assert path.read_bytes() == changed


def test_a_file_that_ends_anywhere_is_a_journal_up_to_its_last_whole_line(path: Path) -> None:
    """A kill, a full disk or a loss of power may end a write at any byte: that is no damage, and nothing is lost."""
    plan, steps = _worked_on(path)
    whole, ends = path.read_bytes(), []
    for line in _lines_of(path):
        ends.append(len(line) + (ends[-1] if ends else 0))
    for length in {*range(ends[0], len(whole), 11), *(end + more for end in ends[1:] for more in (-2, -1, 0))}:
        path.write_bytes(whole[:length])

        assert _kept(path) == steps[max(0, sum(length >= end for end in ends) - 2)]
        with FileJournal(path) as journal:
            journal.open(plan, check=_anything)
            journal.write(Entry(key=plan.operations[2].key, state=OperationState.SKIPPED))
        assert _kept(path)[2].state is OperationState.SKIPPED
        assert path.read_bytes().endswith(b"\n")


def test_a_file_without_a_whole_plan_is_refused_and_left_as_it_is(path: Path) -> None:
    plan, _ = _worked_on(path)
    first, *_ = _lines_of(path)
    for length in {*range(30), *range(30, len(first), 23), len(first) - 1}:
        path.write_bytes(first[:length])

        for given in (None, plan):
            with pytest.raises(JournalError, match=r"is empty|is truncated"):
                FileJournal(path).open(given, check=_anything)

        assert path.read_bytes() == first[:length]


def _written(journal: FileJournal, entries: list[Entry]) -> int:
    """Write entries until the disk is full, and return how many were written."""
    for number, entry in enumerate(entries):
        try:
            journal.write(entry)
        except JournalError:
            return number
    return len(entries)


def test_a_disk_that_is_full_at_any_byte_leaves_all_that_was_written_before(tmp_path: Path) -> None:
    plan, steps = _worked_on(tmp_path / "whole")
    first, opened, *_ = _lines_of(tmp_path / "whole")
    smallest, largest = len(first + opened), (tmp_path / "whole").stat().st_size
    for size in range(smallest, largest, 23):
        path = tmp_path / str(size)
        with FileJournal(path) as journal:
            journal.open(plan, check=_anything)
            with room_for(size):
                told = _written(journal, [_of(plan, entry) for entry in _ENTRIES])
                assert list(journal.entries()) == steps[told]
                # A run that ends writes down what it can: that, too, must not harm what is there.
                assert _written(journal, [_of(plan, entry) for entry in _ENTRIES[told:]]) == 0

        assert _kept(path) == steps[told]


def test_a_disk_without_room_for_a_plan_leaves_no_file(path: Path) -> None:
    plan = _plan()
    with room_for(100), pytest.raises(JournalError, match="cannot be created"):
        FileJournal(path).open(plan, check=_anything)

    assert list(path.parent.iterdir()) == []


def test_what_could_not_be_made_durable_was_not_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _begun(path)

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with FileJournal(path) as journal:
        journal.open(plan, check=_anything)
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", refuse)
            with pytest.raises(JournalError, match="Input/output error"):
                journal.write(_of(plan, _ENTRIES[0]))
        assert list(journal.entries()) == [Entry(key=one.key) for one in plan.operations]
        journal.write(_of(plan, _ENTRIES[1]))

    assert _kept(path)[0].state is _ENTRIES[1].state


@pytest.mark.parametrize("way", ["copy", "rename", "link", "symlink"])
def test_one_file_is_the_whole_journal(path: Path, tmp_path: Path, way: str) -> None:
    _, steps = _worked_on(path)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    other = folder / "other name"
    {"copy": shutil.copy, "rename": os.rename, "link": os.link, "symlink": os.symlink}[way](path, other)

    assert _kept(other) == steps[-1]


def _missing_since(path: Path) -> datetime | None:
    with FileJournal(path) as journal:
        journal.open(None, check=_anything)
        return journal.missing_since


def test_the_file_that_a_run_wrote_is_known_again(path: Path) -> None:
    plan = _plan()
    with FileJournal(path) as journal:
        journal.open(plan, check=_anything)
        assert journal.missing_since is None
    for entry in _ENTRIES:
        with FileJournal(path) as journal:
            journal.open(plan, check=_anything)
            journal.write(_of(plan, entry))

    assert _missing_since(path) is None


def test_a_copy_may_be_older_than_what_its_run_did_and_stays_one(path: Path, tmp_path: Path) -> None:
    plan, _ = _worked_on(path)
    shutil.copy2(path, tmp_path / "copy")

    for _ in range(2):
        assert _missing_since(tmp_path / "copy") == plan.created_at - timedelta(minutes=5)
    with FileJournal(tmp_path / "copy") as journal:
        journal.open(plan, check=_anything)
        journal.write(attrs.evolve(_of(plan, _ENTRIES[3]), ended_at=datetime.now(UTC)))
    assert _missing_since(tmp_path / "copy") == plan.created_at - timedelta(minutes=5)
    assert _missing_since(path) is None


def test_a_copy_that_tells_of_nothing_may_be_as_old_as_its_plan(path: Path, tmp_path: Path) -> None:
    plan = _begun(path)
    shutil.copy(path, tmp_path / "copy")

    assert _missing_since(tmp_path / "copy") == plan.created_at - timedelta(minutes=5)


def test_a_copy_is_not_dated_by_the_clock_of_this_machine(path: Path, tmp_path: Path) -> None:
    plan = attrs.evolve(_plan(), is_service_time=False)
    with FileJournal(path) as journal:
        journal.open(plan, check=_anything)
        journal.write(attrs.evolve(_of(plan, _ENTRIES[0]), detail={"service_time": None}))
    shutil.copy(path, tmp_path / "copy")

    assert _missing_since(tmp_path / "copy") == EARLIEST


def test_a_copy_is_dated_by_the_service_where_nothing_was_created(path: Path, tmp_path: Path) -> None:
    plan = attrs.evolve(_plan(), is_service_time=False)
    with FileJournal(path) as journal:
        journal.open(plan, check=_anything)
        journal.write(attrs.evolve(_of(plan, _ENTRIES[0]), detail={"service_time": "2026-01-01T00:10:00+00:00"}))
    shutil.copy(path, tmp_path / "copy")

    assert _missing_since(tmp_path / "copy") == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def test_what_was_created_tells_best_when_a_copy_was_made(path: Path, tmp_path: Path) -> None:
    plan = _begun(path)
    with FileJournal(path) as journal:
        journal.open(plan, check=_anything)
        for second in (2, 3, 1):
            detail = {"created_at": f"2026-01-01T00:00:0{second}+00:00"}
            journal.write(Entry(key=plan.operations[second - 1].key, state=OperationState.SENT, detail=detail))
    shutil.copy(path, tmp_path / "copy")

    assert _missing_since(tmp_path / "copy") == datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC)


def test_older_content_in_the_same_file_may_be_older_than_what_its_run_did(path: Path) -> None:
    plan = _begun(path)
    older = path.read_bytes()
    with FileJournal(path) as journal:
        journal.open(plan, check=_anything)
        journal.write(_of(plan, _ENTRIES[0]))
    path.write_bytes(older)

    assert _missing_since(path) is not None


def test_older_content_that_was_put_back_with_its_time_may_be_older_than_what_its_run_did(
    path: Path, tmp_path: Path
) -> None:
    plan = _begun(path)
    shutil.copy2(path, tmp_path / "copy")
    with FileJournal(path) as journal:
        journal.open(plan, check=_anything)
        for _ in range(100):
            journal.write(_of(plan, _ENTRIES[1]))
    time.sleep(0.06)  # else the older content is as young as the change that puts it back
    shutil.copy2(tmp_path / "copy", path)

    assert _missing_since(path) is not None


def test_a_file_may_be_older_than_what_its_run_did_once_the_machine_was_started_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _begun(path)
    boot = tmp_path / "boot_id"
    boot.write_text("another")
    monkeypatch.setattr("launch_async.fleet.journal.origin._BOOT", boot)
    assert _missing_since(path) is not None

    boot.unlink()
    assert _missing_since(path) is not None


@pytest.mark.parametrize("way", ["link", "symlink"])
def test_a_second_name_of_a_journal_is_no_second_journal(path: Path, tmp_path: Path, way: str) -> None:
    plan = _begun(path)
    other = tmp_path / "other name"
    {"link": os.link, "symlink": os.symlink}[way](path, other)
    with FileJournal(path) as journal:
        journal.open(plan, check=_anything)

        with pytest.raises(JournalInUse):
            FileJournal(other).open(plan, check=_anything)


def test_a_link_that_leads_nowhere_says_so_and_is_left_as_it_is(path: Path) -> None:
    path.symlink_to("gone.journal")

    for plan in (None, _plan()):
        with pytest.raises(JournalError, match=r"is a link to gone\.journal, which does not exist"):
            FileJournal(path).open(plan, check=_anything)

    assert path.is_symlink()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


_OPEN = """
import fcntl, os, sys
from pathlib import Path
from launch_async import JournalError
from launch_async.fleet.journal.file import FileJournal
if os.getuid() == 0:
    os.setuid(65534)
try:
    FileJournal(Path(sys.argv[1])).open(None, check=lambda _: None)
except JournalError as error:
    print(type(error).__name__, error)
"""


def _opened_elsewhere(path: Path) -> str:
    """What another process, of a user without special rights, is told when it opens a journal."""
    return subprocess.run([sys.executable, "-c", _OPEN, str(path)], capture_output=True, text=True, check=True).stdout


def test_a_journal_that_may_only_be_read_says_what_helps(tmp_path: Path) -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "run.journal")
        _begun(path)
        path.chmod(0o444)

        told = _opened_elsewhere(path)

    assert told.startswith("JournalError")
    assert "cannot be used: Permission denied. Make the file writable, or copy it" in told


_WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = None
from launch_async.fleet import FileJournal
with FileJournal(sys.argv[1]) as journal:
    print(len(journal.open(None, check=lambda _: None).operations))
"""


def test_where_there_are_no_locks_a_warning_says_so(path: Path) -> None:
    _begun(path)

    told = subprocess.run([sys.executable, "-c", _WITHOUT_FCNTL, str(path)], capture_output=True, text=True, check=True)

    assert int(told.stdout) > 0
    assert "This platform has no file locks, so a second run could use the journal" in told.stderr


def test_whatever_a_process_does_with_its_journal_nobody_else_gets_it(path: Path) -> None:
    """A lock by `fcntl` is gone when any descriptor of the file is closed; ours is not."""
    plan = _begun(path)
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "run.journal")
        _begun(path)
        path.chmod(0o666)
        with FileJournal(path) as journal:
            plan = journal.open(None, check=_anything)
            path.read_bytes()
            with pytest.raises(JournalInUse):
                FileJournal(path).open(None, check=_anything)
            with path.open("r+b") as file:
                file.read(10)

            assert _opened_elsewhere(path).startswith("JournalInUse")

            journal.write(_of(plan, _ENTRIES[0]))
        assert _opened_elsewhere(path) == ""


def test_a_journal_that_is_not_open_says_so(path: Path) -> None:
    journal = FileJournal(path)

    with pytest.raises(JournalError, match="not open"):
        journal.entries()
    assert repr(journal) == f"FileJournal({str(path)!r})"


def test_a_cost_is_told_in_seconds_or_minutes() -> None:
    assert str(Cost(30, 3.0)) == "30 requests, 3 s of the budget"
    assert "min" in str(attrs.evolve(Cost(6000, 600.0)))
