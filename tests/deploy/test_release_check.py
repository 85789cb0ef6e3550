"""The verdict of a check about an answer, for each condition of a check."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, strategies as st

from launch_async import Check, CheckResult, DeploymentUnhealthy, InvalidArgumentError
from launch_async.deploy.release.answer import head_of, redirect_of, verdict_of
from launch_async.deploy.release.check import checks_of
from launch_async.http import Response

URL = "https://night-sky.example.com/a"


def problem(check: Check, status: int = 200, body: str = "", headers: Mapping[str, str] | None = None) -> str:
    """Return what is wrong with an answer."""
    return verdict_of(check, Response(status, headers or {}), body.encode()).problem


@pytest.mark.parametrize(
    ("check", "answer", "wrong"),
    [
        (Check(), {}, ""),
        (Check(), {"status": 500}, "status 500 instead of 200"),
        (Check(status=(200, 404)), {"status": 404}, ""),
        (Check(status=tuple(range(200, 300))), {"status": 500}, "status 500 instead of 200, 201, 202, 203 and 96 more"),
        (Check(status=301), {"status": 301, "headers": {"Location": "/b"}}, ""),
        (
            Check(),
            {"status": 302, "headers": {"Location": "https://other.example.com/x"}},
            "status 302 instead of 200, because the site redirects to other.example.com, which checks do not follow",
        ),
        (Check(contains="moon"), {"body": "the moon"}, ""),
        (Check(contains="moon"), {"body": "the sun"}, "the response body does not contain 'moon'"),
        (Check(contains="M\u00fcnchen"), {"body": "M\u00fcnchen", "headers": {"Content-Type": "text/html"}}, ""),
        (
            Check(contains="\u00c3\u00bc"),
            {"body": "\u00fc", "headers": {"Content-Type": "text/html; charset=latin-1"}},
            "",
        ),
        (Check(contains="x"), {"body": "x", "headers": {"Content-Type": "text/html; charset=no-such"}}, ""),
        (Check(header={"X-Release": "7"}), {"headers": {"x-release": "7"}}, ""),
        (
            Check(header=("X-Release", "7")),
            {"headers": {"x-release": "6"}},
            "the header X-Release is '6' instead of '7'",
        ),
        (Check(header="X-Release: 7"), {"headers": {"X-Release": "7"}}, ""),
        (Check(header="X-Release"), {"headers": {"X-Release": "any"}}, ""),
        (Check(header="X-Release"), {}, "the response has no header X-Release"),
        (Check(json={"commit": "abc"}), {"body": '{"commit": "abc", "built": 1}'}, ""),
        (Check(json={"a": {"b": [1]}}), {"body": '{"a": {"b": [1], "c": 2}}'}, ""),
        (Check(json={"a": {"b": [1]}}), {"body": '{"a": {"b": [2]}}'}, "the JSON of the response differs at $.a.b"),
        (Check(json={"ok": True}), {"body": '{"ok": 1}'}, "the JSON of the response differs at $.ok"),
        (Check(json={"ok": True}), {"body": "{}"}, "the JSON of the response differs at $.ok"),
        (Check(json=None), {"body": "null"}, ""),
        (Check(json={}), {"body": "<html>"}, "the response body is not JSON"),
    ],
)
def test_a_check_tests_all_its_conditions(check: Check, answer: Any, wrong: str) -> None:
    assert problem(check, **answer) == wrong


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (401, {"WWW-Authenticate": 'Basic realm="site"'}, "the environment has password protection"),
        (302, {"Location": "https://app.contentstack.com/#!/login"}, "the environment has Contentstack authentication"),
    ],
)
def test_a_site_that_needs_a_login_is_refused_and_not_unhealthy(
    status: int, headers: dict[str, str], words: str
) -> None:
    verdict = verdict_of(Check(), Response(status, headers), b"")

    assert verdict.is_refused
    assert words in verdict.problem
    assert not verdict_of(Check(status=status), Response(status, headers), b"").problem


@pytest.mark.parametrize(
    ("check", "location", "target"),
    [
        (Check(), "/en/", "https://night-sky.example.com/en/"),
        (Check(), "https://night-sky.example.com/en/", "https://night-sky.example.com/en/"),
        (Check(), "https://other.example.com/", None),
        (Check(), "http://night-sky.example.com/", None),
        (Check(), "//other.example.com/", None),
        (Check(status=301), "/en/", None),
    ],
)
def test_a_redirect_is_followed_within_the_site_only(check: Check, location: str, target: str | None) -> None:
    assert redirect_of(check, URL, Response(301, {"Location": location})) == target


@given(st.binary(max_size=600))
def test_the_quoted_start_of_an_answer_is_short_and_printable(body: bytes) -> None:
    head = head_of(body)

    assert len(head) <= 203
    assert all(letter.isprintable() for letter in head)


@pytest.mark.parametrize(
    "text",
    [
        '{"access_token": "cs0123456789"}',
        "API_KEY=cs0123456789",
        "Authorization: Bearer cs0123456789",
        "authtoken: cs0123456789",
        "https://storage.example.com/zip?signature=cs0123456789",
        "password = 'cs0123456789'",
    ],
)
def test_the_quoted_start_of_an_answer_has_no_secret(text: str) -> None:
    assert "cs0123456789" not in head_of(f"<p>{text}</p>".encode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "health"},
        {"path": "//other.example.com/"},
        {"path": "/a b"},
        {"path": None},
        {"status": 99},
        {"status": "200"},
        {"status": True},
        {"status": ()},
        {"contains": ""},
        {"contains": 7},
        {"header": 7},
        {"header": {"X": 7}},
        {"header": ""},
        {"within": 0},
        {"within": float("nan")},
        {"attempts": 0},
        {"attempts": 2.5},
        {"every": -1},
        {"grace": -1},
        {"grace": "1"},
        {"successes": 0},
        {"json": {1, 2}},
        {"json": {"a": float("nan")}},
        {"json": b"{}"},
    ],
)
def test_a_check_with_an_invalid_argument_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        Check(**wrong)

    assert refused.value.parameter == next(iter(wrong))


@pytest.mark.parametrize("verify", ["/health", 7, None, ("/health",), Check, (Check,)])
def test_verify_refuses_a_value_that_is_not_a_check(verify: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="verify"):
        checks_of(verify)


def test_one_check_may_be_given_without_a_tuple() -> None:
    check = Check()

    assert checks_of(check) == checks_of([check]) == checks_of(iter([check])) == (check,)


class _State:
    uid, status, url = "a", "LIVE", None


def test_the_error_of_an_unhealthy_deployment_can_be_pickled() -> None:
    result = CheckResult(name="GET /", passed=False, problem="status 500 instead of 200")
    error = DeploymentUnhealthy("it failed", deployment=_State(), results=[result], restored=_State())

    copy = pickle.loads(pickle.dumps(error))

    assert copy.results == (result,)
    assert copy.restored.uid == "a"
