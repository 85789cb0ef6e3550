"""`state`: one file says what a fleet should be."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from launch_async.cli.commands._common import mode_of, reported, workflow
from launch_async.cli.exit_codes import ExitCode
from launch_async.cli.parameters import taken_by
from launch_async.cli.session import Session, pass_session
from launch_sync.display import FleetProgress
from launch_sync.fleet import FleetReport
from launch_sync.state import DeclaredState, State

__all__ = ["state"]

_FILE = click.argument("file", type=click.Path(dir_okay=False), default="launch.toml")


@click.group()
def state() -> None:
    """Declare a fleet in one file (launch.toml by default)."""


@state.command()
@_FILE
@click.option("--project", "projects", multiple=True, metavar="GLOB", help="Only these projects; repeatable.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@pass_session
def pull(session: Session, file: str, projects: tuple[str, ...], overwrite: bool) -> None:
    """Write FILE from what is there now.

    Values that look like secrets become references. What to set for them is
    listed in the end.
    """
    if Path(file).exists() and not overwrite:
        raise click.UsageError(f"{file} is there: give another name, or --overwrite")
    pulled = session.client.state.pull(projects or None)
    pulled.save(file)
    session.output.result({"file": file, "references": pulled.references, "notes": pulled.notes}, f"{pulled}: {file}")
    for reference in pulled.references:
        session.output.note(f"to be set before apply: {reference}")
    for note in pulled.notes:
        session.output.note(str(note))


@state.command()
@_FILE
@click.option("--markdown", is_flag=True, help="Write Markdown, such as for a pull request.")
@pass_session
def diff(session: Session, file: str, markdown: bool) -> int:
    """Show how what is there differs from FILE. Exits with 2 if it does."""
    plan = session.client.state.diff(State.load(file))
    session.output.result(plan, plan.to_markdown() if markdown else str(plan))
    return ExitCode.DONE if plan.is_empty else ExitCode.DRIFT


@state.command()
@_FILE
@workflow(DeclaredState.apply)
@pass_session
def apply(session: Session, file: str, **options: object) -> int:
    """Make what is there as FILE says.

    Shows the changes first, and asks on a terminal. Its journal
    (FILE.journal by default) finishes an interrupted run: type the same
    command again, or `state resume`. One that is finished is removed.
    """
    declared = State.load(file)
    bulk = session.client.state
    plan = bulk.diff(declared)
    given = taken_by(DeclaredState.apply, options)
    journal = str(given.setdefault("journal", f"{file}.journal"))
    if plan.is_empty and not Path(journal).exists():
        session.output.result(plan)
        return ExitCode.DONE
    if given.get("confirm") is None and sys.stdin.isatty() and not session.output.is_json:
        session.output.note(str(plan))
        click.confirm(f"Make {len(plan.changes)} changes?", abort=True, err=True)
        given["confirm"] = len(plan.changes)
    try:
        with FleetProgress(mode_of(session), file=sys.stderr) as progress:
            report = bulk.apply(plan, on_event=progress, **given)
    except KeyboardInterrupt:
        _say_how_to_resume(session, file, journal)
        raise
    if not report.unfinished and options.get("journal") is None:
        Path(journal).unlink(missing_ok=True)
    return _reported(session, report, file, journal)


@state.command()
@_FILE
@click.option("--journal", type=click.Path(exists=True, dir_okay=False), help="The journal; FILE.journal by default.")
@workflow(DeclaredState.resume, texts_of=DeclaredState.apply)
@pass_session
def resume(session: Session, file: str, journal: str | None, **options: object) -> int:
    """Go on with an interrupted `state apply` of FILE."""
    path = journal or f"{file}.journal"
    given = taken_by(DeclaredState.resume, options)
    try:
        with FleetProgress(mode_of(session), file=sys.stderr) as progress:
            report = session.client.state.resume(path, State.load(file), on_event=progress, **given)
    except KeyboardInterrupt:
        _say_how_to_resume(session, file, path)
        raise
    return _reported(session, report, file, path)


def _reported(session: Session, report: FleetReport, file: str, journal: str) -> int:
    if report.unfinished:
        _say_how_to_resume(session, file, journal)
    return reported(session, report)


def _say_how_to_resume(session: Session, file: str, journal: str) -> None:
    session.output.note(f"go on with: contentstack-launch state resume {file} --journal {journal}")
