"""Tailing a server's log live in virtual time: every line once and in order, and requests only for renewals."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from launch_async import (
    AppCredentials,
    LaunchClient,
    NotFoundError,
    RateLimit,
    ResponseLost,
    ServerLogLine,
    UnauthorizedError,
)
from launch_async.emulator import InMemoryTransport
from launch_async.http import BodyStream, Request, Response, Send
from launch_async.rate_limit import LocalRateLimiter, UnlimitedRateLimiter
from tests.support.timed_launch import Build, Launch
from tests.support.virtual_time import run

Intervene = Callable[[Response], Response]


class Between:
    """A transport that lets a test change the responses of the live log."""

    streams = True

    def __init__(self, inner: InMemoryTransport, change: Callable[[Request, Response], Response] | None = None) -> None:
        self._inner = inner
        self._change = change or (lambda _, response: response)
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        answer = await self._inner.send(request)
        return self._change(request, Response(answer.status, answer.headers, answer.body, stream=answer.stream))

    async def close(self) -> None:
        pass


@attrs.define
class Stream:
    """A body whose reads a test controls."""

    reading: Callable[[], Awaitable[bytes]]
    inner: BodyStream | None = None
    closed: int = 0

    async def read(self) -> bytes:
        return await self.reading()

    def close(self) -> None:
        self.closed += 1
        if self.inner is not None:
            self.inner.close()


async def never() -> bytes:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


def launched(**options: Any) -> Launch:
    launch = Launch([Build(ends=0)], is_dated=True)
    launch.emulator.change(**options)
    return launch


def client_of(launch: Launch, transport: Any = None, **options: Any) -> LaunchClient:
    return LaunchClient(
        options.pop("credentials", None) or launch.client()._pipeline._credentials,
        base_url=launch.emulator.url,
        transport=transport or launch.emulator.transport(),
        limiter=options.pop("limiter", UnlimitedRateLimiter()),
        **options,
    )


def write(launch: Launch, times: Iterable[float], *, late: float = 0.0) -> list[str]:
    """Let the service write a line at each of these times; return the messages in order."""
    loop, messages = asyncio.get_running_loop(), list[str]()
    for number, at in enumerate(sorted(times)):
        messages.append(f"{number} at {at:.2f}")
        loop.call_at(at, _written, launch, messages[-1], late)
    return messages


def _written(launch: Launch, message: str, late: float) -> None:
    launch.emulator.add_server_log(launch.uids[0], message, late=late)


async def tailed(
    launch: Launch,
    count: int,
    client: LaunchClient | None = None,
    *,
    since: datetime | timedelta | None = None,
    seen: dict[str, float] | None = None,
) -> list[str]:
    """Return the messages of the first lines. Fail on a repeated line, or if the lines take more than ten minutes."""
    messages: list[str] = []
    async with asyncio.timeout(600), aclosing(_lines(client or client_of(launch), launch, since)) as lines:
        async for line in lines:
            assert line.message not in messages
            messages.append(line.message)
            if seen is not None:
                seen[line.message] = asyncio.get_running_loop().time()
            if len(messages) == count:
                break
    return messages


def _lines(client: LaunchClient, launch: Launch, since: datetime | timedelta | None = None, **options: Any) -> Any:
    return client.tail_server_logs(launch.ref(0), since=since, **options)


def test_lines_are_given_when_they_are_written_and_cost_one_request() -> None:
    launch = launched()

    async def main() -> tuple[list[str], list[str], dict[str, float]]:
        written, seen = write(launch, [5.0, 5.001, 40.0, 200.0]), dict[str, float]()
        return written, await tailed(launch, 4, seen=seen), seen

    written, given, seen = run(main())

    assert given == written
    assert [at - float(message.partition("at ")[2]) for message, at in seen.items()] == pytest.approx([0] * 4, abs=0.1)
    assert launch.asked == {"streamLiveServerLogs": 1}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"live_log_event": "message"},
        {"live_log_event": ""},
        {"live_log_event": "anything-else"},
        {"live_log_entries": "list"},
        {"live_log_heartbeat": "event"},
        {"live_log_resume": True},
        {"live_log_delay": 3.0},
        {"live_log_resume": True, "live_log_entries": "list", "live_log_delay": 1.0, "live_log_heartbeat": "event"},
    ],
    ids=str,
)
def test_every_form_of_the_stream_gives_each_line_once_and_in_order(options: Mapping[str, Any]) -> None:
    launch = launched(live_log_cap=20.0, **options)

    async def main() -> tuple[list[str], list[str]]:
        written = write(launch, [1 + number * 0.25 for number in range(400)])
        return written, await tailed(launch, len(written))

    written, given = run(main())

    assert given == written
    assert 5 <= launch.asked["streamLiveServerLogs"] <= 6
    # Each renewal reads the lines of the time without a stream twice.
    assert launch.asked["getServerLogs"] <= 2 * launch.asked["streamLiveServerLogs"]


@pytest.mark.parametrize("late", [0.0, 4.0, 14.0])
@pytest.mark.parametrize("seed", range(4))
def test_no_line_is_lost_or_repeated_when_connections_break(seed: int, late: float) -> None:
    launch, dice = launched(), random.Random(seed)
    breaks = [dice.uniform(6, 90) for _ in range(6)]

    async def main() -> tuple[list[str], list[str]]:
        written = write(launch, [1 + dice.uniform(0, 100) for _ in range(300)], late=late)
        for at in breaks:
            asyncio.get_running_loop().call_at(at, launch.emulator.break_live_logs)
        return written, await tailed(launch, len(written))

    written, given = run(main())

    assert sorted(given) == sorted(written)
    if not late:
        assert given == written


@pytest.mark.parametrize("status", [404, 405, 501])
def test_the_stored_log_is_polled_if_there_is_no_live_log(status: int) -> None:
    launch = launched(live_logs_status=status)

    async def main() -> tuple[list[str], list[str]]:
        client = client_of(launch)
        written = write(launch, [1 + number * 0.5 for number in range(40)])
        given = await tailed(launch, len(written), client)
        await tailed(launch, len(written), client, since=launch.beginning)
        return written, given

    written, given = run(main())

    assert given == written
    # A 404 may concern only one deployment. The other statuses concern all deployments.
    assert launch.asked["streamLiveServerLogs"] == (2 if status == 404 else 1)
    assert launch.asked["getServerLogs"] < 14


def test_a_live_log_that_disappears_is_replaced_by_polling() -> None:
    launch = launched()

    async def main() -> tuple[list[str], list[str]]:
        loop = asyncio.get_running_loop()
        written = write(launch, [1 + number * 0.5 for number in range(60)])
        loop.call_at(9.9, lambda: launch.emulator.change(live_logs_status=404))
        loop.call_at(10.1, launch.emulator.break_live_logs)
        return written, await tailed(launch, len(written))

    written, given = run(main())

    assert given == written


@pytest.mark.parametrize("kind", ["page", "mute", "held back", "without a stream"])
def test_the_log_is_polled_behind_a_buffering_proxy(kind: str) -> None:
    launch, streams = launched(), list[Stream]()

    def change(request: Request, response: Response) -> Response:
        if not request.streamed:
            return response
        assert response.stream is not None
        streams.append(Stream(never, response.stream))
        if kind == "page":
            return Response(200, {"Content-Type": "text/html"}, stream=streams[-1])
        return attrs.evolve(response, stream=streams[-1])

    async def emptied(request: Request, send: Send) -> Response:
        response = await send(request)
        return Response(response.status, response.headers, response.body)

    class HeldBack(Between):
        async def send(self, request: Request) -> Response:
            return await (asyncio.get_running_loop().create_future() if request.streamed else super().send(request))

    async def main() -> tuple[list[str], list[str]]:
        transport = (HeldBack if kind == "held back" else Between)(launch.emulator.transport(), change)
        middleware = [emptied] if kind == "without a stream" else []
        written = write(launch, [1 + number for number in range(40)])
        return written, await tailed(launch, len(written), client_of(launch, transport, middleware=middleware))

    written, given = run(main())

    assert given == written
    assert all(stream.closed for stream in streams)
    assert launch.asked["streamLiveServerLogs"] == (0 if kind == "held back" else 1)
    assert launch.emulator.live_log_readers == 0


def test_a_silent_stream_is_opened_again() -> None:
    launch, streams = launched(), list[Stream]()

    def change(request: Request, response: Response) -> Response:
        if not request.streamed or streams:
            return response
        inner, first = response.stream, asyncio.get_running_loop().time()
        assert inner is not None

        async def reading() -> bytes:
            return await (inner.read() if asyncio.get_running_loop().time() < first + 20 else never())

        streams.append(Stream(reading, inner))
        return attrs.evolve(response, stream=streams[-1])

    async def main() -> tuple[list[str], list[str]]:
        written = write(launch, [1 + number * 2 for number in range(100)])
        return written, await tailed(
            launch, len(written), client_of(launch, Between(launch.emulator.transport(), change))
        )

    written, given = run(main())

    assert given == written
    assert (launch.asked["streamLiveServerLogs"], streams[0].closed) == (2, 1)


def test_lines_that_are_late_because_the_machine_slept_are_given() -> None:
    launch, heard = launched(), asyncio.Event()

    def change(request: Request, response: Response) -> Response:
        inner = response.stream
        if inner is None:
            return response

        async def reading() -> bytes:
            await heard.wait()
            return await inner.read()

        return attrs.evolve(response, stream=Stream(reading, inner))

    async def main() -> list[str]:
        asyncio.get_running_loop().call_at(5.5, heard.set)
        write(launch, [3.0])
        return await tailed(launch, 1, client_of(launch, Between(launch.emulator.transport(), change)))

    assert run(main()) == ["0 at 3.00"]
    assert launch.asked == {"streamLiveServerLogs": 1}


def test_a_slow_reader_does_not_lose_the_stream() -> None:
    launch = launched()

    async def main() -> None:
        written, given = write(launch, [1.0, 2.0, 500.0]), list[str]()
        async with aclosing(_lines(client_of(launch), launch)) as lines:
            async for line in lines:
                given.append(line.message)
                if len(given) == len(written):
                    break
                await asyncio.sleep(200)
        assert given == written

    run(main())

    assert launch.asked == {"streamLiveServerLogs": 1}


def test_a_hundred_tails_cost_a_hundred_requests_and_then_none() -> None:
    launch = launched(live_log_cap=900.0)

    async def main() -> tuple[int, int]:
        client = client_of(launch, limiter=LocalRateLimiter(RateLimit(10)))
        given: list[str] = []

        async def one() -> None:
            async for line in _lines(client, launch):
                given.append(line.message)  # noqa: PERF401 - it never ends

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one()) for _ in range(100)]
            written = write(launch, [100.0 + number for number in range(10)])
            await asyncio.sleep(600)
            first, lines = len(launch.seen), len(given)
            assert lines == 100 * len(written)
            await asyncio.sleep(900)
            for task in tasks:
                task.cancel()
        return first, len(launch.seen) - first

    first, renewals = run(main())

    assert first == 100
    assert renewals <= 300


def test_the_history_is_read_first_and_the_end_is_respected() -> None:
    launch = launched()
    for at in (-4000.0, -10.0):
        launch.emulator.add_server_log(launch.uids[0], f"at {at}", at=launch.beginning.timestamp() + at)

    async def main() -> tuple[list[str], list[str]]:
        written = write(launch, [2.0, 3.0, 59.9, 60.5])
        until = launch.beginning + timedelta(seconds=60)
        lines = _lines(client_of(launch), launch, timedelta(hours=2), until=until)
        return written, [line.message async for line in lines]

    written, given = run(main())

    assert given == ["at -4000.0", "at -10.0", *written[:3]]


def test_equal_lines_of_one_moment_are_counted_in_both_logs() -> None:
    launch = launched()

    async def main() -> int:
        loop, count = asyncio.get_running_loop(), 0
        for at in (5.0, 5.0, 5.0, 30.0, 30.0):
            loop.call_at(at, launch.emulator.add_server_log, launch.uids[0], "hit")
        loop.call_at(8.0, launch.emulator.break_live_logs)
        until = launch.beginning + timedelta(seconds=50)
        async for _ in _lines(client_of(launch), launch, launch.beginning, until=until):
            count += 1
        return count

    assert run(main()) == 5


def test_an_absent_deployment_ends_the_tail() -> None:
    launch = launched()

    async def main() -> None:
        async for _ in client_of(launch).tail_server_logs(launch.missing()):
            pass

    with pytest.raises(NotFoundError):
        run(main())


def test_each_session_is_opened_with_a_token_that_is_valid() -> None:
    launch = launched(live_log_cap=50.0, token_seconds=120.0)

    async def main() -> tuple[list[str], list[str], set[str]]:
        transport = Between(launch.emulator.transport())
        credentials = AppCredentials(launch.emulator.client_id, launch.emulator.client_secret)
        client = client_of(launch, transport, credentials=credentials, app_url=launch.emulator.url)
        written = write(launch, [1 + number * 5 for number in range(80)])
        given = await tailed(launch, len(written), client)
        return written, given, {one.headers["Authorization"] for one in transport.requests if one.streamed}

    written, given, tokens = run(main())

    assert given == written
    assert len(tokens) >= 3


def test_a_token_that_is_refused_ends_the_tail() -> None:
    launch = launched()

    async def main() -> None:
        launch.emulator.revoke_token(launch.emulator.access_token)
        async for _ in _lines(client_of(launch), launch):
            pass

    with pytest.raises(UnauthorizedError):
        run(main())


def test_the_timeout_of_a_call_applies_only_to_the_opening() -> None:
    launch = launched()

    async def main() -> list[str]:
        write(launch, [300.0])
        return await tailed(launch, 1, client_of(launch, timeout=2.0, attempt_timeout=1.0))

    assert run(main()) == ["0 at 300.00"]
    assert launch.asked == {"streamLiveServerLogs": 1}


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_live_log_that_fails_for_a_while_is_opened_later(status: int) -> None:
    launch = launched()

    async def main() -> tuple[list[str], list[str]]:
        launch.fail("streamLiveServerLogs", status=status)
        asyncio.get_running_loop().call_at(20, launch.recover)
        written = write(launch, [1 + number for number in range(200)])
        return written, await tailed(launch, len(written))

    written, given = run(main())

    assert given == written
    assert launch.asked["getServerLogs"] < 40


def test_sessions_that_end_immediately_are_replaced_by_polling() -> None:
    launch = launched(live_log_cap=0.5)

    async def main() -> tuple[list[str], list[str]]:
        written = write(launch, [1 + number for number in range(100)])
        return written, await tailed(launch, len(written))

    written, given = run(main())

    assert given == written
    assert launch.asked["streamLiveServerLogs"] == 5


def test_a_reader_that_stops_or_is_cancelled_closes_the_connection() -> None:
    launch = launched()

    async def main() -> list[int]:
        readers = list[int]()
        write(launch, [1.0])

        async def read() -> None:
            async for _ in _lines(client_of(launch), launch):
                pass

        task = asyncio.create_task(read())
        await asyncio.sleep(5)
        readers.append(launch.emulator.live_log_readers)
        task.cancel()
        await asyncio.wait([task])
        readers.append(launch.emulator.live_log_readers)
        return readers

    assert run(main()) == [1, 0]


@pytest.mark.parametrize("failing", [True, False])
def test_a_middleware_that_loses_an_answer_leaves_no_stream_open(failing: bool) -> None:
    launch, calls = launched(), list[str]()

    async def losing(request: Request, send: Send) -> Response:
        calls.append(request.operation)
        response = await send(request)
        if len(calls) > 1:
            return response
        if failing:
            raise ResponseLost("lost")
        return Response(429)

    async def main() -> list[int]:
        queue = client_of(launch, middleware=[losing])._watching._queue
        if failing:
            with pytest.raises(ResponseLost):
                await queue.live_log(launch.ref(0), "")
            return [launch.emulator.live_log_readers]
        response = await queue.live_log(launch.ref(0), "")
        assert response.stream is not None
        readers = [launch.emulator.live_log_readers]
        response.stream.close()
        return [*readers, launch.emulator.live_log_readers]

    assert run(main()) == ([0] if failing else [1, 0])


# Clocks


@pytest.mark.parametrize("live", [200, 404, None])
@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_wrong_local_clock_hides_no_line(live: int | None, step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    launch, wall, ahead = launched(live_logs_status=live or 200), time.time, [step]
    monkeypatch.setattr(time, "time", lambda: wall() + ahead[0])

    async def main() -> tuple[list[str], list[str]]:
        transport = Between(launch.emulator.transport())
        transport.streams = live is not None
        written = write(launch, [5 + number for number in range(20)])
        asyncio.get_running_loop().call_at(10, ahead.__setitem__, 0, 0.0)
        until = launch.beginning + timedelta(seconds=40)
        lines = _lines(client_of(launch, transport), launch, until=until)
        return written, [line.message async for line in lines]

    written, given = run(main())

    assert given == written


@pytest.mark.parametrize("live", [200, 404])
@pytest.mark.parametrize("step", [3600.0, -3600.0])
@pytest.mark.parametrize(("begins", "ends"), [(0.0, 30.0), (20.0, 40.0)])
def test_a_date_that_jumps_and_is_corrected_hides_no_line(live: int, step: float, begins: float, ends: float) -> None:
    launch = launched(live_logs_status=live, live_log_cap=15.0)

    def change(_: Request, response: Response) -> Response:
        if not begins <= asyncio.get_running_loop().time() < ends:
            return response
        date = launch.emulator.clock.now() + step
        return attrs.evolve(response, headers={**response.headers, "Date": _http_date(date)})

    async def main() -> tuple[list[str], list[str]]:
        written = write(launch, [5 + number * 0.5 for number in range(120)])
        given = await tailed(launch, len(written), client_of(launch, Between(launch.emulator.transport(), change)))
        return written, given

    written, given = run(main())

    assert sorted(given) == sorted(written)


def _http_date(seconds: float) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))


# Times that a log may have


@pytest.mark.parametrize("live", [200, 404])
@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "soon", None])
def test_a_line_with_any_time_is_given_and_hides_no_other_line(live: int, stamp: str | None) -> None:
    launch = launched(live_logs_status=live)
    odd = {"message": "odd", "source": "server", "timestamp": stamp}

    def change(request: Request, response: Response) -> Response:
        now = asyncio.get_running_loop().time()
        if request.operation == "getServerLogs" and now > 10:
            return attrs.evolve(response, body=response.body.replace(b'"logs": [', b'"logs": [%s, ' % _json(odd)))
        if response.stream is not None:
            return attrs.evolve(response, stream=Stream(_with(odd, response.stream), response.stream))
        return response

    async def main() -> tuple[list[str], list[str]]:
        written = write(launch, [5 + number for number in range(40)])
        asyncio.get_running_loop().call_at(22.0, launch.emulator.break_live_logs)
        transport = Between(launch.emulator.transport(), change)
        return written, await tailed(launch, len(written) + 1, client_of(launch, transport))

    written, given = run(main())

    assert [message for message in given if message != "odd"] == written
    assert given.count("odd") == 1


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _with(odd: object, inner: BodyStream) -> Callable[[], Awaitable[bytes]]:
    """Return the reads of a stream with one more event after the tenth second."""
    sent: list[bool] = []

    async def reading() -> bytes:
        part = await inner.read()
        if asyncio.get_running_loop().time() > 10 and not sent and b"at 11" in part:
            sent.append(True)
            return part + b"event: log\ndata: " + _json(odd) + b"\n\n"
        return part

    return reading


def test_lines_are_distinguished_from_keep_alive_messages() -> None:
    launch = launched()
    frames = (
        b": comment\n\nevent: PING\ndata: {}\n\nevent: novel\ndata: 17\n\ndata: null\n\n"
        b'data: {"logs": [{"message": "a"}, {"message": "b"}]}\n\nevent: text\ndata: c\n\n'
        b'event: x\r\ndata: {"message": 4,\r\ndata: "source": "s"}\r\n\r\ndata: ["d", {"message": "e", "more": 1}]\n\n'
    )

    def change(_: Request, response: Response) -> Response:
        pieces = [frames[start : start + 7] for start in range(0, len(frames), 7)]

        async def reading() -> bytes:
            return pieces.pop(0) if pieces else await never()

        return attrs.evolve(response, stream=Stream(reading))

    async def main() -> list[ServerLogLine]:
        found: list[ServerLogLine] = []
        transport = Between(launch.emulator.transport(), change)
        async with aclosing(_lines(client_of(launch, transport), launch)) as lines:
            async for line in lines:
                found.append(line)
                if line.message == "e":
                    return found
        return found

    lines = run(main())

    assert [line.message for line in lines] == ["a", "b", "c", "4", "d", "e"]
    assert (lines[3].source, lines[5].extra) == ("s", {"more": 1})
