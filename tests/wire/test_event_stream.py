"""Server-Sent Events follow the HTML standard for every division of the bytes, in limited memory."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from launch_async.wire.event_stream import EventDecoder, EventTooLarge, ServerSentEvent

LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=12)
NAME = st.one_of(st.just(""), LINE)
EVENTS = st.lists(st.tuples(NAME, st.lists(LINE, min_size=1, max_size=3), st.one_of(st.none(), LINE)), max_size=5)
ENDS = st.sampled_from(["\n", "\r", "\r\n"])


def decoded(stream: bytes, cuts: list[int] | None = None) -> list[ServerSentEvent]:
    decoder, found = EventDecoder(), []
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts or ()), len(stream)]
    for start, end in pairwise(places):
        found += decoder.feed(stream[start:end])
    return found


@given(EVENTS, st.data(), st.booleans())
def test_events_are_decoded_unchanged_for_every_division_of_the_bytes(events, data, mark) -> None:
    text, expected, last_id, end = "\ufeff" * mark, [], "", data.draw(ENDS)
    for name, lines, identifier in events:
        fields = [f": a comment{end}", f"unknown: x{end}", f"retry: 10{end}"]
        if name:
            fields.append(f"event: {name}{end}")
        if identifier is not None:
            fields.append(f"id: {identifier}{end}")
            last_id = identifier
        text += "".join([*fields, *(f"data: {line}{end}" for line in lines), end])
        expected.append(ServerSentEvent(name or "message", "\n".join(lines), last_id))
    stream = text.encode()

    assert decoded(stream, data.draw(st.lists(st.integers(0, 10_000), max_size=20))) == expected


# The examples of the standard, https://html.spec.whatwg.org/multipage/server-sent-events.html


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10", "")]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [("message", "first event", "1"), ("message", "second event", ""), ("message", " third event", "")],
        ),
        ("data\n\ndata\ndata\n\ndata:", [("message", "", ""), ("message", "\n", "")]),
        ("data:test\n\ndata: test\n\n", [("message", "test", ""), ("message", "test", "")]),
        ("event: only\n\ndata: x\n\n", [("message", "x", "")]),
        ("id: a\0b\ndata: x\n\n", [("message", "x", "")]),
        ("data: \ufffd\n\n", [("message", "\ufffd", "")]),
        ("data: a\r\ndata: b\n\rdata: c\r\r\n", [("message", "a\nb", ""), ("message", "c", "")]),
        ("", []),
    ],
)
def test_the_examples_of_the_standard(stream: str, expected: list[tuple[str, str, str]]) -> None:
    assert decoded(stream.encode()) == [ServerSentEvent(*one) for one in expected]


def test_bytes_that_are_no_text_are_replaced_and_other_lines_stay() -> None:
    assert decoded(b"data: \xff\xfe\n\ndata: x\n\n") == [
        ServerSentEvent("message", "\ufffd\ufffd", ""),
        ServerSentEvent("message", "x", ""),
    ]


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 100, b"data: 12345678\n" * 9, b": " + b"x" * 100])
def test_an_event_beyond_the_limit_ends_the_stream(stream: bytes) -> None:
    decoder = EventDecoder(max_bytes=64)
    pieces = (stream[at : at + 1] for at in range(len(stream)))

    with pytest.raises(EventTooLarge):
        _ = [decoder.feed(piece) for piece in pieces]


def test_many_small_events_and_comments_never_reach_the_limit() -> None:
    decoder = EventDecoder(max_bytes=64)

    assert len([event for _ in range(100) for event in decoder.feed(b"data: 123456\n\n: x\n: y\n")]) == 100


def test_a_stream_continues_from_the_last_id_of_the_previous_one() -> None:
    decoder = EventDecoder(last_id="7")

    assert decoder.feed(b"data: x\n\n") == [ServerSentEvent("message", "x", "7")]
    assert (decoder.feed(b"id: 8\n"), decoder.last_id) == ([], "7")
