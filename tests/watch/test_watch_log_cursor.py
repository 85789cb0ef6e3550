"""The log cursor gives every line exactly once, although the service repeats, delays and reorders lines."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from launch_async import InvalidArgumentError, LogCursor, LogLine, LogStage

START = datetime(2026, 3, 1, tzinfo=UTC)


def line(message: str, milliseconds: int | None = 0, *, stage: str = "BUILD", text: str = "?") -> LogLine:
    if milliseconds is None:
        return LogLine(message=message, stage=LogStage(stage), extra={"timestamp": text})
    return LogLine(message=message, stage=LogStage(stage), timestamp=START + timedelta(milliseconds=milliseconds))


def read(cursor: LogCursor, page: list[LogLine]) -> list[str]:
    given_now = []
    for one in cursor.unseen(page):
        cursor.give(one)
        given_now.append(one.message)
    return given_now


def answer(lines: list[LogLine], after: datetime | None, *, inclusive: bool) -> list[LogLine]:
    """Return the lines that the service sends, which include all lines without a readable time."""
    return [
        one
        for one in lines
        if after is None or one.timestamp is None or one.timestamp > after or (inclusive and one.timestamp == after)
    ]


@st.composite
def logs(draw: st.DrawFn) -> list[tuple[LogLine, int]]:
    """Return lines, each with the number of the first poll that can read it."""
    times = draw(st.lists(st.one_of(st.none(), st.integers(0, 40_000)), max_size=60))
    return [
        (
            line(draw(st.sampled_from(["a", "b", "c"])), at, stage=draw(st.sampled_from(["X", "Y"]))),
            draw(st.integers(0, 6)),
        )
        for at in times
    ]


@given(logs(), st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_every_line_is_given_once_from_shuffled_repeated_and_delayed_pages(log, inclusive, random) -> None:
    cursor, seen = LogCursor(), Counter[LogLine]()

    earlier_page: list[LogLine] = []
    for poll in range(8):
        readable = [one for one, first_look in log if first_look <= poll]
        random.shuffle(readable)
        page = answer(readable, None if poll == 7 else cursor.ask_after, inclusive=inclusive)
        for arrival in (page, earlier_page):
            for one in cursor.unseen(arrival):
                cursor.give(one)
                seen[one] += 1
        earlier_page = page
        cursor = LogCursor.from_json(cursor.to_json())

    assert seen == Counter(one for one, _ in log)
    assert cursor.lines == len(log)


@given(st.lists(st.integers(0, 20), max_size=40), st.booleans())
def test_lines_that_arrive_together_are_ordered_by_time(times, inclusive) -> None:
    cursor = LogCursor()
    page = [line(str(index), at) for index, at in enumerate(times)]

    given_now = cursor.unseen(answer(page, cursor.ask_after, inclusive=inclusive))

    assert [one.timestamp for one in given_now] == sorted(one.timestamp for one in page)


@pytest.mark.parametrize("inclusive", [True, False])
def test_a_line_that_shares_the_newest_millisecond_is_not_missed(inclusive: bool) -> None:
    cursor = LogCursor()
    read(cursor, [line("first", 5)])

    page = answer([line("first", 5), line("second", 5)], cursor.ask_after, inclusive=inclusive)

    assert read(cursor, page) == ["second"]


def test_equal_lines_are_counted() -> None:
    cursor = LogCursor()
    read(cursor, [line("again", 5)])

    assert read(cursor, [line("again", 5)] * 3) == ["again", "again"]


def test_a_line_that_arrives_late_is_given_late() -> None:
    cursor = LogCursor()
    read(cursor, [line("new", 60_000)])

    assert read(cursor, [line("late", 1), line("new", 60_000)]) == ["late"]


def test_an_unreadable_time_is_passed_on_once_and_does_not_move_the_cursor() -> None:
    cursor = LogCursor()
    read(cursor, [line("dated", 10)])
    before = cursor.ask_after

    assert read(cursor, [line("undated", None)]) == ["undated"]
    assert read(cursor, [line("undated", None)]) == []
    assert cursor.ask_after == before


def test_an_undated_line_stays_behind_the_line_that_it_followed() -> None:
    cursor = LogCursor()

    page = [line("b", 2), line("under b", None), line("a", 1), line("under a", None)]

    assert read(cursor, page) == ["a", "under a", "b", "under b"]


def test_a_new_cursor_requests_the_whole_log_and_a_used_one_only_its_end() -> None:
    cursor = LogCursor()
    assert cursor.ask_after is None

    read(cursor, [line("x", 60_000)])

    assert cursor.ask_after == START + timedelta(seconds=55, milliseconds=-1)
    assert cursor.newest == START + timedelta(seconds=60)


def test_a_line_is_marked_as_given_only_when_the_caller_gets_it() -> None:
    cursor = LogCursor()
    page = [line("one", 1), line("two", 2)]

    cursor.give(cursor.unseen(page)[0])
    stored = cursor.to_json()

    assert read(LogCursor.from_json(stored), page) == ["two"]


def test_a_stored_cursor_contains_no_text_of_the_log() -> None:
    cursor = LogCursor()
    read(cursor, [line("TOKEN=hunter2", at) for at in range(200)])

    assert "hunter2" not in cursor.to_json() + repr(cursor)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v":2}', '{"v":1}', "null"])
def test_a_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="cursor"):
        LogCursor.from_json(text)


def test_a_truncated_cursor_is_refused() -> None:
    cursor = LogCursor()
    read(cursor, [line(str(at), at) for at in range(200)])
    state = json.loads(cursor.to_json())
    state["old"] = "AAAA"

    with pytest.raises(InvalidArgumentError):
        LogCursor.from_json(json.dumps(state))


@pytest.mark.parametrize("dated", [True, False])
def test_the_cursor_of_a_long_build_stays_below_64_kib(dated: bool) -> None:
    cursor = LogCursor()
    log = [line(str(at), at * 100 if dated else None) for at in range(20_000)]
    for one in log:
        cursor.give(one)

    stored = LogCursor.from_json(cursor.to_json())

    assert (cursor.lines, stored.lines) == (20_000, 20_000)
    assert len(cursor.to_json()) < 64 * 1024
    assert stored.unseen(log) == []


def test_a_late_line_of_a_long_build_is_given_unless_it_is_among_the_oldest() -> None:
    cursor = LogCursor()
    for at in range(20_000):
        cursor.give(line(str(at), at * 100))

    assert read(cursor, [line("late", 1_500_000)]) == ["late"]
    assert read(cursor, [line("very late", 1_000)]) == []


def test_many_lines_of_one_moment_hide_no_new_line() -> None:
    cursor = LogCursor()
    log = [line(str(number), 5) for number in range(20_000)]
    for one in log[:-1]:
        cursor.give(one)

    assert read(cursor, log) == ["19999"]


def test_lines_of_the_first_and_last_possible_time_are_given_once() -> None:
    first, last = (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))
    page = [LogLine(message=str(moment), timestamp=moment) for moment in (first, last)]
    cursor = LogCursor()

    assert len(read(cursor, page)) == 2
    assert read(LogCursor.from_json(cursor.to_json()), page) == []
