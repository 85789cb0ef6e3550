"""Text that must not be shown: its `repr` is a mark, so that a traceback with local variables cannot tell it.

Everything else about it is a string's: it can be compared, sent and written as JSON. What is composed of it, as by an
f-string, is an ordinary string again and must be marked anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import overload

__all__ = ["Secret", "hidden"]


class Secret(str):
    """A string whose `repr` does not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[secret]'"


@overload
def hidden(values: Mapping[str, str]) -> dict[str, str]: ...
@overload
def hidden(values: Mapping[str, str] | None) -> dict[str, str] | None: ...
def hidden(values: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return a mapping whose values its `repr` does not show; what is not a string is left as it is."""
    if values is None:
        return None
    return {
        name: Secret(value) if isinstance(value, str) else value  # pyright: ignore[reportUnnecessaryIsInstance]
        for name, value in values.items()
    }
