"""Following a log in virtual time: every line once and in order, with few requests, also when requests fail."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

import pytest

from launch_async import (
    AccessToken,
    DeploymentFailed,
    DeploymentRef,
    InvalidArgumentError,
    LaunchClient,
    LogCursor,
    LogLine,
    NotFoundError,
    RateLimit,
    ServerError,
    WaitTimeout,
)
from launch_async.http import Request, Response, Transport
from launch_async.rate_limit import LocalRateLimiter, UnlimitedRateLimiter
from launch_async.watch.log_cursor import fresh_lines
from launch_async.wire.timestamps import format_iso
from tests.support.timed_following import follow as follow_many
from tests.support.timed_launch import Build, Launch, Line
from tests.support.virtual_time import run

Bound = Literal["inclusive", "exclusive"]


def now() -> float:
    return asyncio.get_running_loop().time()


def followed(launch: Launch, **options: str) -> list[str]:
    async def main() -> list[str]:
        return [line.message async for line in launch.client().follow_logs(launch.ref(0), **options)]

    return run(main())


@pytest.mark.parametrize("bound", ["inclusive", "exclusive"])
def test_every_line_is_given_once_and_in_order(bound: Bound) -> None:
    lines = [Line(str(number), at=number * 0.3) for number in range(200)]
    lines += [Line("twin", at=30.0), Line("twin", at=30.0)]
    launch = Launch([Build(begins=0, ends=62, lines=lines)], bound=bound)

    messages = followed(launch)

    assert [message for message in messages if message != "twin"] == [str(number) for number in range(200)]
    assert messages.count("twin") == 2


@pytest.mark.parametrize(
    "stamp", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2100-01-01T00:00:00Z"]
)
@pytest.mark.parametrize("at", [1.0, 30.0])
def test_a_line_with_any_time_is_given_and_hides_no_other_line(stamp: str, at: float) -> None:
    lines = [*(Line(str(second), at=second + 0.5) for second in range(60)), Line("odd", at=at, stamp=stamp)]
    launch, seen = Launch([Build(ends=60, lines=lines)]), dict[str, float]()

    async def main() -> None:
        async for line in launch.client().follow_logs(launch.ref(0)):
            assert line.message not in seen
            seen[line.message] = now()

    run(main())

    assert sorted(seen) == sorted(line.message for line in lines)
    # The line is given during the build, and not only when the whole log is read at the end.
    assert seen["50"] < 60


@pytest.mark.parametrize("late", [1.0, 4.0, 30.0, 60.4])
def test_a_late_line_is_given_late_and_once(late: float) -> None:
    lines = [Line("late", at=10.0, late=late - 10 if late > 10 else late), *[Line("x", at=at) for at in range(60)]]
    launch = Launch([Build(ends=60, lines=lines)])

    assert sorted(followed(launch)) == ["late", *["x"] * 60]


@pytest.mark.parametrize(("seconds", "late"), [(1, 0.9), (60, 2.9), (200, 4.9)])
def test_the_wait_for_late_last_lines_grows_with_the_duration_of_the_build(seconds: int, late: float) -> None:
    lines = [*[Line("x", at=at) for at in range(0, seconds, 10)], Line("last", at=seconds, late=late)]
    launch = Launch([Build(ends=seconds, lines=lines)])

    assert followed(launch)[-1] == "last"


@pytest.mark.parametrize("end", range(36, 46))
def test_the_wait_for_the_last_line_is_as_long_as_the_usual_delay(end: int) -> None:
    lines = [*[Line(str(at), at=at, late=4) for at in range(30)], Line("last", at=end, late=4)]
    launch = Launch([Build(ends=end, lines=lines)])

    assert followed(launch) == [*map(str, range(30)), "last"]


@pytest.mark.parametrize("end", range(36, 46))
def test_the_wait_for_the_last_line_is_as_long_as_the_longest_delay(end: int) -> None:
    lines = [*[Line("x", at=at) for at in range(30)], Line("late", at=10, late=4.5), Line("last", at=end, late=4)]
    launch = Launch([Build(ends=end, lines=lines)])

    assert sorted(followed(launch)) == ["last", "late", *["x"] * 30]


def test_a_whole_log_that_was_read_after_the_end_is_not_read_again() -> None:
    launch = Launch([Build(ends=14, lines=[Line(str(at), at=at) for at in range(15)])])

    async def main() -> list[str]:
        client = launch.client(LocalRateLimiter(RateLimit(1, per=10, poll_share=1)))
        return [line.message async for line in client.follow_logs(launch.deployment(0))]

    assert run(main()) == [str(at) for at in range(15)]
    assert [operation for _, operation, _ in launch.seen] == [
        "getDeploymentLogs",
        "getDeploymentLogs",
        "listDeployments",
    ]


def test_a_deployment_that_ended_long_ago_is_not_waited_for() -> None:
    launch = Launch([Build(created=-90, begins=-90, ends=-20, lines=[Line("x", at=-30)])], latency=0.5)

    async def main() -> float:
        assert [line.message async for line in launch.client().follow_logs(launch.ref(0))] == ["x"]
        return now()

    assert run(main()) == pytest.approx(1.0)


def test_followers_of_one_deployment_share_its_requests() -> None:
    lines = [Line(str(at), at=at) for at in range(60)]

    def requests_of(followers: int) -> int:
        launch = Launch([Build(ends=60, lines=lines)])

        async def main() -> list[list[str]]:
            client = launch.client()

            async def follow(after: float) -> list[str]:
                await asyncio.sleep(after)
                return [line.message async for line in client.follow_logs(launch.ref(0))]

            return await asyncio.gather(*(follow(index * 0.7) for index in range(followers)))

        assert run(main()) == [[str(at) for at in range(60)]] * followers
        return len(launch.seen)

    assert requests_of(5) <= requests_of(1) + 8  # each of the four others costs one request at its start and one more


def test_another_follower_reads_after_the_reading_follower_is_cancelled() -> None:
    launch = Launch([Build(ends=30, lines=[Line(str(at), at=at) for at in range(30)])], latency=0.5)

    async def main() -> list[str]:
        client = launch.client()

        async def follow() -> list[str]:
            return [line.message async for line in client.follow_logs(launch.ref(0))]

        first = asyncio.create_task(follow())
        second = asyncio.create_task(follow())
        await asyncio.sleep(0.7)  # the state is known after 0.5 s, so now the log is requested
        first.cancel()
        return await second

    assert run(main()) == [str(at) for at in range(30)]


@pytest.mark.parametrize("created", [True, False])
def test_a_hundred_logs_take_few_more_requests_than_the_minimum(created: bool) -> None:
    figures = follow_many(100, 40, 80, created=created)

    assert (figures.lost, figures.repeated) == (0, 0)
    assert figures.ratio <= 1.35  # the ratio is at most 1.25 for two hundred: benchmarks/followers.py


def test_a_line_with_an_unreadable_time_is_given_once() -> None:
    launch = Launch([Build(ends=60, lines=[Line("odd", at=5, stamp="yesterday"), Line("even", at=30)])])

    assert sorted(followed(launch)) == ["even", "odd"]


def test_the_log_of_a_deployment_that_has_ended_takes_two_requests() -> None:
    launch = Launch([Build(ends=0, lines=[Line("one"), Line("two")])])

    assert followed(launch) == ["one", "two"]
    assert len(launch.seen) == 2


def test_the_log_of_a_queued_deployment_is_not_requested() -> None:
    launch = Launch([Build(begins=100, ends=160, lines=[Line("x", at=101)])])

    assert followed(launch) == ["x"]
    assert all(at >= 100 for at, operation, _ in launch.seen if operation == "getDeploymentLogs")


def test_a_flowing_log_needs_no_polls_of_the_status() -> None:
    launch = Launch([Build(ends=300, lines=[Line(str(at), at=at) for at in range(300)])])

    assert len(followed(launch)) == 300
    assert launch.asked["listDeployments"] + launch.asked["getDeployment"] <= 5


def test_a_log_that_fails_for_a_while_is_reported_once_and_loses_no_line(caplog: pytest.LogCaptureFixture) -> None:
    launch = Launch([Build(ends=60, lines=[Line(str(at), at=at) for at in range(60)])])
    caplog.set_level(logging.WARNING)

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        loop.call_at(10, launch.fail, "getDeploymentLogs")
        loop.call_at(40, launch.recover)
        return [line.message async for line in launch.client().follow_logs(launch.ref(0))]

    assert run(main()) == [str(at) for at in range(60)]
    assert [record.name for record in caplog.records] == ["launch_async.watch.following"]


def test_a_log_that_always_fails_does_not_end_the_iteration() -> None:
    launch = Launch([Build(ends=60)])
    launch.fail("getDeploymentLogs", status=500)

    assert followed(launch) == []
    assert run(launch.client().wait(launch.ref(0))).status == "LIVE"


def test_a_deployment_that_cannot_be_read_ends_the_iteration() -> None:
    launch = Launch([Build()])
    launch.fail("getDeployment", "listDeployments", status=404)

    with pytest.raises(NotFoundError):
        followed(launch)


def test_a_status_that_cannot_be_read_for_a_minute_ends_the_iteration() -> None:
    launch = Launch([Build(ends=9999)])

    async def main() -> None:
        asyncio.get_running_loop().call_at(10, launch.fail, "getDeployment")
        async for _ in launch.client().follow_logs(launch.ref(0)):
            pass

    with pytest.raises(ServerError):
        run(main())


def test_a_failed_request_for_the_last_lines_is_repeated() -> None:
    launch = Launch([Build(ends=0, lines=[Line("x")])])
    launch.fail("getDeploymentLogs", status=500)

    async def main() -> list[str]:
        asyncio.get_running_loop().call_at(2, launch.recover)
        return [line.message async for line in launch.client().follow_logs(launch.ref(0))]

    assert run(main()) == ["x"]


def test_a_stored_cursor_continues_after_its_last_line() -> None:
    launch = Launch([Build(ends=60, lines=[Line(str(at), at=at) for at in range(60)])])

    async def main() -> tuple[list[str], list[str]]:
        client, cursor, first = launch.client(), LogCursor(), []
        async for line in client.follow_logs(launch.ref(0), cursor=cursor):
            first.append(line.message)
            if len(first) == 20:
                break
        stored = cursor.to_json()
        return first, [line.message async for line in client.follow_logs(launch.ref(0), cursor=stored)]

    first, rest = run(main())
    assert first + rest == [str(at) for at in range(60)]


def test_an_unknown_level_is_refused_before_a_request() -> None:
    launch = Launch([Build(ends=9999)])

    async def follow_all() -> None:
        async for _ in launch.client().follow_all([launch.ref(0)], level="ERROR"):  # type: ignore[arg-type]
            pass

    for follow in (lambda: followed(launch, level="ERROR"), lambda: run(follow_all())):
        with pytest.raises(InvalidArgumentError, match="level: must be one of info, warning, error, not 'ERROR'"):
            follow()
    assert not launch.seen


def test_lines_can_be_chosen_by_stage_and_by_level() -> None:
    lines = [Line("a", stage="INSTALL"), Line("b"), Line("warning: c"), Line("Error: d")]
    launch = Launch([Build(ends=5, lines=lines)])

    assert followed(launch, stage="INSTALL") == ["a"]
    assert followed(launch, level="warning") == ["warning: c", "Error: d"]


def test_a_text_that_is_no_cursor_is_refused_by_following() -> None:
    with pytest.raises(InvalidArgumentError, match="cursor"):
        followed(Launch([Build()]), cursor="x")


def test_watching_gives_every_line_before_it_returns() -> None:
    launch, events = Launch([Build(begins=10, ends=60, lines=[Line("first", at=11), Line("last", at=60)])]), list[str]()

    async def main() -> None:
        watching = launch.client()._watching
        ended = await watching.watch(
            launch.ref(0),
            on_log=lambda line: events.append(line.message),
            on_update=lambda deployment: events.append(deployment.status),
        )
        events.append(f"returned {ended.status}")

    run(main())
    assert [event for event in events if event.isupper()] == ["QUEUED", "DEPLOYING", "LIVE"]
    assert [event for event in events if not event.isupper()] == ["first", "last", "returned LIVE"]


def test_watching_a_failure_reports_it_without_another_request_for_the_log() -> None:
    launch = Launch([Build(ends=20, outcome="FAILED", lines=[Line("Error: x", at=19)])])
    messages: list[str] = []

    with pytest.raises(DeploymentFailed) as caught:
        run(launch.client()._watching.watch(launch.ref(0), on_log=lambda line: messages.append(line.message)))

    assert messages == ["Error: x"]
    assert caught.value.report.first_error == "Error: x"
    assert launch.seen[-1][1] == "getDeploymentLogs"
    assert launch.seen[-2][1] != "getDeploymentLogs"


def test_watching_ends_at_its_deadline() -> None:
    launch = Launch([Build(ends=9999)])

    async def main() -> float:
        with pytest.raises(WaitTimeout, match="DEPLOYING"):
            await launch.client()._watching.watch(launch.ref(0), on_log=len, timeout=20)
        return now()

    assert run(main()) == pytest.approx(20)


def test_watching_without_a_listener_is_waiting() -> None:
    launch = Launch([Build(ends=20)])

    run(launch.client()._watching.watch(launch.ref(0)))

    assert not launch.asked["getDeploymentLogs"]


def test_a_callback_that_raises_ends_the_watch() -> None:
    launch = Launch([Build(ends=60, lines=[Line("x", at=1)])])

    with pytest.raises(ZeroDivisionError):
        run(launch.client()._watching.watch(launch.ref(0), on_log=lambda _: 1 // 0))


def test_many_logs_are_one_stream_ordered_by_time() -> None:
    builds = [
        Build(ends=30, environment=index, lines=[Line(f"{index}-{at}", at=at + index / 10) for at in range(30)])
        for index in range(5)
    ]
    launch = Launch(builds)

    async def main() -> list[tuple[int, str]]:
        refs = [launch.ref(index) for index in (0, 1, 2, 3, 4, 4)]
        return [
            (launch.index(one.ref.deployment_uid), one.line.message) async for one in launch.client().follow_all(refs)
        ]

    lines = run(main())
    assert sorted(message for _, message in lines) == sorted(line.message for build in builds for line in build.lines)
    assert all(message.startswith(f"{index}-") for index, message in lines)
    moments = [float(message.split("-")[1]) for _, message in lines]
    assert sum(later < earlier - 3 for earlier, later in pairwise(moments)) == 0


def test_one_log_that_cannot_be_followed_does_not_end_the_others() -> None:
    launch = Launch([Build(ends=30, lines=[Line("x", at=20)])])
    seen: list[str] = []

    async def main() -> None:
        missing = launch.missing()
        async for one in launch.client().follow_all([missing, launch.ref(0)]):
            seen.append(str(one))  # noqa: PERF401 - what came before the error counts

    with pytest.raises(NotFoundError):
        run(main())
    assert seen == [f"{launch.uids[0][:8]} x"]


def test_leaving_a_stream_early_stops_all_requests() -> None:
    launch = Launch([Build(ends=9999, environment=index, lines=[Line("x")]) for index in range(3)])

    async def main() -> int:
        client = launch.client()
        stream = client.follow_all([launch.ref(index) for index in range(3)])
        async for _ in stream:
            break
        await stream.aclose()  # type: ignore[attr-defined]
        assert not client._watching._poller._environments
        return len(asyncio.all_tasks())

    assert run(main()) == 1


def test_twenty_logs_within_the_budget_lose_and_repeat_nothing() -> None:
    builds = [
        Build(ends=60 + index, environment=index, lines=[Line(f"{index}-{at}", at=at) for at in range(60)])
        for index in range(20)
    ]
    launch = Launch(builds, latency=0.02)

    async def main() -> list[str]:
        client = launch.client(LocalRateLimiter(RateLimit(10)))
        return [one.line.message async for one in client.follow_all(launch.ref(index) for index in range(20))]

    assert sorted(run(main())) == sorted(line.message for build in builds for line in build.lines)


class LongLog(Transport):
    """A service with one deployment that ended long ago, and its log."""

    def __init__(self, log: list[dict[str, object]]) -> None:
        self.body = json.dumps({"deploymentLogs": log}).encode()

    async def send(self, request: Request) -> Response:
        """Answer a request."""
        deployment = {"uid": "c" * 24, "status": "LIVE", "updatedAt": "2026-05-04T10:00:00.000Z"}
        answers: dict[str, object] = {
            "getDeployment": {"deployment": deployment},
            "listDeployments": {"deployments": [deployment]},
        }
        is_log = request.operation == "getDeploymentLogs"
        return Response(200, {}, self.body if is_log else json.dumps(answers[request.operation]).encode())

    async def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("order", ["sorted", "late", "shuffled"])
async def test_a_long_log_is_followed_in_time_order_without_blocking_the_event_loop(order: str) -> None:
    numbers, turns, start = list(range(12_000)), 0, datetime(2026, 5, 4, 9, tzinfo=UTC)
    if order == "late":
        numbers[100], numbers[9_000] = numbers[9_000], numbers[100]
    elif order == "shuffled":
        random.Random(1).shuffle(numbers)
    log: list[dict[str, object]] = [
        {"message": f"line {number}", "timestamp": format_iso(start + timedelta(milliseconds=number))}
        for number in numbers
    ]
    log.insert(7, {"message": "odd", "stage": None, "timestamp": "never"})

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    service = LongLog(log)
    async with LaunchClient(AccessToken("token"), transport=service, limiter=UnlimitedRateLimiter()) as launch:
        ref = DeploymentRef("a" * 24, "b" * 24, "c" * 24)
        given = [line.message async for line in launch.follow_logs(ref)]
    other.cancel()

    assert [message for message in given if message != "odd"] == [f"line {number}" for number in range(12_000)]
    assert given.count("odd") == 1
    assert turns > 10


async def test_a_long_page_gives_the_same_new_lines_as_short_pages() -> None:
    dice, start = random.Random(2), datetime(2026, 5, 4, tzinfo=UTC)
    page = [
        LogLine(message=str(dice.randrange(50)), timestamp=start + timedelta(milliseconds=dice.randrange(3000)))
        for _ in range(5000)
    ]
    cursor = LogCursor()
    for line in cursor.unseen(page)[:1500]:
        cursor.give(line)

    fresh = await fresh_lines(cursor, page)

    assert list(fresh) == cursor.unseen(page)
    assert fresh[-5:][0] == fresh[len(fresh) - 5]
