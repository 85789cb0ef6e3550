"""A log is read in parts. Every division gives the lines of the whole log."""

from __future__ import annotations

import itertools
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st

from launch_async import LogLine, ServerLogLine
from launch_async.wire.documents import structure
from launch_async.wire.json_body import load_json
from launch_async.wire.log_parts import LogParts, StoredLines
from launch_async.wire.readers import Mismatch

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.lists(
    VALUES | st.fixed_dictionaries({"message": st.text(max_size=20), "timestamp": st.just("2026-05-04T09:05:01.120Z")}),
    max_size=8,
)


def read(body: bytes, *cuts: int, bare: bool = False) -> StoredLines[LogLine]:
    parts = LogParts(LogLine, ["deploymentLogs", "logs"], bare=bare)
    edges = [0, *sorted(cuts), len(body)]
    for start, end in itertools.pairwise(edges):
        parts.feed(body[start:end])
    return parts.lines()


def entries_of(body: bytes) -> list[Any]:
    document: Any = load_json(body)
    return document["deploymentLogs"]


@given(
    entries=ENTRIES,
    before=st.dictionaries(st.text(max_size=5), VALUES, max_size=2),
    after=st.dictionaries(st.text(max_size=5), VALUES, max_size=2),
    spaced=st.booleans(),
    ascii_only=st.booleans(),
    data=st.data(),
)
def test_every_division_of_a_log_gives_the_same_lines(
    entries: list[Any], before: dict[str, Any], after: dict[str, Any], spaced: bool, ascii_only: bool, data: Any
) -> None:
    others = {"deploymentLogs", "logs"}
    document = {key: value for key, value in before.items() if key not in others}
    document["deploymentLogs"] = entries
    document |= {key: value for key, value in after.items() if key not in others}
    body = json.dumps(document, indent=1 if spaced else None, ensure_ascii=ascii_only).encode("utf-8", "replace")
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))

    lines = read(body, *cuts)

    whole = [structure(entry, LogLine) for entry in entries_of(body) if entry is not None]
    assert list(lines) == whole
    assert len(lines) == len(whole)
    assert [lines[index] for index in range(len(lines))] == whole
    assert lines[1:3] == whole[1:3]


@pytest.mark.parametrize("step", [1, 2, 7])
def test_a_log_may_arrive_byte_by_byte(step: int) -> None:
    body = (
        '{"x": -1.5e-3, "deploymentLogs" : [ {"message": "é\\ud83d"} , 42, null, "t", [] ] , "y": {"z": [1]} }\n'
    ).encode()

    lines = read(body, *range(0, len(body), step))

    assert [line.message for line in lines] == ["é\ufffd", "42", "t", "[]"]


def test_a_bare_list_is_read_only_if_allowed() -> None:
    parts = LogParts(ServerLogLine, ["logs"], bare=True)
    parts.feed(b'[{"message":"a"},{"message":"b"}] ')
    assert [line.message for line in parts.lines()] == ["a", "b"]
    with pytest.raises(Mismatch, match="expected an object"):
        read(b"[]")


def test_the_preferred_name_is_used_if_there_are_two() -> None:
    assert [line.message for line in read(b'{"logs":["b"],"deploymentLogs":["a"]}')] == ["a"]


@pytest.mark.parametrize("body", [b'{"deploymentLogs":[]}', b'{"deploymentLogs":null}', b'\xef\xbb\xbf{"logs":[ ]}'])
def test_a_log_may_be_empty(body: bytes) -> None:
    lines = read(body)
    assert (len(lines), list(lines), lines[:]) == (0, [], [])
    with pytest.raises(IndexError):
        lines[0]


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"<html>", b"text", b'"text"', b"7", b"null", b'{"x":1}', b'{1:["a"]}', b'{"logs":[',
        b'{"logs":[{"message":"a"}', b'{"logs":[}', b'{"logs":["a" "b"]}', b'{"logs":["a"],"x"}', b'{"logs":["a"]} x',
        b'{"logs":"text"}', b'{"logs":{}}', b'{"logs":7}', b'{"logs":["\xff"]}', b'{"logs":["a"]', b'{"logs":[1.x]}',
        b'{"logs":[' + b"[" * 100_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("cut", [0, 1, 8, 10])
def test_a_body_that_is_no_log_is_a_mismatch(body: bytes, cut: int) -> None:
    with pytest.raises(Mismatch):
        read(body, min(cut, len(body)))


def test_a_line_that_never_ends_is_a_mismatch() -> None:
    parts = LogParts(LogLine, ["logs"])
    parts.feed(b'{"logs":["')
    with pytest.raises(Mismatch, match="more than 16,777,216 characters"):
        parts.feed(b"x" * 40_000_000)


def test_a_long_line_is_not_scanned_again_with_each_part() -> None:
    parts = LogParts(LogLine, ["logs"])
    parts.feed(b'{"logs":["')
    for _ in range(10_000):
        parts.feed(b"x" * 1000)
    parts.feed(b'"]}')
    assert [len(line.message) for line in parts.lines()] == [10_000_000]


def test_stored_lines_can_be_pickled_and_are_decoded_once_in_order() -> None:
    lines = read(b'{"logs":["a","b"]}')
    assert list(pickle.loads(pickle.dumps(lines))) == list(lines)
    assert lines[0] is lines[-2]
