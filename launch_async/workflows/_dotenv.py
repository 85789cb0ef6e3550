"""Reads a dotenv file strictly: what cannot be read is refused by line, and nothing comes from this machine.

The syntax is python-dotenv's (extra `dotenv`). Values are taken as they are written: `${NAME}` is not replaced, so that
no variable of this machine ends up in an environment.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from launch_async.errors import ConfigurationError, InvalidArgumentError

__all__ = ["read_dotenv"]


def read_dotenv(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the variables of a dotenv file; of a name that occurs twice, the last value.

    Raises:
        ConfigurationError: python-dotenv is not installed.
        InvalidArgumentError: The file cannot be read, or a line of it is no assignment.
    """
    try:
        from dotenv.parser import parse_stream
    except ImportError:
        raise ConfigurationError(
            'reading dotenv files needs python-dotenv: pip install "contentstack-launch[dotenv]"'
        ) from None
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidArgumentError("desired", f"{os.fspath(path)} cannot be read: {reason}") from None
    variables: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        # A name without "=" has no value, and a line without a name is a comment or blank.
        if binding.error or (binding.key is not None and binding.value is None):
            line = binding.original.line + _blank_lines_before(binding.original.string)
            raise InvalidArgumentError("desired", f"{os.fspath(path)}, line {line}: no NAME=value")
        if binding.key is not None and binding.value is not None:
            variables[binding.key] = binding.value
    return variables


def _blank_lines_before(text: str) -> int:
    return text[: len(text) - len(text.lstrip())].count("\n")
