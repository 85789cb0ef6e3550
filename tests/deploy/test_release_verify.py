"""Verified releases: checks request the site, without credentials and without the rate limit, until a verdict."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from hypothesis import given, strategies as st

from launch_async import (
    ArchiveError,
    Authtoken,
    Check,
    DeploymentUnhealthy,
    InvalidArgumentError,
    LaunchClient,
    PasswordProtection,
)
from launch_async.deploy.release.verifying import verify
from launch_async.errors import ResponseLost
from launch_async.http import Request, Response
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.passing_time import until
from tests.support.virtual_time import run

QUICK = Check(contains="version", every=0.01, attempts=2, grace=0)


@pytest.fixture
def version(tmp_path: Path) -> Callable[[object], Path]:
    """Create a site with a version number in its pages."""

    def made(number: object) -> Path:
        folder = tmp_path / f"site-{number}"
        folder.mkdir()
        (folder / "index.html").write_text(f"<h1>version {number}</h1>")
        (folder / "version.json").write_text(f'{{"version": "{number}"}}')
        (folder / "docs").mkdir()
        (folder / "docs" / "index.html").write_text("<h1>docs</h1>")
        return folder

    return made


@pytest.fixture
async def site(launch, version):
    """A site with version 1."""
    _, client = launch
    return await client.create_site("night-sky", version(1))


def uids_of(site: Any) -> tuple[str, str]:
    return site.project.uid, site.environment.uid


async def test_a_checked_page_may_be_larger_than_other_answers():
    limits: list[int] = []

    async def send(request: Request) -> Response:
        limits.append(request.response_limit)
        return Response(200, {}, b"version 1")

    (result,) = await verify("https://site.test", [QUICK], send)

    assert result.passed
    assert min(limits) > 10**12


async def test_the_deployment_of_a_healthy_release_is_returned(launch, site, version):
    emulator, client = launch
    before = len(emulator.ledger.requests)

    deployment = await client.deploy(
        *uids_of(site),
        version(2),
        verify=(
            attrs.evolve(QUICK, contains="version 2"),
            attrs.evolve(QUICK, path="/version.json", contains=None, json={"version": "2"}),
            attrs.evolve(QUICK, path="/docs", contains="docs"),
        ),
    )

    assert deployment.status.is_serving
    asked = [entry for entry in emulator.ledger.requests[before:] if entry.operation == "site"]
    assert {entry.path for entry in asked} == {"/", "/version.json", "/docs", "/docs/"}
    assert not any(entry.credentials for entry in asked)
    assert emulator.ledger.count("listDeployments", "getDeploymentDownloadUrl") <= 2  # These are polls.


async def test_the_error_names_the_check_that_failed_and_shows_the_answer(launch, site, version):
    _, client = launch

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.deploy(*uids_of(site), version(2), verify=(QUICK, attrs.evolve(QUICK, contains="version 3")))

    passed, failed = unhealthy.value.results
    assert (passed.passed, failed.passed, failed.attempts) == (True, False, 2)
    assert failed.head == "<h1>version 2</h1>"
    assert unhealthy.value.restored is None
    assert unhealthy.value.deployment.status.is_serving
    text = str(unhealthy.value)
    assert "1 of 2 checks failed. Failed: GET /, status 200, contains 'version 3'" in text
    assert 'The response began with "<h1>version 2</h1>"' in text
    assert "The deployment is still live. Call launch.restore(...) to restore the previous version" in text


async def test_a_function_may_be_plain_or_a_coroutine_function(launch, site, version):
    _, client = launch
    asked: list[str] = []

    async def awaited(url: str) -> bool:
        await asyncio.sleep(0)
        asked.append(url)
        return True

    deployment = await client.deploy(*uids_of(site), version(2), verify=(awaited, lambda url: asked.append(url) or 1))

    assert asked == [deployment.url] * 2


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda url: False, "the function returned False"),
        (lambda url: [][0], "the function raised IndexError: list index out of range"),
        (lambda url: {"token": "cs0123456789"}["x"], "the function raised KeyError: 'x'"),
    ],
)
def test_the_problem_of_a_failed_function_names_its_result_or_exception(function, problem):
    async def main():
        async def failing(url):
            return function(url)

        return await verify("http://site.localhost", [failing], _no_request)

    (result,) = run(main())
    assert (result.passed, result.problem) == (False, problem)


async def _no_request(request: Request) -> Response:
    raise AssertionError(request)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"verify": "/"}, "verify: must be checks"),
        ({"verify": QUICK, "wait": False}, "Leave out wait=False"),
        ({"verify": QUICK, "on_failure": "rollback"}, 'must be "keep" or "restore"'),
        ({"on_failure": "restore"}, '"restore" needs at least one check'),
    ],
)
async def test_invalid_options_are_refused_before_a_request(launch, site, version, options, words):
    emulator, client = launch
    before = len(emulator.ledger.requests)

    with pytest.raises(InvalidArgumentError, match=words):
        await client.deploy(*uids_of(site), version(2), **options)

    assert len(emulator.ledger.requests) == before


async def test_a_verified_release_refuses_secrets_before_a_request(launch, site, version):
    emulator, client = launch
    folder = version(2)
    (folder / ".env").write_text("TOKEN=x")
    before = len(emulator.ledger.requests)

    with pytest.raises(ArchiveError):
        await client.deploy(*uids_of(site), folder, verify=QUICK, on_failure="restore")

    assert len(emulator.ledger.requests) == before


async def test_a_site_with_password_protection_is_not_restored_and_the_error_says_why(launch, site, version):
    _, client = launch
    protection = PasswordProtection(is_enabled=True, username="moon", password="rises")
    await client.environments.update(*uids_of(site), password_protection=protection)

    with pytest.raises(DeploymentUnhealthy, match="has password protection") as unhealthy:
        await client.deploy(*uids_of(site), version(2), verify=QUICK, on_failure="restore")

    assert unhealthy.value.restored is None
    assert "Nothing was restored, because no check could read the site" in str(unhealthy.value)
    checked = attrs.evolve(QUICK, status=401, contains=None)
    assert (await client.deploy(*uids_of(site), version(3), verify=checked)).status.is_serving


async def test_checks_do_not_use_the_session_of_the_caller(start):
    async with (
        start() as (emulator, _),
        aiohttp.ClientSession(headers={"authtoken": "of-the-session"}) as session,
        LaunchClient(
            Authtoken(emulator.authtoken),
            base_url=emulator.url,
            organization_uid=emulator.organization_uid,
            limiter=UnlimitedRateLimiter(),
            session=session,
        ) as client,
    ):
        project = emulator.add_project("moon", deployments=1)
        (deployed,) = await client.deployments.list(project.uid, next(iter(project.environments))).to_list()
        results = await client._releasing.results(deployed, [attrs.evolve(QUICK, contains="Deployment")])

    assert results[0].passed
    (asked,) = [entry for entry in emulator.ledger.requests if entry.operation == "site"]
    assert asked.credentials == ()


class Edge:
    """A site in virtual time, whose answer depends on the time."""

    def __init__(self, answer: Callable[[float], Response | Exception]) -> None:
        self.answer = answer
        self.asked: list[float] = []

    async def __call__(self, request: Request) -> Response:
        now = asyncio.get_running_loop().time()
        self.asked.append(now)
        answer = self.answer(now)
        if isinstance(answer, Exception):
            raise answer
        return answer


def result_and_times(check: Check, answer: Callable[[float], Response | Exception]) -> Any:
    """Return the result of a check and the times of its requests."""
    edge = Edge(answer)

    async def main() -> Any:
        return (await verify("https://site.example.com", [check], edge))[0]

    return run(main()), edge.asked


GOOD, BAD = Response(200), Response(503)


def test_bad_answers_within_the_grace_time_are_no_failure():
    result, asked = result_and_times(Check(), lambda now: GOOD if now > 30 else BAD)

    assert result.passed
    assert asked[0] == 0.0
    assert 30 < asked[-1] <= 32


@pytest.mark.parametrize("broken", [BAD, Response(404), ResponseLost("the connection broke")])
def test_a_broken_release_fails_soon_after_the_grace_time(broken):
    result, asked = result_and_times(Check(), lambda _: broken)

    assert (result.passed, result.attempts) == (False, len(asked))
    assert 45 <= asked[-1] <= 51


def test_only_consecutive_failures_count():
    result, _ = result_and_times(
        Check(grace=0, attempts=3, successes=2), lambda now: BAD if now < 3.9 or 4.5 < now < 7 else GOOD
    )

    assert result.passed


def test_a_site_that_alternates_fails_in_the_end():
    result, asked = result_and_times(Check(grace=0, attempts=2, successes=2), lambda now: BAD if now % 4 < 1 else GOOD)

    assert not result.passed
    assert len(asked) == 40


@given(
    good=st.lists(st.booleans(), min_size=1, max_size=60),
    grace=st.integers(0, 20),
    attempts=st.integers(1, 4),
    successes=st.integers(1, 4),
)
def test_a_check_counts_consecutive_answers_after_the_grace_time(good, grace, attempts, successes):
    check = Check(every=1, grace=grace, attempts=attempts, successes=successes)
    result, asked = result_and_times(check, lambda now: GOOD if good[min(round(now), len(good) - 1)] else BAD)

    answers = [good[min(number, len(good) - 1)] for number in range(len(asked))]
    assert [round(moment) for moment in asked] == list(range(len(asked)))
    if result.passed:
        assert all(answers[-successes:])
        assert not any(all(answers[start : start + successes]) for start in range(len(answers) - successes))
    elif len(asked) - grace < 10 * (attempts + successes):
        # The check failed because of consecutive bad answers, all of them after the grace time.
        assert not any(answers[-attempts:])
        assert len(asked) - attempts >= grace


def test_an_old_version_in_a_cache_does_not_pass():
    old, new = (Response(200, {"X-Release": str(number)}) for number in (1, 2))
    result, asked = result_and_times(Check(header={"X-Release": "2"}), lambda now: new if now > 20 else old)

    assert result.passed
    assert asked[-1] > 20


def test_an_answer_that_takes_too_long_is_a_failure():
    async def slow(request: Request) -> Response:
        await asyncio.sleep(3)
        return GOOD

    async def main() -> Any:
        return (await verify("https://site.example.com", [Check(grace=0, attempts=2)], slow))[0]

    result = run(main())
    assert (result.passed, result.problem) == (False, "no complete response within 2 s")


def test_the_other_checks_end_when_one_has_failed():
    async def site(request: Request) -> Response:
        return BAD

    async def main() -> Any:
        began = asyncio.get_running_loop().time()
        results = await verify("https://a.example.com", [Check(grace=600), Check(grace=0, attempts=1)], site)
        return results, asyncio.get_running_loop().time() - began

    (patient, quick), seconds = run(main())
    assert (patient.is_decided, quick.is_decided, seconds) == (False, True, 0.0)
    assert str(patient).startswith("not decided: GET /")


def test_a_function_in_a_thread_does_not_block_the_loop():
    called, released = threading.Event(), threading.Event()

    def blocking(url: str) -> bool:
        called.set()
        return released.wait(30)

    async def main() -> Any:
        checking = asyncio.create_task(verify("https://site.example.com", [blocking], _no_request))
        await until(called.is_set)
        released.set()
        return await checking

    (result,) = asyncio.run(main())
    assert result.passed
