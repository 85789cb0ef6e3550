"""Against an emulator with any option switched, a probe decides many questions, and none of them wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast, get_args, get_origin

import attrs
import pytest

from launch_async.emulator import EmulatorOptions
from launch_async.emulator.options import TYPES
from launch_async.probe import ProbeReport
from tests.support.probed import SCRATCH, emulator_with_content, probed

# The question that each option answers.
QUESTIONS: Mapping[str, int | str] = {
    "create_status": 1,
    "revalidate_status": 1,
    "revalidate_body": 2,
    "download_key": 3,
    "server_logs_key": 4,
    "server_logs_window_status": 5,
    "static_server_logs_fail": 5,
    "log_bound": 6,
    "upload_expiry": 7,
    "refusal_body": 8,
    "missing_organization_status": 13,
    "git_repository_status": 15,
    "environment_update": 16,
    "wrong_method_status": 16,
    "variables_update": 17,
    "required_settings": 18,
    "while_building": 20,
    "superseded_status": 21,
    "list_order": 22,
    "usage_reset": 23,
    "quota_status": 24,
    "unset_fields": 26,
    "domain_header": 27,
    "domain_update_body": 27,
    "dns_records_key": 27,
    "domains": 27,
    "upload_style": 28,
    "log_retention": 29,
    "live_logs_status": 31,
    "live_log_heartbeat": 31,
    "live_log_cap": 31,
    "zero_limit": 32,
    "build_log_lines": 33,
    "rollback_retention": "retention",
}
# Emulators with options that do not hide each other. Together they contain each choice of each option.
WORLDS: Mapping[str, dict[str, Any]] = {
    "first": {
        "create_status": 200,
        "revalidate_status": 201,
        "download_key": "url",
        "server_logs_key": "serverLogs",
        "server_logs_window_status": 500,
        "log_bound": "inclusive",
        "upload_expiry": "epoch_ms",
        "missing_organization_status": 401,
        "git_repository_status": 501,
        "environment_update": "PATCH",
        "variables_update": "merge",
        "while_building": "fail",
        "superseded_status": "DEPLOYED",
        "list_order": "oldest",
        "usage_reset": "epoch_ms",
        "unset_fields": "null",
        "domain_header": True,
        "upload_style": "azure",
        "live_logs_status": 404,
        "zero_limit": "refused",
    },
    "second": {
        "create_status": 202,
        "revalidate_status": 204,
        "download_key": "signedUrl",
        "server_logs_key": "bare",
        "static_server_logs_fail": True,
        "environment_update": "either",
        "required_settings": ["outputDirectory"],
        "while_building": "refuse",
        "list_order": "uid",
        "domain_update_body": "domain",
        "dns_records_key": "dnsRecords",
        "upload_style": "gcp",
        "live_log_heartbeat": "event",
        "log_retention": 3.5 * 86_400.0,
        "rollback_retention": 1,
    },
    "third": {
        "revalidate_body": False,
        "wrong_method_status": 404,
        "required_settings": ["environmentVariables", "buildCommand"],
        "upload_style": "gcp_form",
        "live_log_cap": 300.0,
        "build_log_lines": 3,
    },
    "fourth": {"domains": False, "live_logs_status": 405, "quota_status": 403, "revalidation_quota": 0},
    "fifth": {"rate_limit": 3, "refusal_body": "html", "live_logs_status": 501},
    "sixth": {"rate_limit": 3, "refusal_body": "empty"},
    "seventh": {"rate_limit": 3},
}


def test_a_probe_of_the_emulator_decides_24_questions_and_contradicts_no_default() -> None:
    report = probed(emulator_with_content(long_log=True))

    assert len(report.decided) >= 24
    assert report.contradicted == ()
    assert report.openapi == ()
    assert_never_wrong(report, {})


@pytest.mark.parametrize("world", WORLDS)
def test_a_changed_option_is_found_and_no_question_is_decided_wrongly(world: str) -> None:
    options = WORLDS[world]

    report = probed(emulator_with_content(**options))

    asked = {name: report[QUESTIONS[name]] for name in options if name in QUESTIONS}
    assert [str(row) for row in asked.values() if not row.is_decided] == []
    assert [name for name, row in asked.items() if not row.contradicts_default and name != "upload_style"] == []
    assert len(report.decided) >= 20
    assert report.leftover == ""
    assert_never_wrong(report, options)


def test_the_worlds_contain_each_choice_of_each_option_with_a_question() -> None:
    missing = {
        (name, choice)
        for name in QUESTIONS
        for choice in _choices(name)
        if choice != getattr(EmulatorOptions(), name) and all(one.get(name) != choice for one in WORLDS.values())
    }

    assert missing == set()


def _choices(name: str) -> tuple[object, ...]:
    kind = TYPES[name]
    if kind is bool:
        return (False, True)
    validator = attrs.fields_dict(EmulatorOptions)[name].validator
    return get_args(kind) if get_origin(kind) is Literal else tuple(getattr(validator, "options", ()))


@pytest.mark.parametrize("options", [{}, {"check_bearer_organization": True}])
def test_a_bearer_token_decides_whether_the_organization_is_checked(options: dict[str, Any]) -> None:
    report = probed(emulator_with_content(**options), bearer=True)

    assert report[12].value == {"without": 200, "other": 403 if options else 200}
    assert not report[13].is_decided
    assert_never_wrong(report, options)


@pytest.mark.parametrize(
    "options",
    [
        {"rate_limit": 50, "rate_headers": True, "listing_delay": 3.0, "live_log_resume": True},
        {"create_delay": 4.0, "queue_seconds": 2.0, "latency": 0.4, "failures_act": True, "live_log_event": ""},
        {"split_rate": True, "rate_limit": 4, "usage_scope": "launch:manage", "git_connected": False},
        {"project_limit": 13},
        {"environment_limit": 1},
    ],
    ids=str,
)
def test_an_option_without_a_question_causes_no_wrong_verdict(options: dict[str, Any]) -> None:
    assert_never_wrong(probed(emulator_with_content(**options)), options)


def assert_never_wrong(report: ProbeReport, options: Mapping[str, Any]) -> None:
    """Compare all options and values of the report with the options of the emulator."""
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
    """Return the expected values of the rows whose value is an option."""
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


def test_the_scratch_project_is_deleted_at_the_end() -> None:
    emulator = emulator_with_content()

    report = probed(emulator)

    deleted = [entry for entry in emulator.ledger.requests if entry.method == "DELETE"]
    scratch = next(one for one in emulator.ledger.created if one.name == SCRATCH)
    assert [(entry.path, entry.status) for entry in deleted] == [(f"/projects/{scratch.uid}", 204)]
    assert SCRATCH not in str(report)
