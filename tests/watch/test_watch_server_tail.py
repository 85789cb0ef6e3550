"""Tailing a server's log in virtual time: windows overlap, and each line is given once."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta

import pytest

from launch_async import InvalidArgumentError, NotFoundError, ServerLogsUnavailable
from tests.support.timed_launch import Build, Launch, Line
from tests.support.virtual_time import run


def tailed(launch: Launch, *, since: datetime | timedelta | None = None, seconds: float = 60) -> list[str]:
    async def main() -> list[str]:
        until = launch.beginning + timedelta(seconds=seconds)
        lines = launch.client().tail_server_logs(launch.ref(0), since=since, until=until)
        return [line.message async for line in lines]

    return run(main())


def test_every_line_is_given_once_and_late_lines_late() -> None:
    lines = [Line(str(at), at=at + 0.5) for at in range(5, 55)] + [Line("late", at=20.2, late=10)]
    launch = Launch([Build(ends=0)], server_lines=lines)

    messages = tailed(launch, since=launch.beginning)

    assert [message for message in messages if message != "late"] == [str(at) for at in range(5, 55)]
    assert messages.count("late") == 1


def test_equal_lines_of_one_moment_are_counted() -> None:
    launch = Launch([Build(ends=0)], server_lines=[Line("hit", at=10.0)] * 3)

    assert tailed(launch, since=launch.beginning) == ["hit"] * 3


def test_a_long_history_is_read_in_windows_of_an_hour() -> None:
    lines = [Line("then", at=-7000), Line("now", at=1)]
    launch = Launch([Build(ends=0)], server_lines=lines)

    assert tailed(launch, since=timedelta(hours=3), seconds=10) == ["then", "now"]


def test_a_busy_server_is_followed_in_bounded_memory() -> None:
    launch = Launch([Build(ends=0)], server_lines=[Line(str(at), at=at / 20) for at in range(2000)])

    async def main() -> int:
        lines = launch.client().tail_server_logs(
            launch.ref(0), since=launch.beginning, until=launch.beginning + timedelta(seconds=101)
        )
        return len([line async for line in lines])

    assert run(main()) == 2000


def test_a_suspended_machine_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    launch, slept = Launch([Build(ends=0)], server_lines=[Line("soon", at=1)]), 3600.0
    wall = time.time

    async def main() -> tuple[datetime, datetime]:
        polls = launch.client()._watching._queue
        before = polls.now
        monkeypatch.setattr(time, "time", lambda: wall() + slept)
        return before, polls.now

    before, after = run(main())

    assert after - before > timedelta(seconds=slept - 1)


def test_a_static_site_is_explained() -> None:
    launch = Launch([Build(ends=0)])
    launch.fail("getServerLogs")

    with pytest.raises(ServerLogsUnavailable, match="static site"):
        tailed(launch)


def test_a_temporary_failure_loses_no_line() -> None:
    launch = Launch([Build(ends=0)], server_lines=[Line(str(at), at=at) for at in range(1, 50)])

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        loop.call_at(10, launch.fail, "getServerLogs")
        loop.call_at(30, launch.recover)
        until = launch.beginning + timedelta(seconds=60)
        lines = launch.client().tail_server_logs(launch.ref(0), since=launch.beginning, until=until)
        return [line.message async for line in lines]

    assert run(main()) == [str(at) for at in range(1, 50)]


def test_an_absent_deployment_ends_the_tail() -> None:
    launch = Launch([Build()])
    launch.fail("getServerLogs", status=404)

    with pytest.raises(NotFoundError):
        tailed(launch)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="since"):
        tailed(Launch([Build()]), since=datetime(2026, 1, 1))


def test_a_long_window_is_read_once_and_in_order() -> None:
    lines = [Line(str(number), at=-3000 + number / 10) for number in range(9_000)]
    launch = Launch([Build(ends=0)], server_lines=[*lines[4_500:], *lines[:4_500]])

    assert tailed(launch, since=timedelta(hours=2), seconds=10) == [line.message for line in lines]
