"""Text that must not be shown: its `repr` is a mark, so that a traceback with local variables cannot tell it.

Everything else about it is a string's: it can be compared, sent and written as JSON. What is composed of it, as by an
f-string, is an ordinary string again and must be marked anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar, cast, overload

from launch_async.models.base import Unset

__all__ = ["Secret", "hidden", "hidden_json", "kind_of"]

_DEEPEST: Final = 100


T = TypeVar("T")
N = TypeVar("N", None, Unset)


class Secret(str):
    """A string whose `repr` does not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[secret]'"


class _SecretBytes(bytes):
    """Bytes whose `repr` does not show them: a secret that was given in the wrong form is one still."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'[secret]'"


def kind_of(value: object) -> str:
    """Return the name of a value's class, for an error; that of a marked text is the one that it was given as."""
    return next(kind.__name__ for kind in type(value).__mro__ if kind not in {Secret, _SecretBytes})


@overload
def hidden(values: Mapping[str, str]) -> dict[str, str]: ...
@overload
def hidden(values: Mapping[str, str] | N) -> dict[str, str] | N: ...
def hidden(values: Mapping[str, str] | Unset | None) -> dict[str, str] | Unset | None:
    """Return a mapping whose values its `repr` does not show; what is given instead of one does not show, either."""
    if not isinstance(values, Mapping):
        return hidden_json(values)
    return {name: hidden_json(value) for name, value in values.items()}


def hidden_json(document: T, depth: int = 0) -> T:
    """Return a JSON document that is written as the given one is, and whose `repr` shows no text but members' names.

    What is nested too deeply to be written as JSON, and what is neither JSON nor bytes, is left as it is. So an
    argument of any kind can be marked before it is checked: a bare token, for example, that was given as credentials.
    """
    if isinstance(document, str):
        return cast("T", Secret(document))
    if isinstance(document, bytes):
        return cast("T", _SecretBytes(document))
    if depth < _DEEPEST and isinstance(document, list | tuple):
        return cast("T", [hidden_json(item, depth + 1) for item in cast("list[object]", document)])
    if depth < _DEEPEST and isinstance(document, dict):
        members = cast("dict[object, object]", document)
        return cast("T", {name: hidden_json(value, depth + 1) for name, value in members.items()})
    return document
