"""`probe`: checks the SDK's assumptions about the service in a real organization."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import attrs
import click

from launch_async.cli.commands._common import workflow
from launch_async.cli.exit_codes import ExitCode
from launch_async.cli.parameters import taken_by
from launch_async.cli.session import Session, pass_session
from launch_async.emulator.options import EmulatorOptions
from launch_sync.probe import probe as run_probe, probe_steps

__all__ = ["probe"]


@click.command()
@workflow(run_probe)
@click.option("--markdown", type=click.Path(dir_okay=False), help="File for the report as Markdown, for an issue.")
@click.option(
    "--to-emulator-options",
    is_flag=True,
    help="Write the options with which `emulator` behaves as the service did, instead of the report.",
)
@click.option(
    "--confirm",
    type=int,
    is_flag=False,
    flag_value=1,
    metavar="[1]",
    help="Confirm that the probe may create and delete one project. Then --write does not ask for a confirmation.",
)
@pass_session
def probe(
    session: Session, markdown: str | None, to_emulator_options: bool, confirm: int | None, **options: object
) -> int:
    """Check the SDK's assumptions about Launch in your organization.

    The probe only reads, with at most 60 requests at half of your rate limit.
    With --write, it creates one scratch project and deletes it at the end. The
    report contains no secrets, no names and no UIDs.
    """
    given = taken_by(run_probe, options)
    steps = probe_steps(**{name: given[name] for name in ("write", "project", "daring") if name in given})
    if given.get("write"):
        _confirm(session, steps, confirm)
    report = run_probe(session.client, on_step=session.output.note, **given)
    if markdown is not None:
        Path(markdown).write_text(report.to_markdown(), "utf-8")
        session.output.note(f"The report is in {markdown}.")
    if to_emulator_options:
        chosen = cast("Mapping[str, Any]", report.to_emulator_options())
        session.output.result(chosen, shlex.join(_typed(chosen)))
    else:
        session.output.result(report)
    return ExitCode.FAILED if report.leftover else ExitCode.DONE


def _confirm(session: Session, steps: tuple[str, ...], confirmed: int | None) -> None:
    """Show the steps of a probe and ask for a confirmation on a terminal. Without a terminal, require `--confirm`."""
    session.output.note("The probe will:")
    for step in steps:
        session.output.note(f"  - {step}")
    if confirmed == 1:
        return
    if confirmed is not None or session.output.is_json or not sys.stdin.isatty():
        raise click.UsageError("--write creates and deletes one project. Add --confirm 1 to confirm this.")
    click.confirm("Create and delete one project?", abort=True, err=True)


def _typed(options: Mapping[str, Any]) -> Iterator[str]:
    """Return options of an emulator as arguments of the command `emulator`."""
    defaults = {one.name: one.default for one in attrs.fields(EmulatorOptions)}
    for name, value in options.items():
        flag = name.replace("_", "-")
        if value == defaults[name] or (defaults[name] == () and not value):
            continue
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
        else:
            yield f"--{flag}"
            yield from map(str, cast("list[object]", value) if isinstance(value, list) else [value])
