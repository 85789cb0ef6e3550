"""What the command's exit codes mean, and which one an error has."""

from __future__ import annotations

import enum
from typing import Final

import click

from launch_async.errors import (
    AmbiguousName,
    AmbiguousOutcome,
    APIError,
    ConfigurationError,
    InvalidArgumentError,
    JournalError,
    LaunchError,
    NameNotFound,
)

__all__ = ["ExitCode", "exit_code_of"]


class ExitCode(enum.IntEnum):
    """The exit codes of every command."""

    DONE = 0
    """Done."""
    FAILED = 1
    """It failed: a build, a check, the network, or some targets of a bulk operation."""
    DRIFT = 2
    """A comparison found differences."""
    AMBIGUOUS = 3
    """Nobody can tell whether it happened. Look before you repeat it."""
    USAGE = 4
    """An argument, a name, a file or the configuration is wrong. Nothing was changed."""
    REFUSED = 5
    """The service refused it."""
    INTERRUPTED = 130
    """Interrupted with Ctrl-C. The last line says how to go on."""


_USAGE: Final = (ConfigurationError, InvalidArgumentError, JournalError, NameNotFound, AmbiguousName)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error that ended a command."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return ExitCode.INTERRUPTED
    if isinstance(error, AmbiguousOutcome) or (isinstance(error, LaunchError) and error.ambiguous):
        return ExitCode.AMBIGUOUS
    if isinstance(error, (*_USAGE, click.ClickException)):
        return ExitCode.USAGE
    return ExitCode.REFUSED if isinstance(error, APIError) else ExitCode.FAILED
