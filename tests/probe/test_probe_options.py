"""Against an emulator with any option switched, a probe decides many questions, and none of them wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from launch_async.emulator import EmulatorOptions
from launch_async.probe import ProbeReport
from tests.support.probed import SCRATCH, emulator_with_content, probed

# One option each, with the question that it answers; more options where the behaviour shows in their company only.
SWITCHED: list[tuple[int | str, dict[str, Any]]] = [
    (1, {"create_status": 200}),
    (1, {"create_status": 202}),
    (1, {"revalidate_status": 201}),
    (1, {"revalidate_status": 204}),
    (2, {"revalidate_body": False}),
    (3, {"download_key": "url"}),
    (3, {"download_key": "signedUrl"}),
    (4, {"server_logs_key": "serverLogs"}),
    (4, {"server_logs_key": "bare"}),
    (5, {"server_logs_window_status": 500}),
    (5, {"static_server_logs_fail": True}),
    (6, {"log_bound": "inclusive"}),
    (7, {"upload_expiry": "epoch_ms"}),
    (8, {"rate_limit": 3}),
    (8, {"rate_limit": 3, "refusal_body": "html"}),
    (8, {"rate_limit": 3, "refusal_body": "empty"}),
    (13, {"missing_organization_status": 401}),
    (15, {"git_repository_status": 501}),
    (16, {"environment_update": "PATCH"}),
    (16, {"environment_update": "either"}),
    (16, {"wrong_method_status": 404}),
    (17, {"variables_update": "merge"}),
    (18, {"required_settings": ["outputDirectory"]}),
    (18, {"required_settings": ["environmentVariables", "buildCommand"]}),
    (20, {"while_building": "refuse"}),
    (20, {"while_building": "fail"}),
    (21, {"superseded_status": "DEPLOYED"}),
    (22, {"list_order": "oldest"}),
    (22, {"list_order": "uid"}),
    (23, {"usage_reset": "epoch_ms"}),
    (24, {"quota_status": 403, "revalidation_quota": 0}),
    (26, {"unset_fields": "null"}),
    (27, {"domain_header": True}),
    (27, {"domain_update_body": "domain"}),
    (27, {"dns_records_key": "dnsRecords"}),
    (27, {"domains": False}),
    (28, {"upload_style": "azure"}),
    (28, {"upload_style": "gcp"}),
    (28, {"upload_style": "gcp_form"}),
    (29, {"log_retention": 3.5 * 86_400.0}),
    (31, {"live_logs_status": 404}),
    (31, {"live_logs_status": 501}),
    (31, {"live_log_heartbeat": "event"}),
    (31, {"live_log_cap": 300.0}),
    (32, {"zero_limit": "refused"}),
    (33, {"build_log_lines": 3}),
    ("retention", {"rollback_retention": 1}),
]


def test_a_probe_of_the_emulator_decides_24_questions_and_contradicts_nothing() -> None:
    report = probed(emulator_with_content(long_log=True))

    assert len(report.decided) >= 24
    assert report.contradicted == ()
    assert report.openapi == ()
    assert_never_wrong(report, {})


@pytest.mark.parametrize(
    ("question", "options"),
    SWITCHED,
    ids=[",".join(f"{name}={value}" for name, value in one.items()) for _, one in SWITCHED],
)
def test_an_option_that_is_switched_is_seen_and_nothing_is_decided_wrongly(
    question: int | str, options: dict[str, Any]
) -> None:
    report = probed(emulator_with_content(**options))

    assert report[question].is_decided, str(report[question])
    assert report[question].contradicts_default or options.keys() <= {"upload_style", "rate_limit"}, report[question]
    assert len(report.decided) >= 20
    assert report.leftover == ""
    assert_never_wrong(report, options)


@pytest.mark.parametrize("options", [{}, {"check_bearer_organization": True}])
def test_a_bearer_token_decides_whether_the_organization_matters(options: dict[str, Any]) -> None:
    report = probed(emulator_with_content(**options), bearer=True)

    assert report[12].value == {"without": 200, "other": 403 if options else 200}
    assert not report[13].is_decided
    assert_never_wrong(report, options)


@pytest.mark.parametrize(
    "options",
    [
        {"rate_limit": 50, "rate_headers": True},
        {"listing_delay": 3.0},
        {"create_delay": 4.0},
        {"queue_seconds": 2.0},
        {"latency": 0.4},
        {"split_rate": True, "rate_limit": 4},
        {"failures_act": True},
        {"usage_scope": "launch:manage"},
        {"live_log_event": ""},
        {"live_log_resume": True},
        {"project_limit": 13},
        {"environment_limit": 1},
        {"git_connected": False},
    ],
    ids=str,
)
def test_an_option_that_no_question_is_about_leads_to_no_wrong_verdict(options: dict[str, Any]) -> None:
    assert_never_wrong(probed(emulator_with_content(**options)), options)


def assert_never_wrong(report: ProbeReport, options: Mapping[str, Any]) -> None:
    """Compare every option that the report derives, and every value, with the emulator's own option."""
    emulated = EmulatorOptions(**options)
    derived = report.to_emulator_options()
    wrong = {
        name: (value, getattr(emulated, name))
        for name, value in derived.items()
        if not _agrees(name, value, getattr(emulated, name))
    }
    assert wrong == {}
    values = {row.number: row.value for row in report.decided}
    truths = {number: truth for number, truth in _truths(emulated).items() if number in values}
    assert {number: values[number] for number in truths} == truths


def _agrees(name: str, derived: object, true: Any) -> bool:
    if name == "log_retention":
        return true is not None and abs(float(str(derived)) - true) < 86_400.0
    return list(cast("tuple[str, ...]", true)) == derived if isinstance(true, tuple) else derived == true


def _truths(emulated: EmulatorOptions) -> dict[int, object]:
    """Return what the rows must say, where their value is an option."""
    return {
        3: emulated.download_key,
        4: emulated.server_logs_key,
        6: emulated.log_bound,
        7: emulated.upload_expiry,
        13: emulated.missing_organization_status,
        15: emulated.git_repository_status,
        17: emulated.variables_update,
        18: [*emulated.required_settings],
        20: {"queue": "queue", "refuse": "refuse", "fail": "fail"}[emulated.while_building],
        21: emulated.superseded_status,
        23: emulated.usage_reset,
        24: emulated.quota_status,
        28: emulated.upload_style,
        32: emulated.zero_limit,
        33: emulated.build_log_lines or "whole",
    }


def test_the_scratch_project_is_gone_afterwards() -> None:
    emulator = emulator_with_content()

    report = probed(emulator)

    deleted = [entry for entry in emulator.ledger.requests if entry.method == "DELETE"]
    scratch = next(one for one in emulator.ledger.created if one.name == SCRATCH)
    assert [(entry.path, entry.status) for entry in deleted] == [(f"/projects/{scratch.uid}", 204)]
    assert SCRATCH not in str(report)
