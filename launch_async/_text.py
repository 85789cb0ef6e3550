"""Format numbers, and text from other sources, on one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = [
    "count_of",
    "duration",
    "file_size",
    "first_lines",
    "listed",
    "printable",
    "shortened",
    "shown_seconds",
    "without_escapes",
]

# Control sequences of terminals: colours, cursor movements, titles of windows, and others.
_ESCAPES: Final = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS: Final = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+"


def duration(seconds: float | None) -> str:
    """Return a duration: `0.4 s`, `41 s`, `3 min 5 s`, `2 h 10 min`; an empty string for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count_of(count: int, noun: str) -> str:
    """Return a number with its noun: `1 target`, `1,200 targets`."""
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def shown_seconds(seconds: float) -> str:
    """Return a number of seconds, rounded for an error text: `0.05 s`, `30 s`, `1800 s`."""
    return f"{round(seconds, 2):g} s" if seconds < 10 else f"{seconds:.0f} s"


def file_size(count: int) -> str:
    """Return a file size: `800 B`, `1.5 KiB`, `20.0 MiB`."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024**2 else f"{count / 1024**2:.1f} MiB"


def printable(text: str) -> str:
    """Return text on one line, with a space in place of each character that a terminal could interpret."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def without_escapes(text: str) -> str:
    """Return text on one readable line, without the control sequences of terminals."""
    return text if text.isprintable() else printable(re.sub(_CONTROLS, " ", re.sub(_ESCAPES, "", text)))


def shortened(label: str, most: int) -> str:
    """Return the end of a long label, because the environment and other differences are at the end."""
    return label if len(label) <= most else f"\N{HORIZONTAL ELLIPSIS}{label[1 - most :]}"


def listed(names: Sequence[str], most: int) -> str:
    """Return the first names on one line, followed by the number of further names."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def first_lines(lines: Sequence[str], most: int, *, indent: int = 2) -> list[str]:
    """Return the first lines, followed by a line with the number of further lines."""
    more = [f"{'':{indent}}... and {len(lines) - most:,} more"] if len(lines) > most else []
    return [*lines[:most], *more]
