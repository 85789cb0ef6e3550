"""Desired variables from a dotenv file."""

from __future__ import annotations

import sys

import pytest

from launch_async import ConfigurationError, InvalidArgumentError

FILE = """\
# what the site needs
API_URL=https://api.example.com

export LIMIT=8
QUOTED="two words # and no comment"
LINES="one
two"
LITERAL=${HOME}/x   # a comment
TWICE=first
TWICE=second
"""


async def test_a_dotenv_file_says_what_is_desired(client, uids, tmp_path):
    file = tmp_path / "production.env"
    file.write_text(FILE, "utf-8")

    await client.variables.apply(await client.variables.diff(*uids, file, remove=True))

    assert await client.variables.read(*uids) == {
        "API_URL": "https://api.example.com",
        "LIMIT": "8",
        "QUOTED": "two words # and no comment",
        "LINES": "one\ntwo",
        "LITERAL": "${HOME}/x",
        "TWICE": "second",
    }


async def test_a_byte_order_mark_is_no_part_of_a_name(client, uids, tmp_path):
    file = tmp_path / "windows.env"
    file.write_bytes("NEW=ü\r\n".encode("utf-8-sig"))

    diff = await client.variables.diff(*uids, str(file))

    assert diff.added == ("NEW",)


@pytest.mark.parametrize(("text", "line"), [("GOOD=1\nNAME ONLY\n", 2), ("GOOD=1\n\nNAME\n", 3), ("'UNCLOSED=x\n", 1)])
async def test_a_line_that_is_no_assignment_is_refused_by_its_number(client, uids, tmp_path, text, line):
    file = tmp_path / "broken.env"
    file.write_text(text, "utf-8")

    with pytest.raises(InvalidArgumentError, match=rf"broken\.env, line {line}"):
        await client.variables.diff(*uids, file)


async def test_an_empty_value_in_a_file_is_refused_by_name(client, uids, tmp_path):
    file = tmp_path / "empty.env"
    file.write_text("NAME=\n", "utf-8")

    with pytest.raises(InvalidArgumentError, match="'NAME' is empty"):
        await client.variables.diff(*uids, file)


async def test_a_file_that_is_not_there_is_refused(client, uids, tmp_path):
    with pytest.raises(InvalidArgumentError, match="No such file"):
        await client.variables.diff(*uids, tmp_path / "nowhere.env")


async def test_a_file_that_is_not_utf8_is_refused(client, uids, tmp_path):
    file = tmp_path / "latin.env"
    file.write_bytes(b"NAME=\xff\xfe\n")

    with pytest.raises(InvalidArgumentError, match="not UTF-8"):
        await client.variables.diff(*uids, file)


async def test_without_the_extra_the_error_names_it(client, uids, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dotenv.parser", None)

    with pytest.raises(ConfigurationError, match=r"contentstack-launch\[dotenv\]"):
        await client.variables.diff(*uids, tmp_path / "any.env")
