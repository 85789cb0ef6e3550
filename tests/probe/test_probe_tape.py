"""A probe of a tape gives the same verdicts, and the derived emulator gives the same answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from launch_async import InvalidArgumentError
from launch_async.emulator import LaunchEmulator
from launch_async.models.base import JSONValue
from launch_async.probe import ProbeReport
from tests.support.probed import SCRATCH, emulator_with_content, probed

# Together these two contain most behaviours that a probe can find. None is a default of the emulator.
ONE: dict[str, Any] = {
    "create_status": 202,
    "download_key": "url",
    "domain_update_body": "domain",
    "environment_update": "either",
    "list_order": "oldest",
    "live_log_heartbeat": "event",
    "log_bound": "inclusive",
    "missing_organization_status": 401,
    "required_settings": ["environmentVariables"],
    "revalidate_body": False,
    "server_logs_key": "serverLogs",
    "static_server_logs_fail": True,
    "superseded_status": "DEPLOYED",
    "unset_fields": "null",
    "upload_style": "gcp",
    "usage_reset": "epoch_ms",
    "variables_update": "merge",
    "while_building": "fail",
}
OTHER: dict[str, Any] = {
    "create_status": 200,
    "domain_header": True,
    "download_key": "signedUrl",
    "git_repository_status": 501,
    "live_logs_status": 404,
    "revalidate_status": 204,
    "rollback_retention": 1,
    "server_logs_key": "bare",
    "server_logs_window_status": 500,
    "upload_expiry": "epoch_ms",
    "upload_style": "azure",
    "while_building": "refuse",
    "wrong_method_status": 404,
    "zero_limit": "refused",
}


@pytest.mark.parametrize("options", [{}, ONE, OTHER], ids=["defaults", "one", "other"])
def test_a_tape_and_the_derived_emulator_give_the_same_verdicts(options: dict[str, Any], tmp_path: Path) -> None:
    tape, again = tmp_path / "tape.jsonl", tmp_path / "again.jsonl"

    report = probed(emulator_with_content(**options), tape=tape)
    replayed = probed(LaunchEmulator.from_tape(tape, port=None))
    derived = probed(emulator_with_content(**report.to_emulator_options()), tape=again)

    assert _verdicts(replayed) == _verdicts(derived) == _verdicts(report)
    assert len(_exchanges(tape)) > 60
    assert _exchanges(again) == _exchanges(tape)
    assert {name: value for name, value in report.to_emulator_options().items() if name in options} == {
        name: value for name, value in options.items() if name in report.to_emulator_options()
    }
    assert {*options} - {*report.to_emulator_options()} == set()


def _verdicts(report: ProbeReport) -> dict[str, tuple[str, JSONValue]]:
    return {row.name: (row.verdict, row.value) for row in (*report.rows, *report.checks) if row.name != "29"}


def _exchanges(tape: Path) -> list[tuple[str, str, object, object]]:
    """Return each exchange of a tape with its status and the shape of its answer, without identities and times."""
    found: list[tuple[str, str, object, object]] = []
    for line in tape.read_text("utf-8").splitlines():
        one = json.loads(line)
        path = re.sub("[0-9a-f]{24}", "UID", one["request"]["path"])
        answer = one["answer"]
        events = [re.sub(r"[0-9.:TZ-]+", "#", event) for event in answer.get("events", [])]
        found.append((one["request"]["method"], path, answer["status"], [_shape(answer.get("json")), events]))
    return found


def _shape(value: object) -> object:
    """Return the names and types of a document, and its texts without identities."""
    if isinstance(value, dict):
        return {_without_identity(str(name)): _shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return _without_identity(value) if isinstance(value, str) else type(value).__name__


def _without_identity(text: str) -> str:
    text = re.sub(r"masked_[0-9a-f]+|host-[0-9a-f]+|[0-9a-f]{16,}", "#", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d+", "N", text)


def test_a_tape_does_not_contain_the_name_of_the_scratch_project(tmp_path: Path) -> None:
    probed(emulator_with_content(), tape=tmp_path / "tape.jsonl")

    assert SCRATCH not in (tmp_path / "tape.jsonl").read_text("utf-8")


def test_a_file_that_is_not_a_tape_is_refused_before_a_request(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("my notes\n")
    emulator = emulator_with_content()

    with pytest.raises(InvalidArgumentError, match="tape"):
        probed(emulator, tape=tmp_path / "notes.txt")

    assert emulator.ledger.requests == []
    assert (tmp_path / "notes.txt").read_text() == "my notes\n"
