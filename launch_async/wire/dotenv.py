"""Read dotenv files as npm's `dotenv` does, but strictly: a line that `dotenv` ignores as invalid is an error.

Dotenv has no standard. Sites are JavaScript, and their files are written for npm's `dotenv` (see
docs/decisions/0004-dotenv.md).
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
    """A line is not a valid assignment.

    Attributes:
        line: Number of the line, from 1.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


def read_dotenv(text: str) -> dict[str, str]:
    r"""Return the variables of a dotenv file. If a name occurs twice, its last value counts.

    - A value can be in single quotes, double quotes or backticks, and can have several lines. In double quotes, `\n`
      and `\r` are line ends. Every other backslash is kept.
    - `#` begins a comment, also directly after a value without quotes: `A=abc#def` is `abc`.
    - `export ` before a name is ignored. `NAME: value` is accepted as well as `NAME=value`.
    - `${NAME}` is not replaced, so a file cannot copy variables of the local machine into an environment.

    Raises:
        DotenvError: A line is not an assignment, or a quote is not closed. The message contains no value.
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
            raise DotenvError(line, "expected NAME=value")
        value = found["value"].strip()
        if value[:1] and value[0] in _QUOTES:
            if len(value) < 2 or value[-1] != value[0]:
                raise DotenvError(line, "a quote is not closed, or is followed by more text")
            quote, value = value[0], value[1:-1]
            value = value.replace("\\n", "\n").replace("\\r", "\r") if quote == '"' else value
        variables[found["name"]] = value
        at = found.end()
    return variables
