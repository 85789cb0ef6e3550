"""`vars`: environment variables."""

from __future__ import annotations

from collections.abc import Mapping

import click

from launch_async.cli.commands._common import environment_of
from launch_async.cli.exit_codes import ExitCode
from launch_async.cli.session import Session, pass_session
from launch_async.cli.values import read_value
from launch_sync.variables import VariablesDiff

__all__ = ["vars"]


@click.group()
def vars() -> None:  # noqa: A001 - the name of the command
    """Compare and change environment variables. Values are never shown.

    A change takes effect with the next deployment.
    """


@vars.command()
@environment_of
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--remove", is_flag=True, help="Also count variables that are not in the file as differences.")
@pass_session
def diff(session: Session, project: str, environment: str, file: str, remove: bool) -> int:
    """Compare variables with a dotenv FILE. The exit code is 2 if they differ."""
    found = session.find(project, environment)
    difference = session.client.variables.diff(*found, file, remove=remove)
    session.output.result(difference)
    return ExitCode.DRIFT if difference.has_changes else ExitCode.DONE


@vars.command("import")
@environment_of
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--remove", is_flag=True, help="Remove variables that are not in the file.")
@click.option("--dry-run", is_flag=True, help="Show the changes without making them.")
@pass_session
def import_(session: Session, project: str, environment: str, file: str, remove: bool, dry_run: bool) -> None:
    """Set the variables of a dotenv FILE."""
    found = session.find(project, environment)
    _apply(session, session.client.variables.diff(*found, file, remove=remove), dry_run=dry_run)


@vars.command(
    "set",
    help="""Set variables. Other users could see values in arguments, so the
    command reads the values from elsewhere:

    \b
    NAME                ask for the value, or read a line of standard input
    NAME=env:VARIABLE   read the value from an environment variable
    NAME=file:PATH      read the value from a file
    """,
)
@environment_of
@click.argument("names", nargs=-1, required=True, metavar="NAME[=REFERENCE]...")
@click.option("--dry-run", is_flag=True, help="Show the changes without making them.")
@pass_session
def set_(session: Session, project: str, environment: str, names: tuple[str, ...], dry_run: bool) -> None:
    """Set variables."""
    desired: dict[str, str] = {}
    for text in names:
        name, equals, reference = text.partition("=")
        desired[name] = read_value(name, reference if equals else None)
    found = session.find(project, environment)
    _apply(session, session.client.variables.diff(*found, desired), dry_run=dry_run)


@vars.command()
@environment_of
@click.argument("names", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Show the changes without making them.")
@pass_session
def unset(session: Session, project: str, environment: str, names: tuple[str, ...], dry_run: bool) -> None:
    """Remove variables. A missing variable is not an error."""
    found = session.find(project, environment)
    variables = session.client.variables
    kept: Mapping[str, str] = {name: value for name, value in variables.read(*found).items() if name not in names}
    _apply(session, variables.diff(*found, kept, remove=True), dry_run=dry_run)


def _apply(session: Session, difference: VariablesDiff, *, dry_run: bool) -> None:
    if difference.has_changes and not dry_run:
        session.client.variables.apply(difference)
    session.output.result(difference)
