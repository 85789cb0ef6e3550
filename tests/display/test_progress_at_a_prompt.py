"""Long calls show their progress at an interactive prompt or on request. Scripts and services show none."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from launch_async import InvalidArgumentError, NotFoundError, PreviousUpload
from launch_sync import LaunchClient
from launch_sync.emulator import LaunchEmulator
from launch_sync.fleet import FleetEvent, FleetEventKind, MemoryJournal, Plan
from launch_sync.state import State
from tests.support.clients import client_of, plain_client_of

Call = Callable[..., object]


@pytest.fixture
def emulator() -> Iterator[LaunchEmulator]:
    with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator:
        emulator.add_project("shop", environments=["qa", "preview"], deployments=1)
        yield emulator


@pytest.fixture
def launch(emulator: LaunchEmulator) -> Iterator[LaunchClient]:
    with plain_client_of(emulator) as launch:
        yield launch


@pytest.fixture
def plan(launch: LaunchClient) -> Plan:
    return launch.fleet.plan_redeploy(launch.fleet.select())


@pytest.fixture
def at_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)


def _call(name: str, launch: LaunchClient, plan: Plan, folder: Path) -> Call:
    """Prepare a long call that has progress to show, and return the call."""
    target, other = plan.operations[0].target, plan.operations[1].target
    place = target.project_uid, target.environment_uid
    (folder / "index.html").write_text("x")
    journal, file = MemoryJournal(), folder / "release.journal"
    created = launch.deploy(*place, PreviousUpload(), wait=name != "wait", progress=False, journal=file)
    state = State.from_toml('[projects.shop.environments.qa.variables]\nCOLOUR = "blue"')
    match name:
        case "deploy":
            return partial(launch.deploy, *place, PreviousUpload())
        case "wait":
            return partial(launch.wait, created)
        case "create_site":
            return partial(launch.create_site, "moon", folder)
        case "restore":
            return partial(launch.restore, *place, to=launch.deployments.list(*place).to_list()[-1])
        case "promote":
            return partial(launch.promote, created, other.project_uid, other.environment_uid)
        case "resume_release":
            return partial(launch.resume_release, file)
        case "preview":
            return partial(launch.previews.create, place[0], source=folder, name="preview-moon", ttl=60.0)
        case "run":
            return partial(launch.fleet.run, plan)
        case "resume":
            journal.open(plan, check=lambda _: None)
            journal.close()
            return partial(launch.fleet.resume, journal)
        case "apply":
            return partial(launch.state.apply, launch.state.diff(state))
        case _:
            launch.state.apply(launch.state.diff(state), journal=journal, progress=False)
            return partial(launch.state.resume, journal, state)


_DEPLOYMENTS = ["deploy", "wait", "create_site", "restore", "promote", "resume_release", "preview"]
_RUNS = ["run", "resume", "apply", "resume_apply"]


@pytest.fixture(params=[*_DEPLOYMENTS, *_RUNS])
def call(request: pytest.FixtureRequest, launch: LaunchClient, plan: Plan, tmp_path: Path) -> Call:
    return _call(request.param, launch, plan, tmp_path)


def test_a_script_shows_no_progress(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    call()

    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("at_a_prompt")
def test_progress_is_shown_at_a_prompt_by_default(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    call()

    shown = capsys.readouterr().out.splitlines()
    assert len(shown) >= 1
    assert all(line.startswith("[") and " s] " in line for line in shown)
    assert any(word in shown[-1] for word in ("LIVE", "ARCHIVED", "succeeded"))


@pytest.mark.usefixtures("at_a_prompt")
def test_progress_can_be_turned_off(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    call(progress=False)

    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("at_a_prompt")
def test_a_thread_shows_no_progress_at_a_prompt(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()

    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("at_a_prompt")
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("create_site", "on_progress"),
        ("restore", "on_progress"),
        ("preview", "on_progress"),
        ("wait", "on_update"),
        ("promote", "on_log"),
        ("run", "on_event"),
        ("apply", "on_event"),
    ],
)
def test_a_callback_replaces_the_progress(
    name: str, option: str, launch: LaunchClient, plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[object] = []

    _call(name, launch, plan, tmp_path)(**{option: heard.append})

    assert heard
    assert capsys.readouterr().out == ""


def test_only_files_are_packed(launch: LaunchClient, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    target = plan.operations[0].target

    launch.deploy(target.project_uid, target.environment_uid, PreviousUpload(), progress=True)

    assert "packing" not in capsys.readouterr().out


def test_a_callback_and_progress_can_be_used_together(
    launch: LaunchClient, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    events: list[FleetEvent] = []

    launch.fleet.run(plan, on_event=events.append, progress=True)

    assert len(capsys.readouterr().out.splitlines()) == len(events)


@pytest.mark.usefixtures("at_a_prompt")
async def test_the_asynchronous_client_shows_progress_only_on_request(
    emulator: LaunchEmulator, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    async with client_of(emulator) as client:
        await client.fleet.run(plan)
        assert capsys.readouterr().out == ""

        target = plan.operations[0].target
        await client.deploy(target.project_uid, target.environment_uid, PreviousUpload(), progress=True)

    assert "creating the deployment" in capsys.readouterr().out


def test_another_value_of_progress_is_refused_before_a_request(
    call: Call, emulator: LaunchEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    before = emulator.ledger.count()

    with pytest.raises(InvalidArgumentError, match="progress: must be True, False or None, not 'yes'"):
        call(progress="yes")

    assert emulator.ledger.count() == before


@pytest.mark.usefixtures("at_a_prompt")
def test_the_last_line_names_the_error(launch: LaunchClient, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotFoundError):
        launch.deploy("a" * 24, "b" * 24, PreviousUpload())

    assert capsys.readouterr().out.splitlines()[-1].endswith(f"environment {'b' * 24}: NotFoundError")


@pytest.mark.parametrize("is_kept", [True, False], ids=["journal", "no journal"])
async def test_an_interrupted_run_says_how_to_continue(
    emulator: LaunchEmulator, plan: Plan, tmp_path: Path, is_kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path, seen = tmp_path / "run.journal", list[FleetEvent]()

    async with client_of(emulator) as client:
        run = asyncio.create_task(
            client.fleet.run(plan, journal=path if is_kept else None, on_event=lambda one: see(one), wave_size=1)
        )

        def see(event: FleetEvent) -> None:
            seen.append(event)
            if event.done == 1:
                run.cancel()

        with pytest.raises(asyncio.CancelledError):
            await run

    resume, plan_again = f"launch.fleet.resume({str(path)!r})", "Make a new plan for the remaining targets"
    hint = resume if is_kept else plan_again
    assert seen[-1].kind is FleetEventKind.INTERRUPTED
    assert hint in seen[-1].message
    assert [hint in record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [True]


def test_a_run_can_be_resumed_after_an_error_of_its_observer(
    launch: LaunchClient, emulator: LaunchEmulator, plan: Plan, tmp_path: Path
) -> None:
    journal = tmp_path / "run.journal"
    # The run does not wait for its observer, so the second operation must still run when the observer raises.
    emulator.script(seconds=60.0, environment_uid=plan.operations[1].target.environment_uid)

    def stop(event: FleetEvent) -> None:
        if event.done == 1:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        launch.fleet.run(plan, journal=journal, on_event=stop, wave_size=1)

    (note,) = caught.value.__notes__
    assert note.endswith(f"Call launch.fleet.resume({str(journal)!r}) to finish the run")
    assert launch.fleet.resume(journal, on_event=lambda _: emulator.advance(60)).is_success


def _raise_in_the_sdk(launch: LaunchClient) -> None:
    launch.environments.get("a" * 24, "b" * 24)


def test_ipython_shows_only_the_frames_of_the_caller(launch: LaunchClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        _raise_in_the_sdk(launch)

    lines = caught.value._render_traceback_()

    shown = "\n".join(lines)
    assert len(lines) == 7
    assert 'launch.environments.get("a" * 24, "b" * 24)' in shown
    assert "launch_sync/" not in shown
    assert lines[-2].startswith("launch_async.errors.NotFoundError: Project not found.")
    assert lines[-1].endswith("frames of the SDK; traceback.print_last() shows all frames)")
