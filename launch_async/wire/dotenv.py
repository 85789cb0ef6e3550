"""Dotenv files as npm's `dotenv` reads them, but strict: a line that means nothing there is an error here.

There is no standard. Sites are JavaScript, and their files are written for that package: docs/decisions/0004-dotenv.md.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["DotenvError", "read_dotenv"]

_BLANK: Final = re.compile(r"[^\S\n]*(?:#[^\n]*)?(?:\n|\Z)")
_ASSIGNMENT: Final = re.compile(
    r"""
    \s* (?:export\s+)? (?P<name>[\w.-]+) (?: \s*= | :(?=[^\S\n]) ) [^\S\n]*
    (?P<value> '(?:\\'|[^'])*' | "(?:\\"|[^"])*" | `(?:\\`|[^`])*` | [^#\n]* )
    [^\S\n]* (?:\#[^\n]*)? (?:\n|\Z)
    """,
    re.ASCII | re.VERBOSE,
)
_QUOTES: Final = "'\"`"


class DotenvError(ValueError):
    """A line is no assignment.

    Attributes:
        line: Its number, from 1.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


def read_dotenv(text: str) -> dict[str, str]:
    r"""Return the variables of a dotenv file; of a name that occurs twice, the last value.

    - Values may stand in single quotes, double quotes or backticks, over several lines, too. In double quotes `\n` and
      `\r` are line ends; every other backslash is kept.
    - `#` begins a comment, also right behind a value without quotes: `A=abc#def` is `abc`.
    - `export ` before a name is left out; `NAME: value` is read as well.
    - `${NAME}` is not replaced, so that no variable of this machine ends up in an environment.

    Raises:
        DotenvError: A line is no assignment, or a quote is not closed. No value is repeated.
    """
    text = re.sub(r"\r\n?", "\n", text)
    variables: dict[str, str] = {}
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        line = text.count("\n", 0, at) + 1
        found = _ASSIGNMENT.match(text, at)
        if found is None:
            raise DotenvError(line, "no NAME=value")
        value = found["value"].strip()
        if value[:1] and value[0] in _QUOTES:
            if len(value) < 2 or value[-1] != value[0]:
                raise DotenvError(line, "a quote is not closed, or something stands behind it")
            quote, value = value[0], value[1:-1]
            value = value.replace("\\n", "\n").replace("\\r", "\r") if quote == '"' else value
        variables[found["name"]] = value
        at = found.end()
    return variables
