"""`state`: declared state of projects and environments in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from launch_async.cli.commands._common import workflow
from launch_async.cli.commands._running import confirm, run_shown, text_of_plan
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
    """Declare projects and environments in a file (launch.toml by default)."""


@state.command()
@_FILE
@click.option("--project", "projects", multiple=True, metavar="GLOB", help="Read only these projects; repeatable.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@pass_session
def pull(session: Session, file: str, projects: tuple[str, ...], overwrite: bool) -> None:
    """Write the current projects and environments to FILE.

    References replace values that look like secrets. The last lines list the
    references that must be set before `state apply`.
    """
    if Path(file).exists() and not overwrite:
        raise click.UsageError(f"The file {file} exists. Choose another name, or add --overwrite.")
    pulled = session.client.state.pull(projects or None)
    pulled.save(file)
    session.output.result({"file": file, "references": pulled.references, "notes": pulled.notes}, f"{pulled}: {file}")
    for reference in pulled.references:
        session.output.note(f"Set this reference before `state apply`: {reference}")
    for note in pulled.notes:
        session.output.note(str(note))


@state.command()
@_FILE
@click.option("--markdown", is_flag=True, help="Write Markdown, for example for a pull request.")
@pass_session
def diff(session: Session, file: str, markdown: bool) -> int:
    """Show how the organization differs from FILE. The exit code is 2 if it does."""
    plan = session.client.state.diff(State.load(file))
    session.output.result(plan, plan.to_markdown() if markdown else text_of_plan(plan))
    if not plan.is_empty:
        confirmation = f" --confirm {len(plan.changes)}" if "confirm=" in plan.call else ""
        session.output.note(f"To make the changes: contentstack-launch state apply {file}{confirmation}")
    return ExitCode.DONE if plan.is_empty else ExitCode.DRIFT


@state.command()
@_FILE
@workflow(DeclaredState.apply)
@pass_session
def apply(session: Session, file: str, **options: object) -> int:
    """Show how the organization differs from FILE, and change the organization.

    Without --journal, the journal of an interrupted run stays in FILE.journal
    until `state resume` has finished the run.
    """
    given = taken_by(DeclaredState.apply, options)
    declared, plan = session.client.state, session.client.state.diff(State.load(file))
    own = None if "journal" in given else Path(f"{file}.journal")
    journal = Path(str(given.setdefault("journal", own)))
    if plan.is_empty and not journal.exists():
        session.output.result(plan)
        return ExitCode.DONE
    confirm(session, given, plan, len(plan.changes))
    return _run(session, lambda progress: declared.apply(plan, on_event=progress, **given), file, journal, own)


@state.command()
@_FILE
@click.option(
    "--journal", type=click.Path(exists=True, dir_okay=False), help="Journal of the run; FILE.journal by default."
)
@workflow(DeclaredState.resume, texts_of=DeclaredState.apply)
@pass_session
def resume(session: Session, file: str, journal: str | None, **options: object) -> int:
    """Finish an interrupted apply of FILE."""
    given, declared = taken_by(DeclaredState.resume, options), session.client.state
    own = Path(f"{file}.journal") if journal is None else None
    if own is not None and not own.exists():
        raise click.UsageError(
            f"The journal {own} does not exist, so no run was interrupted. Pass --journal to use another file."
        )
    document, kept = State.load(file), journal or str(own)
    return _run(session, lambda progress: declared.resume(kept, document, on_event=progress, **given), file, kept, own)


def _run(
    session: Session,
    run: Callable[[FleetProgress], FleetReport],
    file: str,
    journal: object,
    own: Path | None,
) -> int:
    """Run a plan. Remove the journal at the end, unless the user has named it or something is unfinished."""
    code, report = run_shown(session, run, go_on=f"state resume {file}{'' if own else f' --journal {journal}'}")
    if own is not None and not report.unfinished:
        own.unlink(missing_ok=True)
    return code
