"""Only one run at a time uses a journal. A file that is no journal is refused and stays unchanged."""

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


def _accept_any_plan(_: Plan) -> None: ...


def _plan(count: int = 3, host: str = "launch-api.example", organization: str | None = None) -> Plan:
    targets = [Target(project_uid="a" * 24, environment_uid=f"{number:024x}") for number in range(count)]
    action = Redeploy(source=PlannedSource(kind="latest_commit"))
    now = datetime.now(UTC)
    return Plan.make(action, targets, host=host, organization_uid=organization, rate=10.0, created_at=now)


def _begun(path: Path) -> Plan:
    plan, journal = _plan(), FileJournal(path)
    journal.open(plan, check=_accept_any_plan)
    journal.close()
    return plan


_ENTRIES: Final = [
    Entry(key="0", state=OperationState.INTENDED, intended_at=datetime.now(UTC), attempts=1),
    Entry(key="0", state=OperationState.SENT, deployment_uid="d" * 24, detail={"message": "é \ud800 \u2028\n" * 9}),
    Entry(key="1", state=OperationState.INTENDED, detail={"message": "x" * 200}),
    Entry(key="0", state=OperationState.SUCCEEDED),
]


def _for_plan(plan: Plan, entry: Entry) -> Entry:
    return attrs.evolve(entry, key=plan.operations[int(entry.key)].key)


def _journal_with_steps(path: Path) -> tuple[Plan, list[list[Entry]]]:
    """Make a journal with some steps, and return its entries after each step."""
    plan = _plan()
    with FileJournal(path) as journal:
        journal.open(plan, check=_accept_any_plan)
        steps = [list(journal.entries())]
        for entry in _ENTRIES:
            journal.write(_for_plan(plan, entry))
            steps.append(list(journal.entries()))
    return plan, steps


def _entries_of(path: Path) -> list[Entry]:
    with FileJournal(path) as journal:
        journal.open(None, check=_accept_any_plan)
        return list(journal.entries())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.journal"


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_journal_returns_the_entries_that_were_written(path: Path, in_memory: bool) -> None:
    journal = MemoryJournal() if in_memory else FileJournal(path)
    plan = _plan()
    journal.open(plan, check=_accept_any_plan)
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

    assert journal.open(None, check=_accept_any_plan) == plan
    assert list(journal.entries()) == [Entry(key=plan.operations[0].key), entry, Entry(key=plan.operations[2].key)]
    journal.close()


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory", "a b#c?d%41.journal"])
def test_a_file_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)

    plan = _begun(Path(name))

    with FileJournal(tmp_path / name) as journal:
        assert journal.open(None, check=_accept_any_plan) == plan


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_second_run_with_the_same_journal_is_refused(path: Path, in_memory: bool) -> None:
    first = MemoryJournal() if in_memory else FileJournal(path)
    second = first if in_memory else FileJournal(path)
    plan = _plan()
    first.open(plan, check=_accept_any_plan)

    with pytest.raises(JournalInUse, match="in use by another run"):
        second.open(plan, check=_accept_any_plan)

    first.write(Entry(key=plan.operations[0].key, state=OperationState.SUCCEEDED))
    first.close()
    second.open(plan, check=_accept_any_plan)
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
        journal.open(plan, check=_accept_any_plan)
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


def test_a_journal_is_made_if_the_file_system_has_no_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)

    plan = _begun(path)

    with FileJournal(path) as journal:
        assert journal.open(None, check=_accept_any_plan) == plan


def test_a_journal_in_a_folder_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be created"):
        FileJournal(path.parent / "missing" / "run.journal").open(_plan(), check=_accept_any_plan)


@pytest.mark.parametrize("in_memory", [False, True])
def test_there_is_nothing_to_resume_without_a_journal(path: Path, in_memory: bool) -> None:
    with pytest.raises(JournalError, match=r"launch\.fleet\.run\(plan, journal=\.\.\.\)"):
        (MemoryJournal() if in_memory else FileJournal(path)).open(None, check=_accept_any_plan)
    assert not path.exists()


@pytest.mark.parametrize("in_memory", [False, True])
def test_the_journal_of_another_plan_is_refused(path: Path, in_memory: bool) -> None:
    journal = MemoryJournal() if in_memory else FileJournal(path)
    journal.open(_plan(), check=_accept_any_plan)
    journal.close()
    before = b"" if in_memory else path.read_bytes()

    with pytest.raises(JournalError, match="belongs to another plan"):
        journal.open(_plan(), check=_accept_any_plan)

    assert (b"" if in_memory else path.read_bytes()) == before


@pytest.mark.parametrize(
    ("host", "organization", "problem"),
    [
        ("launch-api.example", "blt0123456789abcdef", "was made for launch-api.example"),
        ("127.0.0.1:1", "blt0123456789abcdef", "made for organization blt0123456789abcdef, but this client uses bltfe"),
    ],
)
async def test_a_journal_of_another_host_or_organization_is_refused_and_stays_unchanged(
    path: Path, host: str, organization: str, problem: str
) -> None:
    with FileJournal(path) as journal:
        journal.open(_plan(host=host, organization=organization), check=_accept_any_plan)
    before = path.read_bytes()

    async with LaunchClient(base_url="http://127.0.0.1:1", organization_uid="bltfedcba9876543210") as client:
        with pytest.raises(ConfigurationError, match=problem):
            await client.fleet.resume(path)

    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def _lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def _rewritten(number: int, change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Return a function that makes a journal and changes one of its records, with matching checksums."""

    def make(path: Path) -> None:
        _journal_with_steps(path)
        records = [json.loads(line)[1] for line in _lines_of(path)]
        change(records[number])
        log, content = Log(), b""
        for record in records:
            content += log.line(record)
            log.add(log.line(record))
        path.write_bytes(content)

    return make


def _edited(path: Path) -> None:
    _journal_with_steps(path)
    path.write_bytes(path.read_bytes().replace(b'"environment_name": ""', b'"environment_name": "x"', 1))


def _without_a_line(path: Path) -> None:
    _journal_with_steps(path)
    first, _, *rest = _lines_of(path)
    path.write_bytes(b"".join([first, *rest]))


def _with_two_lines_swapped(path: Path) -> None:
    _journal_with_steps(path)
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
        (_edited, "is damaged: line 1 does not match its checksum"),
        (_without_a_line, "is damaged: line 2 does not match its checksum"),
        (_with_two_lines_swapped, "is damaged: line 2 does not match its checksum"),
        (lambda path: path.mkdir(), "cannot be used: Is a directory. Use a file"),
    ],
)
def test_an_unusable_journal_is_refused_and_stays_unchanged(path: Path, make, problem: str) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else b""

    for plan in (None, _plan()):
        with pytest.raises(JournalError, match=problem):
            FileJournal(path).open(plan, check=_accept_any_plan)

    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_changed_bit_anywhere_is_noticed_and_the_file_stays_unchanged(path: Path) -> None:
    _journal_with_steps(path)
    whole = path.read_bytes()
    for position in (*range(0, len(whole) - 1, 7), len(whole) - 2):
        changed = bytearray(whole)
        changed[position] ^= 1
        path.write_bytes(changed)

        with pytest.raises(JournalError):
            FileJournal(path).open(None, check=_accept_any_plan)

        assert path.read_bytes() == changed


def test_a_file_cut_at_any_byte_is_a_journal_up_to_its_last_whole_line(path: Path) -> None:
    """A kill, a full disk or a power failure may end a write at any byte. No earlier entry is lost."""
    plan, steps = _journal_with_steps(path)
    whole, ends = path.read_bytes(), []
    for line in _lines_of(path):
        ends.append(len(line) + (ends[-1] if ends else 0))
    for length in {*range(ends[0], len(whole), 11), *(end + more for end in ends[1:] for more in (-2, -1, 0))}:
        path.write_bytes(whole[:length])

        assert _entries_of(path) == steps[max(0, sum(length >= end for end in ends) - 2)]
        with FileJournal(path) as journal:
            journal.open(plan, check=_accept_any_plan)
            journal.write(Entry(key=plan.operations[2].key, state=OperationState.SKIPPED))
        assert _entries_of(path)[2].state is OperationState.SKIPPED
        assert path.read_bytes().endswith(b"\n")


def test_a_file_without_a_whole_plan_is_refused_and_stays_unchanged(path: Path) -> None:
    plan, _ = _journal_with_steps(path)
    first, *_ = _lines_of(path)
    for length in {*range(30), *range(30, len(first), 23), len(first) - 1}:
        path.write_bytes(first[:length])

        for given in (None, plan):
            with pytest.raises(JournalError, match=r"is empty|is truncated"):
                FileJournal(path).open(given, check=_accept_any_plan)

        assert path.read_bytes() == first[:length]


def _written(journal: FileJournal, entries: list[Entry]) -> int:
    """Write entries until the disk is full, and return how many were written."""
    for number, entry in enumerate(entries):
        try:
            journal.write(entry)
        except JournalError:
            return number
    return len(entries)


def test_a_disk_that_is_full_at_any_byte_keeps_all_earlier_entries(tmp_path: Path) -> None:
    plan, steps = _journal_with_steps(tmp_path / "whole")
    first, opened, *_ = _lines_of(tmp_path / "whole")
    smallest, largest = len(first + opened), (tmp_path / "whole").stat().st_size
    for size in range(smallest, largest, 23):
        path = tmp_path / str(size)
        with FileJournal(path) as journal:
            journal.open(plan, check=_accept_any_plan)
            with room_for(size):
                written = _written(journal, [_for_plan(plan, entry) for entry in _ENTRIES])
                assert list(journal.entries()) == steps[written]
                # When a run ends, it writes its last entries. This must not damage the earlier entries.
                assert _written(journal, [_for_plan(plan, entry) for entry in _ENTRIES[written:]]) == 0

        assert _entries_of(path) == steps[written]


def test_a_disk_without_room_for_a_plan_leaves_no_file(path: Path) -> None:
    plan = _plan()
    with room_for(100), pytest.raises(JournalError, match="cannot be created"):
        FileJournal(path).open(plan, check=_accept_any_plan)

    assert list(path.parent.iterdir()) == []


def test_an_entry_that_could_not_be_synced_to_disk_is_not_in_the_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _begun(path)

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with FileJournal(path) as journal:
        journal.open(plan, check=_accept_any_plan)
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", refuse)
            with pytest.raises(JournalError, match="Input/output error"):
                journal.write(_for_plan(plan, _ENTRIES[0]))
        assert list(journal.entries()) == [Entry(key=one.key) for one in plan.operations]
        journal.write(_for_plan(plan, _ENTRIES[1]))

    assert _entries_of(path)[0].state is _ENTRIES[1].state


@pytest.mark.parametrize("way", ["copy", "rename", "link", "symlink"])
def test_one_file_is_the_whole_journal(path: Path, tmp_path: Path, way: str) -> None:
    _, steps = _journal_with_steps(path)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    other = folder / "other name"
    {"copy": shutil.copy, "rename": os.rename, "link": os.link, "symlink": os.symlink}[way](path, other)

    assert _entries_of(other) == steps[-1]


def _missing_since(path: Path) -> datetime | None:
    with FileJournal(path) as journal:
        journal.open(None, check=_accept_any_plan)
        return journal.missing_since


def test_the_file_that_a_run_wrote_is_recognized(path: Path) -> None:
    plan = _plan()
    with FileJournal(path) as journal:
        journal.open(plan, check=_accept_any_plan)
        assert journal.missing_since is None
    for entry in _ENTRIES:
        with FileJournal(path) as journal:
            journal.open(plan, check=_accept_any_plan)
            journal.write(_for_plan(plan, entry))

    assert _missing_since(path) is None


def test_a_copy_may_lack_later_steps_of_its_run_and_stays_a_copy(path: Path, tmp_path: Path) -> None:
    plan, _ = _journal_with_steps(path)
    shutil.copy2(path, tmp_path / "copy")

    for _ in range(2):
        assert _missing_since(tmp_path / "copy") == plan.created_at - timedelta(minutes=5)
    with FileJournal(tmp_path / "copy") as journal:
        journal.open(plan, check=_accept_any_plan)
        journal.write(attrs.evolve(_for_plan(plan, _ENTRIES[3]), ended_at=datetime.now(UTC)))
    assert _missing_since(tmp_path / "copy") == plan.created_at - timedelta(minutes=5)
    assert _missing_since(path) is None


def test_a_copy_without_entries_may_be_as_old_as_its_plan(path: Path, tmp_path: Path) -> None:
    plan = _begun(path)
    shutil.copy(path, tmp_path / "copy")

    assert _missing_since(tmp_path / "copy") == plan.created_at - timedelta(minutes=5)


def test_a_copy_is_not_dated_by_the_clock_of_this_machine(path: Path, tmp_path: Path) -> None:
    plan = attrs.evolve(_plan(), is_service_time=False)
    with FileJournal(path) as journal:
        journal.open(plan, check=_accept_any_plan)
        journal.write(attrs.evolve(_for_plan(plan, _ENTRIES[0]), detail={"service_time": None}))
    shutil.copy(path, tmp_path / "copy")

    assert _missing_since(tmp_path / "copy") == EARLIEST


def test_the_date_of_the_service_dates_a_copy_without_creations(path: Path, tmp_path: Path) -> None:
    plan = attrs.evolve(_plan(), is_service_time=False)
    with FileJournal(path) as journal:
        journal.open(plan, check=_accept_any_plan)
        journal.write(attrs.evolve(_for_plan(plan, _ENTRIES[0]), detail={"service_time": "2026-01-01T00:10:00+00:00"}))
    shutil.copy(path, tmp_path / "copy")

    assert _missing_since(tmp_path / "copy") == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def test_the_last_creation_dates_a_copy(path: Path, tmp_path: Path) -> None:
    plan = _begun(path)
    with FileJournal(path) as journal:
        journal.open(plan, check=_accept_any_plan)
        for second in (2, 3, 1):
            detail = {"created_at": f"2026-01-01T00:00:0{second}+00:00"}
            journal.write(Entry(key=plan.operations[second - 1].key, state=OperationState.SENT, detail=detail))
    shutil.copy(path, tmp_path / "copy")

    assert _missing_since(tmp_path / "copy") == datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC)


def test_older_content_in_the_same_file_may_lack_later_steps_of_its_run(path: Path) -> None:
    plan = _begun(path)
    older = path.read_bytes()
    with FileJournal(path) as journal:
        journal.open(plan, check=_accept_any_plan)
        journal.write(_for_plan(plan, _ENTRIES[0]))
    path.write_bytes(older)

    assert _missing_since(path) is not None


def test_older_content_with_its_old_file_time_may_lack_later_steps_of_its_run(path: Path, tmp_path: Path) -> None:
    plan = _begun(path)
    shutil.copy2(path, tmp_path / "copy")
    with FileJournal(path) as journal:
        journal.open(plan, check=_accept_any_plan)
        for _ in range(100):
            journal.write(_for_plan(plan, _ENTRIES[1]))
    time.sleep(0.06)  # Otherwise the older content is as new as the change that puts it back.
    shutil.copy2(tmp_path / "copy", path)

    assert _missing_since(path) is not None


def test_after_a_restart_of_the_machine_a_file_may_lack_later_steps_of_its_run(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _begun(path)
    boot = tmp_path / "boot_id"
    boot.write_text("another")
    monkeypatch.setattr("launch_async.fleet.journal.origin._BOOT_ID", boot)
    assert _missing_since(path) is not None

    boot.unlink()
    assert _missing_since(path) is not None


@pytest.mark.parametrize("way", ["link", "symlink"])
def test_two_names_of_one_file_are_one_journal(path: Path, tmp_path: Path, way: str) -> None:
    plan = _begun(path)
    other = tmp_path / "other name"
    {"link": os.link, "symlink": os.symlink}[way](path, other)
    with FileJournal(path) as journal:
        journal.open(plan, check=_accept_any_plan)

        with pytest.raises(JournalInUse):
            FileJournal(other).open(plan, check=_accept_any_plan)


def test_a_broken_link_is_refused_and_stays_unchanged(path: Path) -> None:
    path.symlink_to("gone.journal")

    for plan in (None, _plan()):
        with pytest.raises(JournalError, match=r"is a link to gone\.journal, which does not exist"):
            FileJournal(path).open(plan, check=_accept_any_plan)

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
    """Return the output of another process, of a user without special rights, that opens a journal."""
    return subprocess.run([sys.executable, "-c", _OPEN, str(path)], capture_output=True, text=True, check=True).stdout


def test_a_read_only_journal_is_refused_with_advice(tmp_path: Path) -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "run.journal")
        _begun(path)
        path.chmod(0o444)

        output = _opened_elsewhere(path)

    assert output.startswith("JournalError")
    assert "cannot be used: Permission denied. Make the file writable, or copy it" in output


_WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = None
from launch_async.fleet import FileJournal
with FileJournal(sys.argv[1]) as journal:
    print(len(journal.open(None, check=lambda _: None).operations))
"""


def test_a_platform_without_file_locks_causes_a_warning(path: Path) -> None:
    _begun(path)

    program = subprocess.run(
        [sys.executable, "-c", _WITHOUT_FCNTL, str(path)], capture_output=True, text=True, check=True
    )

    assert int(program.stdout) > 0
    assert "This platform has no file locks, so a second run could use the journal" in program.stderr


def test_a_process_that_opens_its_journal_again_keeps_the_lock(path: Path) -> None:
    """Any `close` of a descriptor of the file would release a lock by `fcntl`. The lock of the journal stays."""
    plan = _begun(path)
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "run.journal")
        _begun(path)
        path.chmod(0o666)
        with FileJournal(path) as journal:
            plan = journal.open(None, check=_accept_any_plan)
            path.read_bytes()
            with pytest.raises(JournalInUse):
                FileJournal(path).open(None, check=_accept_any_plan)
            with path.open("r+b") as file:
                file.read(10)

            assert _opened_elsewhere(path).startswith("JournalInUse")

            journal.write(_for_plan(plan, _ENTRIES[0]))
        assert _opened_elsewhere(path) == ""


def test_a_journal_that_is_not_open_raises_an_error(path: Path) -> None:
    journal = FileJournal(path)

    with pytest.raises(JournalError, match="not open"):
        journal.entries()
    assert repr(journal) == f"FileJournal({str(path)!r})"


def test_a_cost_is_shown_in_seconds_or_minutes() -> None:
    assert str(Cost(30, 3.0)) == "30 requests (3 s at the rate limit)"
    assert "min" in str(attrs.evolve(Cost(6000, 600.0)))
