"""The checker of prose finds violations of the rules at the right place, and ignores code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.prose import ROOT, Settings, check_text, main

SETTINGS = Settings.read(ROOT / ".vale.ini")


def _found(name: str, text: str) -> list[tuple[int, int, str]]:
    return [(found.line, found.column, found.rule) for found in check_text(name, text, SETTINGS)]


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        ("The report tells the story.", "Launch.Words"),
        ("Send the request once\nmore.", "Launch.Words"),
        ("It doesn't matter.", "Launch.Contractions"),
        ("What failed stays failed forever.", "Launch.ClauseSubjects"),
        ("It ends. Nor is it sent again.", "Launch.Inversions"),
        ("The limit is in FACTS §4.", "Launch.Sections"),
        (f"A sentence is {'very ' * 40}long.", "Launch.SentenceLength"),
    ],
)
def test_each_rule_finds_its_pattern(sentence: str, rule: str) -> None:
    assert [found for _, _, found in _found("docs/page.md", sentence)] == [rule]


def test_a_plain_page_breaks_no_rule() -> None:
    assert _found("docs/page.md", "# What happens next\n\nWhat is a budget? The SDK reports each error.\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "```python\n# tells\n```\n",
        "- item\n\n    ```\n    tells\n    ```\n",
        "The call `tells()` ends.",
        "[A link](https://example.com/tells).",
        "<!-- tells -->",
        "--8<-- 'tells.md'",
        "<!-- vale off -->It tells.<!-- vale on -->",
        "<!-- vale Launch.Words = NO -->It tells.<!-- vale Launch.Words = YES -->",
    ],
)
def test_code_addresses_and_exceptions_are_not_read(text: str) -> None:
    assert _found("docs/page.md", text) == []


def test_a_finding_names_its_place_and_a_suggestion() -> None:
    (found,) = check_text("docs/page.md", "# Title\n\n| it | it tells |\n", SETTINGS)

    assert str(found) == (
        "docs/page.md:3:11: Launch.Words: Write 'report' or 'show' or 'say' or 'pass' instead of 'tells'."
    )


def test_comments_docstrings_and_messages_of_python_are_read() -> None:
    code = '''
"""It tells."""
tell = {"tell": 1}
# A comment goes
# on.
raise ValueError(f"The server {tell} told " "the client.")
'''

    assert _found("launch_async/module.py", code) == [
        (2, 7, "Launch.Words"),
        (4, 13, "Launch.Words"),
        (6, 38, "Launch.Words"),
    ]


def test_section_numbers_may_stay_in_comments_and_private_docstrings_only() -> None:
    code = '''
"""Public, FACTS §1."""
# FACTS §2
def _private():
    """FACTS §3."""
def public():
    """FACTS §4."""
    raise ValueError("the limit of FACTS §5 is exceeded")
'''

    assert [line for line, _, _ in _found("launch_async/module.py", code)] == [2, 7, 8]
    assert [line for line, _, _ in _found("launch_async/_module.py", code)] == [8]


def test_the_command_prints_what_it_finds_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("It tells, and doesn't stop.", "utf-8")

    assert main([str(page), "--rule", "Launch.Inversions"]) == 0
    assert capsys.readouterr().out == "The prose follows the rules.\n"

    assert main([str(page)]) == 1
    assert [line.split(": ")[-2] for line in capsys.readouterr().out.splitlines()[:-1]] == [
        "Launch.Words",
        "Launch.Contractions",
    ]
