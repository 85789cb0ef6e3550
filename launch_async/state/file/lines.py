"""Find the line of each key in a TOML text, because TOML parsers do not return lines.

The text is valid TOML, so this module only separates keys from values. It skips values by their brackets and quotes.
tomllib unescapes the keys.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Final, TypeAlias, cast

__all__ = ["KeyPath", "key_lines", "line_of", "shown_path"]

KeyPath: TypeAlias = tuple[str, ...]
"""Path of an entry in a document: its keys from the top."""

_STRING: Final = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\]|\\.)*"|\'[^\']*\'', re.DOTALL)
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """Return the first line of each key of a TOML text, counted from 1."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    position = 0
    while (position := _after_blank(text, position)) < len(text):
        line = text.count("\n", 0, position) + 1
        if text[position] == "[":
            start = position + 1 + (text[position + 1] == "[")
            end = _end_of(text, start, "]")
            table = _path(text[start:end])
            path, position = table, text.find("\n", end)
        else:
            end = _end_of(text, position, "=")
            path = table + _path(text[position:end])
            position = _end_of(text, end + 1, "\n")
            _note_inline(text[end + 1 : position], path, line, lines)
        for length in range(1, len(path) + 1):
            lines.setdefault(path[:length], line)
        if position < 0:
            break
    return lines


def line_of(path: KeyPath, lines: Mapping[KeyPath, int]) -> int | None:
    """Return the line of a key, or of its nearest parent in the text."""
    return next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), None)


def shown_path(path: KeyPath) -> str:
    """Return keys as TOML writes them: `projects.shop.environments."a b"`."""
    return ".".join(key if _BARE.fullmatch(key) else f'"{key}"' for key in path)


def _note_inline(value: str, path: KeyPath, line: int, lines: dict[KeyPath, int]) -> None:
    """Record the lines of the keys of an inline table."""
    start = _after_blank(value, 0)
    if value[start : start + 1] != "{":
        return
    position = start + 1
    while (position := _after_blank(value, position)) < len(value) and value[position] != "}":
        here = line + value.count("\n", 0, position)
        end = _end_of(value, position, "=")
        inner = path + _path(value[position:end])
        stop = _end_of(value, end + 1, ",}")
        lines.setdefault(inner, here)
        _note_inline(value[end + 1 : stop], inner, line + value.count("\n", 0, end), lines)
        position = stop + (value[stop : stop + 1] == ",")


def _after_blank(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return position if found is None else found.end()


def _end_of(text: str, position: int, ends: str) -> int:
    """Return the position of the first of some characters outside strings, brackets and comments; else the end."""
    depth = 0
    while position < len(text):
        letter = text[position]
        if depth == 0 and letter in ends:
            return position
        if letter in "\"'" and (found := _STRING.match(text, position)):
            position = found.end()
            continue
        if letter == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            continue
        depth += (letter in "[{") - (letter in "]}")
        position += 1
    return len(text)


def _path(key: str) -> KeyPath:
    """Return the keys of a dotted key."""
    path: list[str] = []
    document = cast("Mapping[str, object]", tomllib.loads(f"{key.strip()} = 0"))
    while isinstance(document, dict):
        ((name, document),) = cast("Mapping[str, Mapping[str, object]]", document).items()
        path.append(name)
    return tuple(path)
