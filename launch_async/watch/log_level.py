"""How severe a build-log line looks: the service does not say, so its text is judged."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from launch_async._text import without_escapes
from launch_async.errors import InvalidArgumentError

__all__ = ["LogLevel", "at_least", "check_level", "level_of", "plain"]

LogLevel: TypeAlias = Literal["info", "warning", "error"]
"""How severe a line looks."""

_RANK: Final[dict[LogLevel, int]] = {"info": 0, "warning": 1, "error": 2}
_WARNING: Final = re.compile(r"^\W*(?:npm\s+|yarn\s+|pnpm\s+)?warn(?:ing)?\b|\bdeprecat", re.IGNORECASE)
_ERROR: Final = re.compile(
    r"(?i:\b(?:error|errors|fatal|panic|exception|traceback|failed|failure)\b)|ERR!|[a-z](?:Error|Exception)\b"
)
_NO_ERROR: Final = re.compile(r"\b(?:0|no|without)\s+(?:errors?|failures?|failed)\b", re.IGNORECASE)


def level_of(message: str) -> LogLevel:
    """Return how severe a line looks."""
    text = plain(message)
    if _WARNING.search(text):
        return "warning"
    return "error" if _ERROR.search(_NO_ERROR.sub("", text)) else "info"


def check_level(level: str | None) -> None:
    """Refuse a level that is none of the three."""
    if level is not None and level not in _RANK:
        raise InvalidArgumentError("level", f"{level!r} is not one of {', '.join(_RANK)}")


def at_least(message: str, level: LogLevel) -> bool:
    """Return whether a line looks as severe as `level`, or more."""
    return _RANK[level_of(message)] >= _RANK[level]


def plain(message: str) -> str:
    """Return a message as one line of text, without colours, control characters and surrounding space."""
    return without_escapes(message).strip()
