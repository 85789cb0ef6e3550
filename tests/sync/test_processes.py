"""Whole programs with `launch_sync`: they end, fork and are interrupted without unexpected output."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from launch_sync.emulator import LaunchEmulator
from tests.support.clients import plain_client_of

CHILD = Path(__file__).parent / "child.py"
ROOT = CHILD.parent.parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    (site / "index.html").write_text("<p>hello</p>" + "x" * 2000)
    return site


@pytest.fixture(scope="module")
def emulator(folder: Path) -> Iterator[LaunchEmulator]:
    """An emulator with one project, `first`, whose builds take an hour."""
    with (
        LaunchEmulator(rate_limit=None, build_seconds=3600.0) as emulator,
        plain_client_of(emulator) as launch,
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
        """Wait for the end. Return the exit code, the lines of standard output, and the text of standard error."""
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


def test_a_program_ends_silently_during_a_call_in_a_daemon_thread_and_refuses_later_calls(
    emulator: LaunchEmulator, folder: Path
) -> None:
    assert Program(emulator, "exit_during_a_call", folder).end() == (0, ["leaving", "ClosedError"], "")


@pytest.fixture(scope="module")
def output(emulator: LaunchEmulator, folder: Path) -> dict[str, str]:
    """Return the output of a program that uses a client in every way except forks and signals."""
    code, lines, complaints = Program(emulator, "in_one_process", folder).end()
    assert (code, complaints) == (0, "")
    return dict(line.split(": ", 1) for line in lines)


def test_calls_by_mistake_from_a_coroutine_work_and_are_warned_of_once(output: dict[str, str]) -> None:
    assert output["coroutine"] == "[True, True] 1 1"


def test_a_call_on_the_loop_itself_is_refused_and_the_next_one_works(output: dict[str, str]) -> None:
    assert output["loop"] == "refused True"


def test_32_threads_use_one_client(output: dict[str, str]) -> None:
    assert output["threads"] == "64"


def test_leaving_a_log_early_stops_its_task(output: dict[str, str]) -> None:
    assert output["line"] == "LogLine"
    assert output["early"] == "0 True"


def test_each_threads_context_is_seen_inside_its_calls(output: dict[str, str]) -> None:
    assert output["context"] == "['one', 'two']"


def test_a_closed_client_refuses_to_call(output: dict[str, str]) -> None:
    assert output["closed"] == "refused"


@pytest.fixture(scope="module")
def interrupted(emulator: LaunchEmulator, folder: Path) -> dict[str, str]:
    """Return the output of a program after Ctrl-C. The test presses the first Ctrl-C, as from a terminal."""
    program = Program(emulator, "interrupted", folder)
    assert program.process.stdout is not None
    assert program.process.stdout.readline() == "started\n"
    program.process.send_signal(signal.SIGINT)
    code, lines, complaints = program.end()
    assert (code, complaints) == (0, "")
    return dict(line.split(": ", 1) for line in lines)


def test_ctrl_c_ends_a_call_and_leaves_the_client_usable(interrupted: dict[str, str]) -> None:
    assert interrupted["call"] == "True"


def test_ctrl_c_ends_an_iterator_and_leaves_the_client_usable(interrupted: dict[str, str]) -> None:
    assert interrupted["iterator"] == "[] True"


def test_a_second_ctrl_c_does_not_wait_for_the_clean_up(interrupted: dict[str, str]) -> None:
    assert interrupted["twice"] == "False True"


@pytest.fixture(scope="module")
def forked(emulator: LaunchEmulator) -> list[str]:
    """Return the output of a program and its children, one fork after the other."""
    code, lines, complaints = Program(emulator, "forks").end()
    assert (code, complaints) == (0, "")
    return [line.partition(" [")[0] for line in lines]


@pytest.mark.parametrize("when", ["before", "between"])
def test_parent_and_child_both_use_a_client_after_a_fork(forked: list[str], when: str) -> None:
    assert [line for line in forked if line.startswith(when)] == [f"{when}: child", f"{when}: parent"]


def test_a_child_that_makes_no_calls_does_not_affect_its_parent(forked: list[str]) -> None:
    assert "unused: parent" in forked


def test_forks_during_calls_of_threads_affect_no_process(forked: list[str]) -> None:
    assert "during: parent goes on" in forked


def test_workers_of_gunicorn_use_a_client_that_their_master_has_used(emulator: LaunchEmulator) -> None:
    options = ("--preload", "--workers=2", "--bind=127.0.0.1:0", "--no-control-socket")
    command = [sys.executable, "-m", "gunicorn", *options, "preloaded:application"]
    service = {"URL": emulator.url, "ORGANIZATION": emulator.organization_uid, "TOKEN": emulator.authtoken}
    settings = {f"EMULATOR_{name}": value for name, value in service.items()}
    with subprocess.Popen(
        command,
        cwd=CHILD.parent,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
    ) as master:
        assert master.stderr is not None
        log = []
        while "Listening at" not in (line := master.stderr.readline()):
            log.append(line)
            assert line, log
        address = re.search(r"http://127.0.0.1:\d+", line)
        assert address
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: requests.get(address[0], timeout=10).json(), range(32)))
        master.terminate()
        log += master.stderr.readlines()
    assert {(answer["works"], answer["master"]) for answer in answers} == {(True, master.pid)}
    assert master.pid not in {answer["worker"] for answer in answers}
    assert master.returncode == 0
    assert [line for line in log if "INFO" not in line] == []


def test_processes_of_every_start_method_use_separate_clients(emulator: LaunchEmulator) -> None:
    code, lines, complaints = Program(emulator, "processes").end()
    assert (code, complaints) == (0, "")
    assert [line.partition(" ")[0] for line in lines] == ["spawn", "forkserver", "fork", "parent"]
