"""Sources of the values of variables: plain texts, and references to secrets.

A document contains `env:NAME` or `file:PATH` in place of a secret. In Python, a function is also a reference. The SDK
reads the values when you compare or apply a document, and stores them nowhere.
"""

from __future__ import annotations

import asyncio
import enum
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from launch_async.wire.secret import Secret

__all__ = ["DELETE", "Delete", "LiteralValue", "UnresolvedError", "VariableSource", "is_reference", "resolved"]

_ENV: Final = "env:"
_FILE: Final = "file:"
_LARGEST: Final = 64 * 1024


class Delete(enum.Enum):
    """Type of `DELETE`."""

    DELETE = "DELETE"

    def __repr__(self) -> str:
        return "DELETE"


DELETE: Final = Delete.DELETE
"""In place of a variable's value, deletes the variable. In TOML: `{delete = true}`."""


@attrs.frozen
class LiteralValue:
    """A literal value, even if it begins like a reference or looks like a secret.

    In TOML: `{literal = "..."}`.

    Attributes:
        value: The value.
    """

    value: str = attrs.field(repr=False)


VariableSource: TypeAlias = str | LiteralValue | Delete | Callable[[], str]
"""The source of a variable's value: a text, `env:NAME`, `file:PATH`, a `LiteralValue`, or a function that returns the
value; or `DELETE`."""


class UnresolvedError(Exception):
    """A reference has no value. The text gives the reason and shows no secret."""


def is_reference(source: VariableSource | None) -> bool:
    """Return whether a source is a reference to a secret."""
    return callable(source) or (isinstance(source, str) and source.startswith((_ENV, _FILE)))


def described(source: VariableSource) -> str:
    """Return the name of a reference: `env:NAME`, `file:PATH`, or a function's name."""
    return source if isinstance(source, str) else f"{getattr(source, '__name__', 'a function')}()"


async def resolved(source: VariableSource, folder: Path) -> Secret:
    """Return the value of a source.

    Args:
        source: The source.
        folder: The folder of the document, where relative paths start.

    Raises:
        UnresolvedError: The source has no value.
    """
    if isinstance(source, LiteralValue):
        return Secret(source.value)
    if isinstance(source, Delete):
        raise UnresolvedError("a variable that is deleted has no value")
    if not isinstance(source, str):
        return await _called(source)
    if source.startswith(_ENV):
        return _from_environment(source)
    if source.startswith(_FILE):
        return await asyncio.to_thread(_from_file, source, folder)
    return Secret(source)


def _from_environment(reference: str) -> Secret:
    name = reference.removeprefix(_ENV)
    value = Secret(os.environ.get(name, ""))
    if not value:
        raise UnresolvedError(f"the environment variable {name} is not set")
    return value


def _from_file(reference: str, folder: Path) -> Secret:
    path = folder / Path(reference.removeprefix(_FILE)).expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        text = Secret(content.decode("utf-8-sig"))
    except OSError as error:
        raise UnresolvedError(f"the file {path} cannot be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        raise UnresolvedError(f"the file {path} is not UTF-8") from None
    if len(content) > _LARGEST:
        raise UnresolvedError(f"the file {path} is larger than {_LARGEST // 1024} KiB, the limit for a variable")
    # Editors and `echo` end a file with a line break that does not belong to the secret.
    value = Secret(text.removesuffix("\n").removesuffix("\r"))
    if not value:
        raise UnresolvedError(f"the file {path} is empty")
    return value


async def _called(source: Callable[[], str]) -> Secret:
    name = described(source)
    if inspect.iscoroutinefunction(source):
        raise UnresolvedError(f"{name} is a coroutine function: pass a plain function")
    try:
        value = await asyncio.to_thread(source)
    except Exception as error:
        # The message of the exception may contain the secret.
        raise UnresolvedError(f"{name} raised {type(error).__name__}") from None
    if not isinstance(value, str) or not value:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UnresolvedError(f"{name} did not return a non-empty string")
    return Secret(value)
