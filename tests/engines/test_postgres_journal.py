"""A journal in PostgreSQL follows the protocol of journals, and another process can resume the run of a killed one."""

from __future__ import annotations

from pathlib import Path

import pytest
from postgres_journal import PostgresJournal

from launch_async import JournalError, JournalInUse
from launch_async.fleet import Entry, OperationState, Plan
from tests.engines.conftest import ENGINES, TARGETS, Launch, Machines, until

WORKER = """
import sys
from launch_sync.fleet import Plan
from part import run_part
print(run_part(Plan.load(sys.argv[1])).summary)
"""


def allowed(plan: Plan) -> None:
    """Allow every plan."""


@pytest.fixture
def plan(launch: Launch) -> Plan:
    return launch.plan()


def test_a_second_journal_reads_the_entries_of_the_first(postgres_url: str, plan: Plan) -> None:
    entry = Entry(key=plan.operations[7].key, state=OperationState.SENT, deployment_uid="d" * 24, detail={"wave": 1})
    first, second = PostgresJournal(postgres_url, plan.uid), PostgresJournal(postgres_url, plan.uid)
    first.open(plan, check=allowed)
    first.write(entry)
    first.close()

    assert second.open(None, check=allowed) == plan
    assert [one.key for one in second.entries()] == [one.key for one in plan.operations]
    assert second.entries()[7] == entry
    second.close()


def test_a_journal_cannot_be_opened_twice_at_the_same_time(postgres_url: str, plan: Plan) -> None:
    first, second = PostgresJournal(postgres_url, plan.uid), PostgresJournal(postgres_url, plan.uid)
    first.open(plan, check=allowed)
    with pytest.raises(JournalInUse, match="in use by another run"):
        second.open(plan, check=allowed)
    first.close()

    # The server releases the lock when it notices the end of the connection.
    until(lambda: _is_free(second, plan), "the lock is released")


def _is_free(journal: PostgresJournal, plan: Plan) -> bool:
    try:
        assert journal.open(plan, check=allowed) == plan
    except JournalInUse:
        return False
    journal.close()
    return True


def test_a_missing_unreachable_or_other_journal_is_refused_and_not_changed(postgres_url: str, plan: Plan) -> None:
    journal = PostgresJournal(postgres_url, plan.uid)

    def forbidden(plan: Plan) -> None:
        raise PermissionError(plan.uid)

    with pytest.raises(JournalError, match="does not exist"):
        journal.open(None, check=allowed)
    with pytest.raises(PermissionError):
        journal.open(plan, check=forbidden)
    with pytest.raises(JournalError, match="does not exist"):
        journal.open(None, check=allowed)
    journal.open(plan, check=allowed)
    journal.close()
    with pytest.raises(JournalError, match="belongs to another plan"):
        journal.open(plan.split(1)[0], check=allowed)
    with pytest.raises(JournalError, match="not open"):
        journal.entries()
    with pytest.raises(JournalError, match="cannot be used"):
        PostgresJournal(postgres_url.replace("host=", "host=/nowhere"), "x").open(plan, check=allowed)


def test_another_machine_finishes_the_run_of_a_killed_one(
    postgres_url: str, redis_url: str, launch: Launch, plan: Plan, tmp_path: Path
) -> None:
    plan.save(tmp_path / "plan.json")
    settings = {"REDIS_URL": redis_url, "ROLLOUT_JOURNALS": postgres_url, "PYTHONPATH": str(ENGINES)}
    machines = Machines(tmp_path, {**launch.environment, **settings})
    first = machines.start("first", "-c", WORKER, "plan.json")
    until(lambda: len(launch.deployed()) >= TARGETS // 2 or first.poll() is not None, "half is done")
    assert first.poll() is None, machines.log()
    machines.kill(first)
    half = launch.deployed()
    second = machines.start("second", "-c", WORKER, "plan.json")

    assert second.wait() == 0, machines.log()
    assert f"{TARGETS} succeeded" in (tmp_path / "second.log").read_text()
    assert TARGETS // 2 <= len(half) < TARGETS
    assert launch.deployed() == sorted(one.target.environment_uid for one in plan.operations)
