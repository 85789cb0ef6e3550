"""The command as a process: without its extra, with signals, and in a shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from launch_async.cli import main
from launch_sync.emulator import LaunchEmulator
from tests.support.programs import ROOT

TYPED = [sys.executable, "-m", "launch_async.cli"]
HIDING = """
import sys
sys.modules["click"] = None
from launch_async.cli import main
sys.argv = ["contentstack-launch", *{arguments!r}]
main()
"""


def _without_click(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = HIDING.format(arguments=arguments)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def test_the_command_without_its_extra_says_how_to_install_it() -> None:
    ended = _without_click("deploy")

    assert (ended.returncode, ended.stdout) == (4, "")
    assert "pip install 'contentstack-launch[cli]'" in ended.stderr


def test_help_loads_three_small_modules() -> None:
    code = """
import sys
before = {*sys.modules}
from launch_async.cli import main
sys.argv = ["contentstack-launch"]
main()
print(*sorted({*sys.modules} - before), file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    loaded = {"launch_async", "launch_async._lazy", "launch_async._version", "launch_async.cli"}
    assert {*ended.stderr.split()} - {"__future__"} == loaded


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_needs_no_click(arguments: tuple[str, ...]) -> None:
    ended = _without_click(*arguments)

    assert ended.returncode == 0
    assert ended.stdout.startswith("Usage: contentstack-launch")


def test_help_works_in_this_process(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["contentstack-launch"])

    main()

    assert "server-logs" in capsys.readouterr().out


def test_a_shell_completes_commands() -> None:
    variables = {
        "_CONTENTSTACK_LAUNCH_COMPLETE": "bash_complete",
        "COMP_WORDS": "contentstack-launch re",
        "COMP_CWORD": "1",
    }
    ended = subprocess.run(TYPED, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **variables})

    assert ended.stdout == "plain,restore\nplain,resume-release\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion_script(shell: str) -> None:
    variables = {"_CONTENTSTACK_LAUNCH_COMPLETE": f"{shell}_source"}
    ended = subprocess.run(TYPED, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **variables})

    assert (ended.returncode, "_CONTENTSTACK_LAUNCH_COMPLETE" in ended.stdout) == (0, True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<h1>night sky</h1>" * 100)
    return tmp_path


def test_one_command_creates_a_live_page(folder: Path) -> None:
    typed = [*TYPED, "site", folder, "--name", "night", "--emulator"]
    with subprocess.Popen(typed, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        status, url = process.stdout.readline().split()
        with urlopen(url) as page:
            body = page.read()
        process.send_signal(signal.SIGINT)
        code = process.wait()

    assert (status, code) == ("LIVE", 0)
    assert b"night sky" in body


@pytest.fixture
def slow() -> Iterator[LaunchEmulator]:
    with LaunchEmulator(build_seconds=60) as emulator:
        emulator.add_project("shop", environments=["preview"], deployments=1)
        yield emulator


def test_an_interrupted_fleet_says_how_to_continue(slow: LaunchEmulator, tmp_path: Path) -> None:
    settings = {
        "CONTENTSTACK_LAUNCH_URL": slow.url,
        "CONTENTSTACK_AUTHTOKEN": slow.authtoken,
        "CONTENTSTACK_ORGANIZATION_UID": slow.organization_uid,
        "PYTHONPATH": str(ROOT),
    }
    environment = {**os.environ, **settings}
    plan = ["fleet", "plan", "redeploy", "previous", "-o", "plan.json"]
    subprocess.run([*TYPED, *plan], cwd=tmp_path, env=environment, check=True, capture_output=True)

    lines: list[str] = []
    typed = [*TYPED, "fleet", "run", "plan.json"]
    with subprocess.Popen(typed, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if line.endswith(": DEPLOYING\n"):
                process.send_signal(signal.SIGINT)
        code = process.wait()

    assert code == 130
    assert any("interrupted: " in line and "Run contentstack-launch fleet resume" in line for line in lines)
    assert [line for line in lines if line.strip()][-2:] == [
        "Continue with: contentstack-launch fleet resume plan.json.journal\n",
        "Interrupted.\n",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for other processes")
def test_an_interrupted_deploy_says_how_to_continue(slow: LaunchEmulator, folder: Path) -> None:
    settings = {
        "CONTENTSTACK_LAUNCH_URL": slow.url,
        "CONTENTSTACK_AUTHTOKEN": slow.authtoken,
        "CONTENTSTACK_ORGANIZATION_UID": slow.organization_uid,
    }
    typed = [*TYPED, "deploy", "shop", "preview", folder]
    environment = {**os.environ, **settings}
    with subprocess.Popen(typed, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = [line for line in process.stderr.read().split("\n") if line]
        code = process.wait()

    assert first == "Preparing the build machine\n"
    assert code == 130
    assert rest[-3:] == [
        "Launch continues a deployment that has started.",
        "Continue with: contentstack-launch wait shop preview",
        "Interrupted.",
    ]
