"""The exit codes of the command, and the exit code of each error."""

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
    """The command is done."""
    FAILED = 1
    """Something failed: a build, a check, the network, or some targets of a bulk operation."""
    DRIFT = 2
    """A comparison found differences."""
    AMBIGUOUS = 3
    """The outcome of a change is unknown. Check it before you repeat the command."""
    USAGE = 4
    """An argument, a name, a file or the configuration is wrong. Nothing was changed."""
    REFUSED = 5
    """The service refused a request."""
    INTERRUPTED = 130
    """The user pressed Ctrl-C. The last lines show how to continue, if that is possible."""


_USAGE: Final = (ConfigurationError, InvalidArgumentError, JournalError, NameNotFound, AmbiguousName)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code of a command that ended with an error."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return ExitCode.INTERRUPTED
    if isinstance(error, AmbiguousOutcome) or (isinstance(error, LaunchError) and error.ambiguous):
        return ExitCode.AMBIGUOUS
    if isinstance(error, (*_USAGE, click.ClickException)):
        return ExitCode.USAGE
    return ExitCode.REFUSED if isinstance(error, APIError) else ExitCode.FAILED
