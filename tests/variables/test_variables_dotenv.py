"""Desired variables from a dotenv file."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import traceback

import pytest

from launch_async import InvalidArgumentError
from launch_async.wire.dotenv import DotenvError, read_dotenv

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


async def test_a_dotenv_file_contains_the_desired_variables(client, uids, tmp_path):
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
async def test_a_line_that_is_no_assignment_is_refused_with_its_number(client, uids, tmp_path, text, line):
    file = tmp_path / "broken.env"
    file.write_text(text, "utf-8")

    with pytest.raises(InvalidArgumentError, match=rf"broken\.env, line {line}"):
        await client.variables.diff(*uids, file)


async def test_an_empty_value_in_a_file_is_refused_with_its_name(client, uids, tmp_path):
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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=abc#def", "abc"),
        ("A=abc # def", "abc"),
        ("A='abc#def' # x", "abc#def"),
        ('A=`it\'s "here"`', 'it\'s "here"'),
        ("A=`one\ntwo`", "one\ntwo"),
        ('A="one\\ntwo\\t"', "one\ntwo\\t"),
        ("A='one\\ntwo'", "one\\ntwo"),
        ("A = x = y ", "x = y"),
        ("  export A: x", "x"),
        ("A=1\r\nA=2\r\n", "2"),
        ("A=${HOME}", "${HOME}"),
    ],
)
def test_a_file_is_read_as_npm_reads_it(text, value):
    assert read_dotenv(text) == {"A": value}


@pytest.mark.parametrize("text", ["A+=1", "export A", "A", "A:x", 'A="x', "A='x' y", "=x"])
def test_text_that_npm_skips_or_misreads_is_refused(text):
    with pytest.raises(DotenvError, match="line 2"):
        read_dotenv(f"B=1\n{text}\n")


async def test_a_refused_file_shows_no_value(client, uids, tmp_path):
    file = tmp_path / "broken.env"
    file.write_text("A=CANARYvalue\nB+=CANARYvalue\n", "utf-8")

    with pytest.raises(InvalidArgumentError) as caught:
        await client.variables.diff(*uids, file)

    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "CANARY" not in "".join(shown.format())


# Code of npm's dotenv, from lib/main.js: the pattern that splits a file, and the conversion of a value.
BY_NPM = r"""
const LINE = /^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?(?:$|$)/mg
const read = source => Object.fromEntries([...source.replace(/\r\n?/mg, "\n").matchAll(LINE)].map(([, name, found]) => {
  const text = (found || "").trim(), value = text.replace(/^(['"`])([\s\S]*)\1$/mg, "$2")
  return [name, text[0] === '"' ? value.replace(/\\n/g, "\n").replace(/\\r/g, "\r") : value]
}))
console.log(JSON.stringify(JSON.parse(require("fs").readFileSync(0, "utf8")).map(read)))
"""  # noqa: E501
PIECES = ["a", " ", "#", "\\n", "\\", "$", "=", "'", '"', "`", "\n", "export ", "A", "x.y", ": ", "="]


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_the_reader_agrees_with_npm_on_all_files():
    chance = random.Random(4)
    files = ["".join(chance.choices(PIECES, k=chance.randint(1, 12))) for _ in range(4000)]
    files += [
        f"{name}{quote}{body}{quote}" for name in ("A=", "A: ") for quote in ("", "'", '"', "`") for body in files[:400]
    ]
    node = subprocess.run(["node", "-e", BY_NPM], input=json.dumps(files), capture_output=True, text=True, check=True)

    differences = [
        (file, ours, theirs)
        for file, theirs in zip(files, json.loads(node.stdout), strict=True)
        if (ours := read_or_none(file)) is not None and ours != theirs
    ]

    assert differences == []


def read_or_none(text):
    try:
        return read_dotenv(text)
    except DotenvError:
        return None
