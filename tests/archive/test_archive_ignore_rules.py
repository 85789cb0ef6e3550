"""Ignore files exclude the same files as in git, and `.launchignore` takes precedence."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from launch_async.archive.archive import list_archive
from tests.support.git_ignore import GIT, GIT_ENVIRONMENT, lay_out, sent_by_git

names = st.sampled_from(["a", "b", "ab", "a.o", "x y", "b-"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
words = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "*",
        "?",
        "a*",
        "*b",
        "*.o",
        "**",
        "[ab]",
        "[!a]",
        "[a-z]*",
        "[[:alpha:]]",
        "***",
        "\\a",
        "x y",
    ]
)
patterns = st.builds(
    lambda keeps, start, body, end: keeps + start + "/".join(body) + end,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "/", "**/"]),
    st.lists(words, min_size=1, max_size=3),
    st.sampled_from(["", "", "/", "/*", "/**", " ", "\\ ", "\r"]),
)
rules = st.lists(
    patterns | st.sampled_from(["", "#a", "\\#a", "/", "!", "\\", "//", "!*/", "[", "a["]), min_size=1, max_size=5
)


def lay_out_with_ignore_files(folder: Path, files: set[str], ignore_files: dict[str, list[str]]) -> None:
    lay_out(folder, files)
    for place, lines in ignore_files.items():
        if (folder / place).is_dir():
            (folder / place / ".gitignore").write_bytes("\n".join(lines).encode())


def sent_by_us(folder: Path) -> set[str]:
    return {entry.path for entry in list_archive(folder).entries}


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    files=st.sets(paths, min_size=1, max_size=12),
    outer=rules,
    inner=st.dictionaries(st.sampled_from(["a", "a/b", "b", "ab/a"]), rules, max_size=2),
)
@example(files={"a/b/ab", "a/a.o"}, outer=["*", "!*/", "!*.o"], inner={})
@example(files={"a/b", "b/a"}, outer=["a", "!b"], inner={})
@example(files={"a/b/ab"}, outer=["/a/*", "!/a/b", "b/*"], inner={"a": ["!ab"]})
@example(files={"a/b/ab", "a/ab"}, outer=["a/**", "!a/ab"], inner={})
@example(files={"a/b/a/b"}, outer=["a/**/b"], inner={})
def test_a_tree_is_sent_exactly_as_git_would_list_it(
    repository: Path, files: set[str], outer: list[str], inner: dict[str, list[str]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out_with_ignore_files(folder, files | {"kept/always"}, {"": outer, **inner})
        (folder / "kept/.gitignore").write_text("!*\n")
        (folder / ".launchignore").write_text("!/kept\n!/kept/**\n")
        ours, theirs = sent_by_us(folder), sent_by_git(folder, repository)

    ignored = {"kept/always", "kept/.gitignore", ".launchignore"}
    assert ours - ignored == theirs - ignored


@pytest.mark.usefixtures("repository")
def test_the_reason_names_the_same_line_as_git_check_ignore(tmp_path: Path) -> None:
    lay_out_with_ignore_files(
        tmp_path, {"a/x.log", "a/keep.log", "b/y.tmp", "index.html"}, {"": ["*.log", "", "*.tmp"], "a": ["!keep*"]}
    )
    subprocess.run([*GIT, "init", "-q"], cwd=tmp_path, env=GIT_ENVIRONMENT, check=True)

    answer = subprocess.run(
        [*GIT, "check-ignore", "-v", "a/x.log", "a/keep.log", "b/y.tmp"],
        cwd=tmp_path,
        env=GIT_ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    excluded = {one.path: one.reason for one in list_archive(tmp_path).excluded if one.reason != "vcs"}
    assert excluded == {"a/x.log": "ignored by .gitignore:1", "b/y.tmp": "ignored by .gitignore:3"}
    assert [line.split(":")[1] for line in answer.splitlines()] == ["1", "1", "3"]


@pytest.mark.parametrize(
    ("launchignore", "expected"),
    [
        ("!dist/\n", {"dist/app.js", "dist/app.map", "src/a.js"}),
        ("!dist/\n*.map\n", {"dist/app.js", "src/a.js"}),
        ("src\n", set()),
        ("!node_modules\n", {"node_modules/m.js", "src/a.js"}),
    ],
)
def test_launchignore_wins_over_gitignore_and_the_vendor_exclusions(
    tmp_path: Path, launchignore: str, expected: set[str]
) -> None:
    lay_out_with_ignore_files(
        tmp_path, {"dist/app.js", "dist/app.map", "src/a.js", "node_modules/m.js"}, {"": ["dist"], "dist": ["!*"]}
    )
    (tmp_path / ".launchignore").write_text(launchignore)

    ours = {path for path in sent_by_us(tmp_path) if not Path(path).name.startswith(".")}

    assert ours == expected


def test_ignore_files_can_be_switched_off(tmp_path: Path) -> None:
    lay_out_with_ignore_files(tmp_path, {"dist/app.js"}, {"": ["dist"]})

    assert "dist/app.js" in {entry.path for entry in list_archive(tmp_path, follow_ignore_files=False).entries}


def test_an_ignore_file_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("index.html\n")
    site = tmp_path / "site"
    lay_out_with_ignore_files(site, {"index.html"}, {})
    (site / ".gitignore").symlink_to(tmp_path / "rules")
    (site / ".launchignore").symlink_to(tmp_path / "rules")

    assert sent_by_us(site) == {"index.html"}


def test_an_ignore_file_may_have_a_byte_order_mark_and_non_ascii_letters(tmp_path: Path) -> None:
    lay_out_with_ignore_files(tmp_path, {"größe/übung.txt", "データ/図.png", "index.html"}, {})
    (tmp_path / ".gitignore").write_bytes("\ufeffgröße/\r\n図*\n?*.png\r\n".encode())

    excluded = {one.path: one.reason for one in list_archive(tmp_path).excluded}

    assert excluded == {"größe/": "ignored by .gitignore:1", "データ/図.png": "ignored by .gitignore:3"}


@pytest.mark.parametrize("line", ["a\\", "[", "[[:nonsense:]", "///"])
def test_a_malformed_pattern_matches_no_file(tmp_path: Path, line: str) -> None:
    lay_out_with_ignore_files(tmp_path, {"a", "z", "index.html"}, {"": [line]})

    assert sent_by_us(tmp_path) == {".gitignore", "a", "index.html", "z"}
