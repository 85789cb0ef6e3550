"""`state`: one file says what a fleet should be."""

from __future__ import annotations

from pathlib import Path

import click

from launch_async.cli.exit_codes import ExitCode
from launch_async.cli.session import Session, pass_session
from launch_sync.state import State

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
