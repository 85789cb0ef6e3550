"""The rate limit, the faults and the ledger of the emulator work as documented."""

import asyncio
import math

import aiohttp
import pytest

from launch_async.emulator import EmulatorOptions, LaunchEmulator
from launch_async.emulator.ledger import Ledger, LedgerEntry
from launch_async.emulator.traffic.budget import ClockSecond, SlidingSecond, TokenBucket
from launch_async.emulator.traffic.latency import LatencyModel


def granted(counter, *times):
    return [counter.count(moment).granted for moment in times]


def test_a_sliding_window_counts_the_second_before_each_request():
    assert granted(SlidingSecond(2, count_refused=False), 0.0, 0.9, 0.95, 1.0, 1.5, 1.91) == [
        True, True, False, True, False, True,
    ]  # fmt: skip


def test_refused_requests_can_count_too():
    assert granted(SlidingSecond(1, count_refused=True), 0.0, 0.5, 1.2, 2.3) == [True, False, False, True]
    assert granted(ClockSecond(1, count_refused=True), 0.0, 0.5, 1.2) == [True, False, True]
    assert granted(TokenBucket(1, count_refused=True), 0.0, 0.5, 1.2) == [True, False, False]


def test_a_fixed_window_starts_again_with_each_second():
    assert granted(ClockSecond(2, count_refused=False), 0.8, 0.9, 0.99, 1.0, 1.01, 1.02) == [
        True, True, False, True, True, False,
    ]  # fmt: skip


def test_a_bucket_refills_at_its_rate_up_to_its_size():
    assert granted(TokenBucket(2, count_refused=False), 0.0, 0.0, 0.1, 0.6, 0.7, 9.0, 9.0, 9.0) == [
        True, True, False, True, False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [SlidingSecond, ClockSecond, TokenBucket])
def test_a_refusal_says_when_to_try_again(kind):
    counter = kind(1, count_refused=False)
    counter.count(10.25)
    refused = counter.count(10.5)

    assert counter.count(10.5 + refused.wait).granted
    assert refused.headers() == {
        "X-RateLimit-Limit": "1",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1",
        "Retry-After": "1",
    }


@pytest.mark.parametrize("window", ["sliding", "fixed", "bucket"])
async def test_requests_over_the_limit_are_refused_in_error_format_a(start, window):
    async with start(rate_limit=10, rate_window=window) as api:
        replies = [await api.get("/projects") for _ in range(30)]
        ledger = api.emulator.ledger
        refused = next(reply for reply in replies if reply.status == 429)

        assert refused.json["status"] == 429
        assert "Retry-After" not in refused.headers
        assert ledger.count(status=429) == sum(entry.refused for entry in ledger.requests) == 20
        assert ledger.count("listProjects") == 30


async def test_rate_limit_headers_can_be_switched_on(start):
    async with start(rate_limit=1, rate_headers=True) as api:
        first, second = [await api.get("/projects") for _ in range(2)]

    assert first.headers["X-RateLimit-Remaining"] == "0"
    assert (second.status, second.headers["Retry-After"]) == (429, "1")


async def test_reads_and_writes_can_be_counted_separately(start):
    async with start(rate_limit=1, split_rate=True) as api:
        statuses = [
            (await api.get("/projects")).status,
            (await api.put("/projects/x", {"name": "y"})).status,
            (await api.get("/projects")).status,
        ]

    assert statuses == [200, 404, 429]


async def test_each_organization_has_a_separate_rate_limit(start):
    async with start(rate_limit=1) as api:
        other = api.bearer(api.emulator.add_organization(rate_limit=3).access_token)
        statuses = [(await caller.get("/projects")).status for caller in (api, other, other, other, api)]

    assert statuses == [200, 200, 200, 200, 429]


async def test_uploads_documents_and_unauthorized_requests_do_not_count(start, archive):
    async with start(rate_limit=2) as api:
        target = (await api.get("/projects/upload/signed_url")).json
        await api.send(target, archive)
        statuses = [(await api.get("/openapi")).status for _ in range(5)]
        nobody = [(await api.with_headers({}).get("/projects")).status for _ in range(5)]
        last = (await api.get("/projects")).status
        counted = [entry.operation for entry in api.emulator.ledger.requests if entry.organization]

    assert (statuses, nobody, last) == ([200] * 5, [401] * 5, 200)
    assert counted == ["getProjectUploadUrl", "listProjects"]


@pytest.mark.parametrize("limit", [0, -5])
def test_a_rate_limit_below_one_is_refused(limit):
    with pytest.raises(ValueError, match="rate_limit"):
        LaunchEmulator(rate_limit=limit)


@pytest.fixture
def project(api):
    """The path of a project."""
    return f"/projects/{api.emulator.add_project('p').uid}"


async def name_of(api, project):
    api.emulator.faults.clear()
    return (await api.get(project)).json["project"]["name"]


async def test_a_status_before_keeps_the_server_from_acting(api, project):
    api.emulator.faults.add("status_before", status=504, body="<html>", headers={"X-Why": "test"})
    reply = await api.put(project, {"name": "new"})

    assert (reply.status, reply.text, reply.headers["X-Why"]) == (504, "<html>", "test")
    assert await name_of(api, project) == "p"


async def test_a_status_after_hides_that_the_server_acted(api, project):
    api.emulator.faults.add("status_after", status=502)
    reply = await api.put(project, {"name": "new"})

    assert reply.status == 502
    assert await name_of(api, project) == "new"


@pytest.mark.parametrize(("kind", "name"), [("reset_before", "p"), ("reset_after", "new")])
async def test_a_reset_drops_the_connection_before_or_after_acting(api, project, kind, name):
    api.emulator.faults.add(kind)
    with pytest.raises(aiohttp.ClientError):
        await api.put(project, {"name": "new"})

    assert api.emulator.ledger.requests[-1].status is None
    assert await name_of(api, project) == name


async def test_a_truncated_body_is_shorter_than_announced(api, project):
    api.emulator.faults.add("truncate")
    with pytest.raises(aiohttp.ClientPayloadError):
        await api.put(project, {"name": "new"})

    assert await name_of(api, project) == "new"


async def test_an_empty_answer_is_a_200_with_nothing(api, project):
    api.emulator.faults.add("empty")
    reply = await api.put(project, {"name": "new"})

    assert (reply.status, reply.text) == (200, "")
    assert await name_of(api, project) == "new"


async def test_a_gateway_page_is_html(api, project):
    api.emulator.faults.add("html")
    reply = await api.put(project, {"name": "new"})

    assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (502, "text/html")
    assert await name_of(api, project) == "p"


@pytest.mark.parametrize(("body", "text"), [(None, '"status": 429'), ("later", "later")])
async def test_a_429_fault_has_a_retry_after_header(api, project, body, text):
    api.emulator.faults.add("retry_after", delay=7, body=body)
    reply = await api.get(project)

    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
    assert text in reply.text


async def test_a_fault_applies_only_to_its_operation_or_method(api, project):
    api.emulator.faults.add("status_before", operation="listProjects", status=500)
    api.emulator.faults.add("status_before", method="put", status=501)

    statuses = [
        (await api.get("/projects")).status,
        (await api.get(project)).status,
        (await api.put(project, {"name": "n"})).status,
    ]

    assert statuses == [500, 200, 501]


async def test_a_fault_can_apply_to_the_nth_or_to_the_first_requests(api, project):
    api.emulator.faults.add("status_before", nth=2, status=500)
    api.emulator.faults.add("status_before", times=2, status=502)

    assert [(await api.get(project)).status for _ in range(4)] == [502, 500, 502, 200]


async def test_random_faults_are_the_same_for_the_same_seed(api, project):
    rows = []
    for _ in range(2):
        api.emulator.faults.clear()
        api.emulator.faults.add("status_before", probability=0.5, seed=7)
        rows.append([(await api.get(project)).status for _ in range(20)])

    assert rows[0] == rows[1]
    assert set(rows[0]) == {200, 503}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "explode"},
        {"kind": "empty", "nth": 0},
        {"kind": "delay", "delay": -1},
        {"kind": "status_before", "headers": {"X-Note": "one\r\nX-More: two"}},
    ],
    ids=str,
)
def test_a_fault_with_invalid_values_is_refused(api, wrong):
    with pytest.raises(ValueError):
        api.emulator.faults.add(**wrong)


async def test_faults_apply_to_the_storage_too(api, archive):
    api.emulator.faults.add("status_before", operation="uploadArchive", status=503, times=1)
    target = (await api.get("/projects/upload/signed_url")).json

    assert [(await api.send(target, archive)).status for _ in range(2)] == [503, 204]


async def test_latency_is_drawn_for_both_directions(start):
    delays = []

    def draw():
        delays.append(0.01)
        return 0.01

    async with start(latency=draw) as api:
        await api.get("/projects")
    async with start(latency=0.01) as api:
        reply = await api.get("/projects")

    assert len(delays) == 2
    assert reply.status == 200


def test_latency_is_log_normal_and_repeatable():
    options = EmulatorOptions(latency=0.02, latency_sigma=0.5, seed=1)
    first, again = LatencyModel(options), LatencyModel(options)
    drawn = sorted(first.draw() for _ in range(999))

    assert again.draw() in drawn
    assert drawn[499] == pytest.approx(0.02, rel=0.1)
    assert drawn[840] == pytest.approx(0.02 * math.exp(0.5), rel=0.1)
    assert LatencyModel(EmulatorOptions(latency=0.02)).draw() == 0.02


@pytest.mark.parametrize("wrong", [{"rate_limit": 0}, {"rate_limit": 1, "rate_window": "hourly"}])
def test_an_invalid_change_of_the_rate_limit_is_refused(api, wrong):
    with pytest.raises(ValueError, match=r"^rate_(limit|window) is .*choose"):
        api.emulator.change(**wrong)
    assert api.emulator._service.options.rate_limit is None


def test_the_ledger_finds_the_fullest_window():
    ledger = Ledger()
    for arrival, organization, refused in (
        (0.0, "a", False),
        (0.5, "a", False),
        (0.9, "b", False),
        (0.99, "a", True),
        (1.0, "a", False),
    ):
        ledger.requests.append(LedgerEntry("x", "GET", "/", arrival, organization=organization, refused=refused))
    ledger.requests.append(LedgerEntry("site", "GET", "/", 1.0))

    assert ledger.max_in_window() == 4
    assert ledger.max_in_window(organization="a") == 3
    assert ledger.max_in_window(organization="a", include_refused=False) == 2
    assert ledger.max_in_window(0.01, organization="b") == 1
    assert Ledger().max_in_window() == 0


async def test_the_ledger_contains_names_of_credentials_and_no_values(api, project):
    await api.get(project)
    await api.bearer(api.emulator.access_token).get(project)
    first, second = api.emulator.ledger.requests

    assert (first.operation, first.method, first.path, first.status) == ("getProject", "GET", project, 200)
    assert (first.credentials, second.credentials) == (("authtoken", "organization_uid"), ("authorization",))
    assert api.emulator.access_token not in repr(second)
    api.emulator.ledger.clear()
    assert (api.emulator.ledger.requests, api.emulator.ledger.created) == ([], [])


async def test_many_concurrent_requests_are_all_answered_and_recorded(api, project):
    replies = await asyncio.gather(*(api.get(project) for _ in range(100)))

    assert {reply.status for reply in replies} == {200}
    assert api.emulator.ledger.count("getProject", 200) == 100


def test_the_error_about_an_unknown_operation_suggests_a_similar_one(api):
    with pytest.raises(ValueError, match=r"no operation 'listProject'. Did you mean listProjects"):
        api.emulator.faults.add("empty", operation="listProject")
