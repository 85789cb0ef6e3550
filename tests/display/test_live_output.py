"""Progress output that fails never ends the call: broken pipes, a full disk, a closed stream, a poor encoding."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from rich.console import Console

from launch_async import LaunchClient
from launch_async.display import FleetProgress, Progress
from launch_async.display.live.output import Output
from launch_async.display.live.snapshot import RunSnapshot
from launch_async.display.live.terminal import LiveTable
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import FleetEvent, FleetEventKind, OperationState, Target
from tests.support.clients import client_of

ROOT = Path(__file__).resolve().parents[2]


def _broken_pipe() -> TextIO:
    """Return a stream without a reader, like standard output after `| head` has ended."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def _closed() -> TextIO:
    with Path(os.devnull).open("w") as file:
        return file


class Odd(io.StringIO):
    """A stream of another library, which raises an unexpected error."""

    def write(self, text: str, /) -> int:
        raise RuntimeError("the kernel is gone")


def _full_disk() -> TextIO:
    return os.fdopen(os.open("/dev/full", os.O_WRONLY), "w")


STREAMS = {"pipe": _broken_pipe, "disk": _full_disk, "closed": _closed, "odd": Odd}


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest) -> Iterator[TextIO]:
    """A stream that cannot be written."""
    stream = STREAMS[request.param]()
    yield stream
    stream.close()  # The buffer must be empty, because a flush would fail here.


def _events() -> list[FleetEvent]:
    target = Target(project_uid="a" * 24, environment_uid="b" * 24, project_name="müller", environment_name="qa")
    return [
        FleetEvent(kind=FleetEventKind.RUN_STARTED, at=0.0, done=0, total=1, message="redeploy"),
        FleetEvent(kind=FleetEventKind.OPERATION, at=0.1, done=0, total=1, target=target, state=OperationState.SENT),
        FleetEvent(kind=FleetEventKind.RUN_ENDED, at=0.2, done=1, total=1, message="1 succeeded"),
    ]


@pytest.mark.parametrize("mode", ["lines", "live"])
def test_a_failed_stream_is_logged_once_and_the_run_continues(
    stream: TextIO, mode, caplog: pytest.LogCaptureFixture
) -> None:
    with FleetProgress(mode, file=stream) as progress:
        for event in _events():
            progress(event)

    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.WARNING, "launch_async.display.live.output")
    assert record.getMessage().startswith("Progress output stops, because it failed (")
    assert record.getMessage().endswith("). The call continues")


def test_a_failed_stream_is_logged_once_during_a_deployment(stream: TextIO, caplog: pytest.LogCaptureFixture) -> None:
    with Progress("shop", mode="lines", file=stream) as progress:
        progress.on_step("uploading")
        progress.on_step("creating the deployment")

    assert len(caplog.records) == 1


def test_a_program_without_standard_output_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    with FleetProgress() as progress:
        for event in _events():
            progress(event)

    assert progress.mode == "lines"


@pytest.mark.parametrize("mode", ["lines", "live"])
def test_letters_outside_the_encoding_are_escaped(mode, caplog: pytest.LogCaptureFixture) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")

    with FleetProgress(mode, file=stream) as progress:
        for event in _events():
            progress(event)

    stream.seek(0)
    assert r"m\xfcller/qa" in stream.read() or mode == "live"
    assert caplog.records == []


@pytest.mark.parametrize("count", [1, 3])
def test_each_line_of_the_live_table_leaves_room_for_the_echo_of_ctrl_c(count: int) -> None:
    # The terminal echoes "^C". In a full line, the echo would start another line, and the table would appear twice.
    snapshot = RunSnapshot()
    for event in _events()[:count]:
        snapshot.take(event)
    snapshot.interrupt("interrupted: 0 of 1 operations have ended, 1 are under way. launch.fleet.resume('run.journal')")
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)

    lines = console.render_lines(LiveTable(snapshot, console.file), pad=False)

    assert len(lines) >= 4
    assert max(sum(segment.cell_length for segment in line) for line in lines) <= 58


def test_unread_output_does_not_fail_again_when_the_stream_closes() -> None:
    # Output that stays in the buffer of standard output ends a program with exit code 120.
    stream = _broken_pipe()
    Output(stream).write("a line\n")

    stream.close()

    assert stream.closed


def test_a_stream_that_is_closed_later_causes_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    output = Output(stream)
    output.write("a line\n")
    stream.close()

    del output

    assert caplog.records == []


def test_an_error_in_a_view_is_logged_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    progress = FleetProgress("lines", file=io.StringIO())
    monkeypatch.setattr(FleetEvent, "__str__", lambda _: 1 / 0)

    for event in _events():
        progress(event)

    assert [record.name for record in caplog.records] == ["launch_async.display.live.shown"]


PROGRAM = """
import sys
from launch_async.display import FleetProgress
from launch_sync.emulator import LaunchEmulator
from tests.support.clients import plain_client_of

with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator, plain_client_of(emulator) as launch:
    emulator.add_project("müller", environments=[f"qa-{number}" for number in range(8)], git=True)
    plan = launch.fleet.plan_redeploy(launch.fleet.select())
    report = launch.fleet.run(plan, on_event=FleetProgress(), journal=sys.argv[1])
    print("all done" if report.is_success else report, file=sys.stderr)
"""


@pytest.mark.parametrize("shell", ["{} | head -n 1", "{} > /dev/full", "{} >&-", "PYTHONIOENCODING=ascii {}"])
def test_a_rollout_succeeds_although_its_output_fails(shell: str, tmp_path: Path) -> None:
    command = shell.format(f'"{sys.executable}" -c "$PROGRAM" run.journal')

    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PROGRAM": PROGRAM, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.splitlines()[-1] == "all done"
    assert "Traceback" not in ended.stderr
    assert "BrokenPipeError: " not in ended.stderr.replace("(BrokenPipeError: ", "")


async def test_the_timer_thread_stops_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = FleetProgress("lines", file=io.StringIO())
    monkeypatch.setattr("launch_async.display.live.shown._TICK_S", 0.001)
    ticks = threading.Semaphore(0)
    monkeypatch.setattr(shown, "_tick", ticks.release)

    shown._start_ticking()
    assert ticks.acquire(timeout=30)
    (timer,) = [one for one in threading.enumerate() if one.name == "launch-progress"]
    shown._stop_ticking()

    timer.join(30)
    assert not timer.is_alive()


async def test_a_run_raises_the_error_of_an_observer_at_its_last_event() -> None:
    async with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator, client_of(emulator) as client:
        emulator.add_project("shop", environments=["qa"], git=True)
        plan = await client.fleet.plan_redeploy(await client.fleet.select())

        def fail(event: FleetEvent) -> None:
            if event.kind is FleetEventKind.RUN_ENDED:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await _run(client, plan, fail)


async def _run(client: LaunchClient, plan, on_event) -> None:
    await client.fleet.run(plan, on_event=on_event)
