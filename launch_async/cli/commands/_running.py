"""Confirms a bulk run, shows its progress, and writes its report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import attrs
import click

from launch_async.cli.exit_codes import ExitCode
from launch_async.cli.session import Session
from launch_async.cli.shell import with_commands
from launch_async.fleet.journal.journal import OperationState
from launch_sync.display import FleetProgress
from launch_sync.fleet import FleetEvent, FleetReport

__all__ = ["confirm", "run_shown", "text_of_plan"]


class _Progress(FleetProgress):
    """Progress output with commands instead of calls."""

    def __call__(self, event: FleetEvent) -> None:
        super().__call__(attrs.evolve(event, message=with_commands(event.message)))


def text_of_plan(plan: object) -> str:
    """Return the text of a plan without its last lines, which show the call in Python."""
    text, nothing_sent, _ = str(plan).partition("\nNothing has been sent.")
    return f"{text}{nothing_sent}"


def confirm(session: Session, given: dict[str, Any], plan: object, count: int) -> None:
    """Show a plan and ask for a confirmation on a terminal, unless the user has typed `--confirm`."""
    if given.get("confirm") is not None or not sys.stdin.isatty() or session.output.is_json:
        return
    session.output.note(text_of_plan(plan))
    click.confirm("Make 1 change?" if count == 1 else f"Make {count} changes?", abort=True, err=True)
    given["confirm"] = count


def run_shown(session: Session, run: Callable[[FleetProgress], FleetReport], *, go_on: str) -> tuple[int, FleetReport]:
    """Run a plan and show the progress; return the exit code and the report.

    Args:
        session: The session of the command.
        run: Runs the plan, and reports its progress to its argument.
        go_on: The command that continues the run after an interruption.
    """
    words = f"Continue with: contentstack-launch {go_on}"
    try:
        with _Progress("lines" if session.output.is_json else "auto", file=sys.stderr) as progress:
            report = run(progress)
    except KeyboardInterrupt:
        session.output.note(words)
        raise
    session.output.result(report)
    if report.unfinished:
        session.output.note(words)
    if report.totals.get(OperationState.AMBIGUOUS):
        return ExitCode.AMBIGUOUS, report
    return (ExitCode.DONE if report.is_success else ExitCode.FAILED), report
