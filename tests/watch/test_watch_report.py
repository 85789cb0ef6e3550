"""The report of a deployment: for people, programs and notebooks."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from launch_async import Deployment, DeploymentFailed, DeploymentReport, DeploymentStatus, LogLine, LogStage
from launch_async.errors import DeploymentsFailed
from launch_async.watch.log_level import at_least, level_of
from launch_async.watch.report import build_lengths, build_seconds

UID = "66c0" + "0" * 20
CREATED = datetime(2026, 3, 1, tzinfo=UTC)
BUILD = LogStage("BUILD")


def deployment(status: str = "FAILED", *, seconds: float = 41) -> Deployment:
    return Deployment(
        uid=UID,
        status=DeploymentStatus(status),
        deployment_url="moon.example.com",
        created_at=CREATED,
        updated_at=CREATED + timedelta(seconds=seconds),
        project_uid="a" * 24,
        environment_uid="b" * 24,
    )


def log(*messages: str) -> list[LogLine]:
    return [LogLine(message=message, stage=BUILD) for message in messages]


def test_the_summary_states_the_outcome_and_the_next_step() -> None:
    report = DeploymentReport.of(deployment(), log("Building", "Error: <no> such module", "Error: later"))

    assert report.summary == (
        f'Deployment {UID} ended FAILED after 41 s in stage BUILD. First error: "Error: <no> such module". '
        "Fix the error shown in the build log, then deploy again. The previous version is live. "
        f"Full log: launch.deployments.logs('{'a' * 24}', '{'b' * 24}', '{UID}')"
    )


def test_the_text_ends_with_the_last_twenty_lines() -> None:
    report = DeploymentReport.of(deployment(), log(*(f"line {number}" for number in range(50))))

    assert len(report.log_tail) == 20
    assert str(report).endswith("\n  line 48\n  line 49")


def test_a_report_says_how_long_each_stage_took() -> None:
    lines = [
        LogLine(message="x", stage=LogStage(stage), timestamp=CREATED + timedelta(seconds=second))
        for stage, second in [
            ("INSTALLING_DEPENDENCIES", 1),
            ("INSTALLING_DEPENDENCIES", 13),
            ("BUILD", 14),
            ("BUILD", 40),
        ]
    ]

    report = DeploymentReport.of(deployment(), [*lines, *log("without a time")])

    assert report.to_dict()["stage_seconds"] == {"INSTALLING_DEPENDENCIES": 12.0, "BUILD": 26.0}
    assert "INSTALLING_DEPENDENCIES 12 s, BUILD 26 s" in report._repr_html_()


def test_the_report_of_a_success_contains_its_url() -> None:
    report = DeploymentReport.of(deployment("LIVE"))

    assert report.summary == f"Deployment {UID} ended LIVE after 41 s. The site is https://moon.example.com."
    assert str(report) == report.summary


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("SKIPPED", "newer deployment"),
        ("CANCELLED", "build hours"),
        ("ARCHIVED", "another deployment has replaced it"),
        ("NOVEL", "console"),
    ],
)
def test_the_advice_fits_the_status(status: str, advice: str) -> None:
    assert advice in DeploymentReport.of(deployment(status)).advice


def test_a_report_is_plain_data_for_programs() -> None:
    document = json.loads(DeploymentReport.of(deployment(), log("fatal: x")).to_json())

    assert document["status"] == "FAILED"
    assert document["success"] is False
    assert document["seconds"] == 41.0
    assert document["first_error"] == "fatal: x"
    assert document["log_tail"] == ["fatal: x"]
    assert document["deployment_uid"] == UID


def test_a_notebook_shows_the_report_with_its_text_escaped() -> None:
    shown = DeploymentReport.of(deployment(), log("Error: <script>"))._repr_html_()

    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown


def test_errors_with_reports_can_be_pickled() -> None:
    failed = DeploymentFailed(DeploymentReport.of(deployment(), log("Error: x")))
    several = DeploymentsFailed([failed.report], [deployment(), deployment("LIVE")])

    assert pickle.loads(pickle.dumps(failed)).report == failed.report
    assert pickle.loads(pickle.dumps(several)).failures == (failed.report,)
    assert str(several).startswith("1 of 2 deployments failed. The first: Deployment 66c0")


@pytest.mark.parametrize("status", ["DEPLOYED", "ARCHIVED", "DEPLOYING"])
def test_a_report_has_no_duration_if_the_last_change_is_not_the_end(status: str) -> None:
    assert build_seconds(deployment(status)) is None


@pytest.mark.parametrize(
    ("statuses", "lengths"),
    [
        (["ARCHIVED", "LIVE"], {"1": 42.0}),
        (["ARCHIVED", "LIVE", "FAILED", "DEPLOYING"], {"1": 42.0}),
        (["ARCHIVED", "LIVE", "ARCHIVED"], {}),
        (["DEPLOYED", "LIVE", "DEPLOYED", "FAILED"], {}),
        (["FAILED"], {}),
        ([], {}),
    ],
    ids=str,
)
def test_a_build_that_was_rolled_back_to_has_no_known_length(statuses: list[str], lengths: dict[str, float]) -> None:
    listed = [
        attrs.evolve(deployment(status, seconds=41 + number), uid=str(number), deployment_number=number + 1)
        for number, status in enumerate(statuses)
    ]

    assert build_lengths(reversed(listed)) == lengths


@pytest.mark.parametrize("status", ["DEPLOYED", "ARCHIVED"])
def test_a_superseded_deployment_is_reported_as_a_success(status: str) -> None:
    report = DeploymentReport.of(deployment(status), log("Error: it was only a warning"))

    assert report.to_dict()["success"] is True
    assert report.summary == f"Deployment {UID} ended {status}. The site is https://moon.example.com."
    assert "first error" not in report._repr_html_()


def test_a_report_contains_no_terminal_escape() -> None:
    lines = log("\x1b[31mError:\x1b[0m in\r\n  site.css\x07", "\x1b]0;title\x07  10%\r  20%", "::error::mine\x9b2J")
    report = DeploymentReport.of(deployment(), lines)

    assert report.first_error == "Error: in   site.css"
    assert str(report).endswith("\nLast lines:\n  Error: in\n    site.css \n    10%\n    20%\n  ::error::mine")
    assert report.headline.splitlines() == [report.headline]
    assert "\x1b" in json.loads(report.to_json())["log_tail"][0]


def test_a_long_first_error_is_cut() -> None:
    assert len(DeploymentReport.of(deployment(), log("Error: " + "x" * 5000)).first_error or "") < 310


@pytest.mark.parametrize(
    ("message", "level"),
    [
        ("\x1b[31mError:\x1b[0m no", "error"),
        ("npm ERR! code 1", "error"),
        ("TypeError: x is undefined", "error"),
        ("Build failed", "error"),
        ("npm warn deprecated error-ex@1", "warning"),
        ("Warning: something failed softly", "warning"),
        ("Compiled with 0 errors", "info"),
        ("found no failures", "info"),
        ("Copying terror.html", "info"),
    ],
)
def test_the_level_of_a_line_follows_from_its_text(message: str, level: str) -> None:
    assert level_of(message) == level


def test_levels_are_ordered() -> None:
    assert at_least("Error: x", "warning")
    assert not at_least("fine", "warning")
