"""The fleet of `launch_sync` keeps the same promises, with Ctrl-C and when another thread steers it."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from launch_sync.emulator import LaunchEmulator
from launch_sync.fleet import FleetEvent, FleetEventKind, OperationState
from tests.fleet.conftest import QUICK, uids
from tests.support.clients import plain_client_of

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_that_ctrl_c_interrupted_can_be_resumed(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.fleet.interrupted", str(tmp_path / "run.journal")]

    program = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert program.returncode == 0, program.stderr
    (hint,) = program.stderr.splitlines()
    assert re.match(
        r"The run was interrupted: \d of 12 operations .*, and \d (is|are) in progress. Call launch.fleet.resume\('",
        hint,
    )
    assert hint.endswith("run.journal') to finish the run")


def test_a_second_ctrl_c_gives_up_sent_operations_and_a_resumption_finds_them(tmp_path: Path) -> None:
    journal, saved = tmp_path / "run.journal", tmp_path / "plan.json"
    with (
        LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator,
        plain_client_of(emulator, retry=QUICK) as launch,
    ):
        emulator.add_project("shop", environments=["one", "two", "three"], git=True)
        plan = launch.fleet.plan_redeploy(launch.fleet.select())
        plan.save(saved)
        access = [emulator.url, emulator.authtoken, emulator.organization_uid, str(saved), str(journal)]
        command = [sys.executable, "-W", "error", "-m", "tests.fleet.gave_up", *access]

        program = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

        assert program.returncode == 0, program.stderr
        assert len(emulator.ledger.created) == 1
        report = launch.fleet.resume(journal)
        assert report.is_success
        assert uids(plan) == sorted(one.parent for one in emulator.ledger.created)
        assert [one.attempts for one in report.outcomes] == [1, 1, 1]


class _Screen:
    """Interrupts the run at its first deployment, and records when the run has ended."""

    to_the_end = True

    def __init__(self, seen: list[tuple[str, int]]) -> None:
        self._seen = seen

    def __call__(self, event: FleetEvent) -> None:
        if event.kind is FleetEventKind.INTERRUPTED:
            self._seen.append(("progress", threading.get_ident()))
        elif event.state is OperationState.SENT:
            raise KeyboardInterrupt


class _Handler(logging.Handler):
    def __init__(self, seen: list[tuple[str, int]]) -> None:
        super().__init__()
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.append((record.getMessage().partition(":")[0], threading.get_ident()))


def test_the_log_reports_an_interruption_after_the_progress_output(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    logger, handler = logging.getLogger("launch_async.fleet.run.running"), _Handler(seen)
    logger.addHandler(handler)
    try:
        with LaunchEmulator(rate_limit=None, build_seconds=600.0) as emulator, plain_client_of(emulator) as launch:
            emulator.add_project("shop", environments=["a", "b"], git=True)
            plan = launch.fleet.plan_redeploy(launch.fleet.select())
            with pytest.raises(KeyboardInterrupt):
                launch.fleet.run(plan, journal=tmp_path / "run.journal", on_event=_Screen(seen), concurrency=1)
    finally:
        logger.removeHandler(handler)

    here = threading.get_ident()
    assert seen == [("progress", here), ("The run was interrupted", here)]
