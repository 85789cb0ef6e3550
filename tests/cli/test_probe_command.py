"""The command `probe`: its output, its questions, and its clean-up after an interruption."""

from __future__ import annotations

import functools
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launch_async.cli.exit_codes import ExitCode
from launch_async.emulator.__main__ import _parser
from launch_sync.emulator import LaunchEmulator
from tests.cli.conftest import Command
from tests.support.programs import ROOT
from tools.pages import Line, lines_of


@pytest.fixture(scope="module", autouse=True)
def _project(emulator: LaunchEmulator) -> None:
    emulator.add_project("shop", framework_preset="CSR", deployments=2)


@pytest.fixture(name="command")
def _quick_command(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return the command for an organization whose plan allows 1000 requests per second."""
    monkeypatch.setenv("CONTENTSTACK_LAUNCH_SHARE_BUDGET", "process")
    return functools.partial(command, "--rate-limit", 1000)


def test_a_probe_writes_its_report(command: Command, tmp_path: Path) -> None:
    ended = command("probe", "--markdown", tmp_path / "report.md")

    assert ended.code == ExitCode.DONE
    assert "3. Name of the field that contains the download URL: downloadUrl" in ended.out
    assert "Read projects" in ended.err
    assert (tmp_path / "report.md").read_text("utf-8").startswith("## Probe of Contentstack Launch")


def test_a_probe_as_json_is_one_document(command: Command) -> None:
    document = command("probe", "--json").document

    assert document["rows"][2]["value"] == "downloadUrl"
    assert document["emulator_options"]["download_key"] == "downloadUrl"


def test_the_options_can_be_typed_for_the_emulator(command: Command, emulator: LaunchEmulator) -> None:
    emulator.change(download_key="url", missing_organization_status=401)
    try:
        typed = command("probe", "--to-emulator-options")
        document = command("probe", "--to-emulator-options", "--json").document
    finally:
        emulator.change(download_key="downloadUrl", missing_organization_status=403)

    read = vars(_parser().parse_args(typed.out.split()))
    assert (read["download_key"], read["missing_organization_status"]) == ("url", 401)
    assert {name: read[name] for name in document} == document


def test_writing_shows_the_steps_and_needs_a_confirmation(command: Command, emulator: LaunchEmulator) -> None:
    before = len(emulator.ledger.requests)

    ended = command("probe", "--write", "--project", "scratch")

    assert ended.code == ExitCode.USAGE
    assert "Delete the project 'scratch', also after an error" in ended.err
    assert "--confirm 1" in ended.err
    assert len(emulator.ledger.requests) == before


@pytest.mark.parametrize("confirmation", [("--confirm",), ("--confirm", "1")])
def test_a_confirmed_probe_writes(command: Command, confirmation: tuple[str, ...]) -> None:
    ended = command("probe", "--write", "--project", "scratch", *confirmation, "--json")

    assert ended.code == ExitCode.DONE
    assert {row["name"]: row["value"] for row in ended.document["rows"]}["17"] == "replace"
    assert "scratch" not in command("fleet", "select", "--json").out


@pytest.mark.parametrize("line", lines_of("docs/how-to/probe.md"), ids=lambda line: line.text)
def test_every_line_of_the_page_works(command: Command, line: Line) -> None:
    assert command(*shlex.split(line.text)[1:]).code == ExitCode.DONE


@pytest.mark.parametrize("typed", [("--project", "scratch"), ("--write",)])
def test_incomplete_arguments_are_a_usage_error(command: Command, typed: tuple[str, ...]) -> None:
    ended = command("probe", *typed)

    assert ended.code == ExitCode.USAGE
    assert "error: --project" in ended.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for other processes")
def test_ctrl_c_deletes_the_scratch_project() -> None:
    with LaunchEmulator(rate_limit=None, build_seconds=30.0) as emulator:
        variables = {
            "CONTENTSTACK_LAUNCH_URL": emulator.url,
            "CONTENTSTACK_AUTHTOKEN": emulator.authtoken,
            "CONTENTSTACK_ORGANIZATION_UID": emulator.organization_uid,
            "CONTENTSTACK_LAUNCH_SHARE_BUDGET": "process",
        }
        typed = [sys.executable, "-m", "launch_async.cli", "--rate-limit", "1000", "probe", "--write"]
        process = subprocess.Popen(
            [*typed, "--project", "scratch", "--confirm"],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("Deploy it twice"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

        deleted = [entry.status for entry in emulator.ledger.requests if entry.method == "DELETE"]

    assert (process.returncode, deleted) == (ExitCode.INTERRUPTED, [204])
    assert err.endswith("Interrupted.\n")
