"""Guess the severity of a build-log line from its text, because the service does not return one."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from launch_async._text import without_escapes
from launch_async.errors import InvalidArgumentError

__all__ = ["LogLevel", "at_least", "check_level", "level_of", "plain"]

LogLevel: TypeAlias = Literal["info", "warning", "error"]
"""The guessed severity of a line."""

_RANK: Final[dict[LogLevel, int]] = {"info": 0, "warning": 1, "error": 2}
_WARNING: Final = re.compile(r"^\W*(?:npm\s+|yarn\s+|pnpm\s+)?warn(?:ing)?\b|\bdeprecat", re.IGNORECASE)
_ERROR: Final = re.compile(
    r"(?i:\b(?:error|errors|fatal|panic|exception|traceback|failed|failure)\b)|ERR!|[a-z](?:Error|Exception)\b"
)
_NO_ERROR: Final = re.compile(r"\b(?:0|no|without)\s+(?:errors?|failures?|failed)\b", re.IGNORECASE)


def level_of(message: str) -> LogLevel:
    """Return the guessed severity of a line."""
    text = plain(message)
    if _WARNING.search(text):
        return "warning"
    return "error" if _ERROR.search(_NO_ERROR.sub("", text)) else "info"


def check_level(level: str | None) -> None:
    """Refuse an unknown level."""
    if level is not None and level not in _RANK:
        raise InvalidArgumentError("level", f"must be one of {', '.join(_RANK)}, not {level!r}")


def at_least(message: str, level: LogLevel) -> bool:
    """Return whether the guessed severity of a line is `level` or higher."""
    return _RANK[level_of(message)] >= _RANK[level]


def plain(message: str) -> str:
    """Return a message as one line of text, without colours, control characters and surrounding space."""
    return without_escapes(message).strip()
