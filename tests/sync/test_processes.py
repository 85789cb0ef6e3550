"""launch_sync in whole programs: how they end, fork and are interrupted, and that they do so in silence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch_sync import Authtoken, LaunchClient
from launch_sync.emulator import LaunchEmulator

CHILD = Path(__file__).parent / "child.py"
ROOT = CHILD.parent.parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    (site / "index.html").write_text("<p>hello</p>" + "x" * 2000)
    return site


@pytest.fixture(scope="module")
def emulator(folder: Path) -> Iterator[LaunchEmulator]:
    """A service with one project, `first`, whose builds take an hour."""
    with (
        LaunchEmulator(rate_limit=None, build_seconds=3600.0) as emulator,
        LaunchClient(
            Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
        ) as launch,
    ):
        launch.create_site("first", folder, wait=False)
        yield emulator


class Program:
    """A running `child.py`."""

    def __init__(self, emulator: LaunchEmulator, name: str, *arguments: object) -> None:
        warnings = ("-W", "always::ResourceWarning", "-W", "ignore::DeprecationWarning")
        service = (emulator.url, emulator.organization_uid, emulator.authtoken)
        self.process = subprocess.Popen(
            [sys.executable, *warnings, str(CHILD), name, *service, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def end(self) -> tuple[int, list[str], str]:
        """Wait for the end; return the exit code, the lines it wrote, and what it complained about."""
        out, complaints = self.process.communicate(timeout=30)
        return self.process.returncode, out.splitlines(), complaints


def test_a_client_that_is_never_closed_gives_one_warning_that_names_its_line(emulator: LaunchEmulator) -> None:
    code, lines, complaints = Program(emulator, "never_closed").end()
    assert (code, lines) == (0, ["['first']"])
    line = next(
        number for number, text in enumerate(CHILD.read_text().splitlines(), 1) if "return LaunchClient" in text
    )
    assert complaints.startswith(f"{CHILD}:{line}: ResourceWarning: LaunchClient was never closed.")
    assert complaints.count("Warning") == 1
    assert "nclosed" not in complaints


def test_a_call_after_exit_is_refused(emulator: LaunchEmulator) -> None:
    assert Program(emulator, "call_after_exit").end() == (0, ["['first']", "ClosedError"], "")


def test_a_program_ends_in_silence_while_a_call_runs_in_a_daemon_thread(emulator: LaunchEmulator, folder: Path) -> None:
    assert Program(emulator, "exit_during_a_call", folder).end() == (0, ["leaving"], "")


def test_ctrl_c_ends_a_call_and_leaves_the_client_usable(emulator: LaunchEmulator, folder: Path) -> None:
    program = Program(emulator, "interrupted", folder)
    assert program.process.stdout is not None
    assert program.process.stdout.readline() == "started\n"
    program.process.send_signal(signal.SIGINT)
    code, lines, complaints = program.end()
    assert (code, complaints) == (0, "")
    assert len(lines) == 1
    assert lines[0].startswith("interrupted")
    assert "'first'" in lines[0]


@pytest.mark.parametrize("name", ["fork_before", "fork_between"])
def test_parent_and_child_both_use_a_client_after_a_fork(emulator: LaunchEmulator, name: str) -> None:
    code, lines, complaints = Program(emulator, name).end()
    assert (code, complaints) == (0, "")
    assert [line.partition(" ")[0] for line in lines] == ["child", "parent"]


def test_forks_while_threads_call_harm_neither_side(emulator: LaunchEmulator) -> None:
    assert Program(emulator, "fork_during").end() == (0, ["parent goes on"], "")


def test_a_child_that_uses_nothing_takes_nothing_from_its_parent(emulator: LaunchEmulator) -> None:
    code, lines, complaints = Program(emulator, "fork_unused").end()
    assert (code, len(lines), complaints) == (0, 1, "")


def test_processes_of_every_start_method_use_clients_of_their_own(emulator: LaunchEmulator) -> None:
    code, lines, complaints = Program(emulator, "processes").end()
    assert (code, complaints) == (0, "")
    assert [line.partition(" ")[0] for line in lines] == ["spawn", "forkserver", "fork", "parent"]
