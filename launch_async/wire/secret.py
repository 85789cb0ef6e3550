"""Strings with a masked `repr`, so that a traceback with local variables does not show a secret.

In all other respects, a `Secret` is a string: it can be compared, sent and written as JSON. A string that is built from
a `Secret`, for example by an f-string, is an ordinary string and must be marked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar, cast, overload

from launch_async.models.base import Unset

__all__ = ["Secret", "hidden", "hidden_json", "kind_of"]

_MAX_LEVELS: Final = 100


T = TypeVar("T")
N = TypeVar("N", None, Unset)


class Secret(str):
    """A string whose `repr` does not show its text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[secret]'"


class _SecretBytes(bytes):
    """Bytes whose `repr` does not show their content, for a secret that was passed as bytes instead of text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'[secret]'"


def kind_of(value: object) -> str:
    """Return the name of a value's class, for an error text. For a marked value, return the original class."""
    return next(kind.__name__ for kind in type(value).__mro__ if kind not in {Secret, _SecretBytes})


@overload
def hidden(values: Mapping[str, str]) -> dict[str, str]: ...
@overload
def hidden(values: Mapping[str, str] | N) -> dict[str, str] | N: ...
def hidden(values: Mapping[str, str] | Unset | None) -> dict[str, str] | Unset | None:
    """Return a mapping whose `repr` does not show its values. Any other value is masked by `hidden_json`."""
    if not isinstance(values, Mapping):
        return hidden_json(values)
    return {name: hidden_json(value) for name, value in values.items()}


def hidden_json(document: T, depth: int = 0) -> T:
    """Return an equal JSON document whose `repr` shows no text except the names of members.

    A value that is nested more than 100 levels deep, or is neither JSON nor bytes, is returned unchanged. An argument
    of any type can therefore be masked before it is checked, for example a bare token passed as credentials.
    """
    if isinstance(document, str):
        return cast("T", Secret(document))
    if isinstance(document, bytes):
        return cast("T", _SecretBytes(document))
    if depth < _MAX_LEVELS and isinstance(document, list | tuple):
        return cast("T", [hidden_json(item, depth + 1) for item in cast("list[object]", document)])
    if depth < _MAX_LEVELS and isinstance(document, dict):
        members = cast("dict[object, object]", document)
        return cast("T", {name: hidden_json(value, depth + 1) for name, value in members.items()})
    return document
