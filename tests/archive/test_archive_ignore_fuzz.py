"""The SDK reads any pattern of an ignore file as git does, and matches each pattern in a short time."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from launch_async.archive.archive import list_archive
from launch_async.archive.glob import compile_glob
from tests.support.git_ignore import lay_out, sent_by_git

VERDICTS = json.loads(Path(__file__).with_name("ignore.json").read_text("utf-8"))

letters = st.sampled_from([*"aabbc.-!#:^]", "[", " ", "\t", "é", "A", "1", "_", "~"])
names = st.lists(letters, min_size=1, max_size=4).map("".join).filter(lambda name: name not in {".", ".."})
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
pieces = st.sampled_from(
    [
        *["a", "b", "ab", "é", "*", "*", "**", "***", "?", "/", "/", "/**/", "**/", "/**"],
        *["\\", "\\a", "\\*", "\\/", "\\]", "!", "#", "-", "^", ":", " ", "\t", "\\ ", "\0", "\r"],
        *["[", "]", "[ab]", "[!a]", "[^a]", "[a-c]", "[c-a]", "[a-]", "[]-]", "[]a]", "[\\]]", "[\\a-\\c]"],
        *["[a/b]", "[!/]", "[é]", "[!é]", "[:alpha:]", "[[]", "[[:no:]]", "[[:]", "[[:a]", "[[:digit:]-z]"],
        *["[[:alpha:]]", "[[:punct:]]", "[[:space:]]", "[![:upper:]]", "[[:graph:]_]", "[[:print:]]"],
        *["[[:cntrl:]]", "[[:blank:]]", "[[:xdigit:]]", "[[:alnum:]]", "[[:lower:]]"],
    ]
)
patterns = st.lists(pieces, min_size=1, max_size=5).map("".join)
cases = st.lists(st.tuples(patterns, st.sets(paths, min_size=1, max_size=5)), min_size=1, max_size=12)


def lay_out_with_pattern(folder: Path, files: set[str], pattern: str) -> None:
    lay_out(folder, files)
    (folder / ".gitignore").write_bytes(pattern.encode())


@functools.cache
def is_read_alike(pattern: str) -> bool:
    """Whether every version of git agrees with the SDK. The meaning of `**` within a name changed after git 2.47."""
    version = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout
    numbers = re.search(r"(\d+)\.(\d+)", version)
    is_new = numbers is not None and (int(numbers[1]), int(numbers[2])) > (2, 47)
    return not (is_new and re.search(r"[^/]\*\*|\*\*[^/]", pattern))


def sent_by_us(folder: Path) -> set[str]:
    return {entry.path for entry in list_archive(folder, secrets="send").entries}


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(cases=cases)
@example(cases=[("a**/x", {"ax", "a/x", "ab/c/x", "a/b/x", "b/ax"}), ("/a**", {"ab/c", "b/ab"})])
@example(cases=[("a**", {"ab/c", "b/a"}), ("a**/**", {"ab/c", "a/c", "ab"}), ("a/**\\/b", {"a/b", "a/c/b"})])
@example(cases=[("**\\/a", {"a", "b/a", "b/c/a"}), ("**/**/b/**", {"b/a", "c/b/a", "b"}), ("a/**//", {"a/b/c"})])
@example(cases=[("[[:space:]]", {"\t", "\v", "\f", " ", "a"}), ("*b*/a*a", {"ab/aa", "b/aba", "ab/a"})])
def test_a_pattern_matches_the_same_files_as_in_git(repository: Path, cases: list[tuple[str, set[str]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kept").touch()
        for number, (pattern, files) in enumerate(case for case in cases if is_read_alike(case[0])):
            (folder / f"case{number}").mkdir()
            lay_out_with_pattern(folder / f"case{number}", files, pattern)

        assert sent_by_us(folder) == sent_by_git(folder, repository)


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda one: f"{one['pattern']!a}-{one['path']!a}")
def test_a_pattern_has_the_recorded_verdict_of_git(tmp_path: Path, verdict: dict[str, str]) -> None:
    (tmp_path / "kept").touch()
    lay_out_with_pattern(tmp_path / "case", {verdict["path"]}, verdict["pattern"] + "\n")

    assert (f"case/{verdict['path']}" in sent_by_us(tmp_path)) == (verdict["git"] == "kept")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 50 + "b", "a" * 250),
        ("a/" + "**/b/" * 40 + "c", "a/" + "b/" * 1500),
        ("**/" + "*a*/" * 40 + "b", "aaaa/" * 700),
        ("**/*a*a*a*a*/" * 10 + "**/b", "aaaaaaaaaaaa/" * 300),
        ("a**/" * 30 + "b", "a/a/a/" * 600),
        ("*?" * 60 + "b", "a" * 250),
        ("[ab]*" * 60 + "c", "ab" * 120),
        ("**/" * 500 + "a**b", "a/" * 1500),
        ("**\\/" * 60 + "a*b", "a/" * 1500),
    ],
)
def test_no_pattern_needs_exponential_time(pattern: str, path: str) -> None:
    # Each pattern takes milliseconds. An engine with backtracking would still run at the timeout of the suite.
    regex = compile_glob(pattern.encode())

    assert regex is not None
    assert regex.match(path.encode()) is None
