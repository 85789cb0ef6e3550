"""What commands share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

import click

from launch_async.cli.exit_codes import ExitCode
from launch_async.cli.parameters import Call, options_of
from launch_async.cli.session import Session
from launch_async.fleet.journal.journal import OperationState
from launch_sync.display import ProgressMode
from launch_sync.fleet import FleetReport

__all__ = ["environment_of", "mode_of", "reported", "workflow"]

F = TypeVar("F", bound=Callable[..., object])


def workflow(*calls: Call, without: Collection[str] = (), texts_of: Call | None = None) -> Callable[[F], F]:
    """Give a command an option for each keyword argument of the calls that it makes; see `options_of`."""

    def with_options(function: F) -> F:
        for option in reversed(options_of(*calls, without=without, texts_of=texts_of)):
            # As click's own decorators do.
            function.__dict__.setdefault("__click_params__", []).append(option)
        return function

    return with_options


def environment_of(function: F) -> F:
    """Give a command the arguments PROJECT and ENVIRONMENT."""
    return click.argument("project")(click.argument("environment")(function))


def mode_of(session: Session) -> ProgressMode:
    """Return how a run shows its progress."""
    return "lines" if session.output.is_json else "auto"


def reported(session: Session, report: FleetReport) -> int:
    """Show what a run did, and return the exit code that says how it ended."""
    session.output.result(report)
    if report.totals.get(OperationState.AMBIGUOUS):
        return ExitCode.AMBIGUOUS
    return ExitCode.DONE if report.is_success else ExitCode.FAILED
