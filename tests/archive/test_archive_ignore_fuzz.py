"""Any pattern means to an archive what it means to git, and none takes long."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from launch_async.archive.archive import list_archive
from launch_async.archive.glob import compile_glob
from tests.support.gates import lacking

GIT = ["git", "-c", "core.excludesFile=/dev/null", "-c", "core.ignoreCase=false", "-c", "safe.directory=*"]
GIT_ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
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


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository, lent to one folder after the other."""
    if not shutil.which("git"):
        lacking("git", "apt-get install git")
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run([*GIT, "init", "-q", "--bare"], cwd=folder, env=GIT_ENVIRONMENT, check=True)
    return folder


def lay_out(folder: Path, files: set[str], ignore: str) -> None:
    for name in sorted(files):
        path = folder / name
        if path.exists() or any(parent.is_file() for parent in path.parents if parent != folder):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / ".gitignore").write_bytes(ignore.encode())


@functools.cache
def is_read_alike(pattern: str) -> bool:
    """Whether every git reads a pattern as we do: after 2.47 it changed what `**` within a name means."""
    version = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout
    numbers = re.search(r"(\d+)\.(\d+)", version)
    is_new = numbers is not None and (int(numbers[1]), int(numbers[2])) > (2, 47)
    return not (is_new and re.search(r"[^/]\*\*|\*\*[^/]", pattern))


def sent_by_git(folder: Path, repository: Path) -> set[str]:
    place = [f"--git-dir={repository}", f"--work-tree={folder}"]
    command = [*GIT, *place, "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"]
    listed = subprocess.run(command, cwd=folder, env=GIT_ENVIRONMENT, check=True, capture_output=True)
    return set(listed.stdout.decode().split("\0")) - {""}


def sent_by_us(folder: Path) -> set[str]:
    return {entry.path for entry in list_archive(folder, secrets="send").entries}


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(cases=cases)
@example(cases=[("a**/x", {"ax", "a/x", "ab/c/x", "a/b/x", "b/ax"}), ("/a**", {"ab/c", "b/ab"})])
@example(cases=[("a**", {"ab/c", "b/a"}), ("a**/**", {"ab/c", "a/c", "ab"}), ("a/**\\/b", {"a/b", "a/c/b"})])
@example(cases=[("**\\/a", {"a", "b/a", "b/c/a"}), ("**/**/b/**", {"b/a", "c/b/a", "b"}), ("a/**//", {"a/b/c"})])
@example(cases=[("[[:space:]]", {"\t", "\v", "\f", " ", "a"}), ("*b*/a*a", {"ab/aa", "b/aba", "ab/a"})])
def test_a_pattern_means_what_it_means_to_git(repository: Path, cases: list[tuple[str, set[str]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kept").touch()
        for number, (pattern, files) in enumerate(case for case in cases if is_read_alike(case[0])):
            (folder / f"case{number}").mkdir()
            lay_out(folder / f"case{number}", files, pattern)

        assert sent_by_us(folder) == sent_by_git(folder, repository)


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda one: f"{one['pattern']!a}-{one['path']!a}")
def test_a_pattern_has_the_verdict_that_git_gave(tmp_path: Path, verdict: dict[str, str]) -> None:
    (tmp_path / "kept").touch()
    lay_out(tmp_path / "case", {verdict["path"]}, verdict["pattern"] + "\n")

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
def test_no_pattern_explodes(pattern: str, path: str) -> None:
    # Each of these takes milliseconds; an engine that tries every way would not end before the suite's time-out.
    regex = compile_glob(pattern.encode())

    assert regex is not None
    assert regex.match(path.encode()) is None
