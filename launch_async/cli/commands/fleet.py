"""`fleet`: one thing for many environments, planned first, run in waves, and resumed after a crash."""

from __future__ import annotations

import sys

import click

from launch_async.cli.commands._common import mode_of, reported, workflow
from launch_async.cli.parameters import taken_by
from launch_async.cli.session import Session, pass_session
from launch_async.cli.values import SOURCE, read_value
from launch_sync.display import FleetProgress
from launch_sync.fleet import Fleet, FleetReport, Plan, Selection

__all__ = ["fleet"]

_SELECTION = {"project_uids", "environment_uids"}


@click.group()
def fleet() -> None:
    """Do one thing to many environments: plan it, look at it, run it."""


@fleet.command()
@click.option("--project", "projects", multiple=True, metavar="GLOB", help="Name, glob or UID; repeatable.")
@click.option("--environment", "environments", multiple=True, metavar="GLOB", help="Name, glob or UID; repeatable.")
@workflow(Fleet.select, without={*_SELECTION, "projects", "environments"})
@pass_session
def select(session: Session, **options: object) -> None:
    """Show which environments fit."""
    _show_selection(session, session.client.fleet.select(**taken_by(Fleet.select, options)))


@fleet.group()
def plan() -> None:
    """Write a plan to a file, or show it; nothing is changed."""


def _planned(session: Session, plan: Plan, output: str | None) -> None:
    if output is not None:
        plan.save(output)
        session.output.note(f"written to {output}; look at it, and then: contentstack-launch fleet run {output}")
    session.output.result(plan)


def _selecting(function: click.decorators.FC) -> click.decorators.FC:
    """Give a planning command the options that select its environments, and the file that it writes."""
    function = click.option("--output", "-o", type=click.Path(dir_okay=False), help="File for the plan.")(function)
    function = workflow(Fleet.select, without={*_SELECTION, "projects", "environments"})(function)
    function = click.option("--environment", "environments", multiple=True, metavar="GLOB", help="As for select.")(
        function
    )
    return click.option("--project", "projects", multiple=True, metavar="GLOB", help="As for select.")(function)


@plan.command()
@click.argument("source", type=SOURCE, required=False)
@_selecting
@workflow(Fleet.plan_redeploy)
@pass_session
def redeploy(session: Session, source: object, output: str | None, **options: object) -> None:
    """Plan to deploy SOURCE everywhere; by default what each environment has."""
    bulk = session.client.fleet
    chosen = bulk.select(**taken_by(Fleet.select, options))
    _planned(
        session,
        bulk.plan_redeploy(chosen, source, **taken_by(Fleet.plan_redeploy, options)),  # type: ignore[arg-type]
        output,
    )


@plan.command()
@click.argument("names", nargs=-1, metavar="NAME[=REFERENCE]...")
@click.option("--remove", multiple=True, metavar="NAME", help="Name of a variable to remove; repeatable.")
@_selecting
@pass_session
def variables(
    session: Session, names: tuple[str, ...], remove: tuple[str, ...], output: str | None, **options: object
) -> None:
    """Plan to set variables: NAME, NAME=env:VARIABLE or NAME=file:PATH, as for `vars set`."""
    bulk = session.client.fleet
    chosen = bulk.select(**taken_by(Fleet.select, options))
    _planned(session, bulk.plan_variables(chosen, _values(names), remove=remove), output)


@plan.command()
@_selecting
@workflow(Fleet.plan_revalidate)
@pass_session
def purge(session: Session, output: str | None, **options: object) -> None:
    """Plan to revalidate the cache everywhere."""
    bulk = session.client.fleet
    chosen = bulk.select(**taken_by(Fleet.select, options))
    _planned(session, bulk.plan_revalidate(chosen, **taken_by(Fleet.plan_revalidate, options)), output)


@plan.command()
@click.argument("environments", nargs=-1, required=True, metavar="PROJECT/ENVIRONMENT...")
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="File for the plan.")
@pass_session
def delete(session: Session, environments: tuple[str, ...], output: str | None) -> None:
    """Plan to delete environments, each by its whole name or UID."""
    pairs = [(project, environment) for project, _, environment in (one.partition("/") for one in environments)]
    _planned(session, session.client.fleet.plan_delete(pairs), output)


@fleet.command()
@click.argument("plan", type=click.Path(exists=True, dir_okay=False))
@click.option("--set", "names", multiple=True, metavar="NAME[=REFERENCE]", help="Value of a variable that it sets.")
@workflow(Fleet.run, without={"variables"})
@pass_session
def run(session: Session, plan: str, names: tuple[str, ...], **options: object) -> int:
    """Run a PLAN file. Its journal (PLAN.journal by default) resumes it after a crash."""
    loaded = Plan.load(plan)
    given = taken_by(Fleet.run, options)
    journal = str(given.setdefault("journal", f"{plan}.journal"))
    if given.get("confirm") is None and sys.stdin.isatty() and not session.output.is_json:
        session.output.note(str(loaded))
        click.confirm(f"Change {len(loaded.operations)} environments?", abort=True, err=True)
        given["confirm"] = len(loaded.operations)
    try:
        with FleetProgress(mode_of(session), file=sys.stderr) as progress:
            report = session.client.fleet.run(loaded, variables=_values(names), on_event=progress, **given)
    except KeyboardInterrupt:
        _say_how_to_resume(session, journal)
        raise
    return _reported(session, report, journal)


@fleet.command()
@click.argument("journal", type=click.Path(exists=True, dir_okay=False))
@click.option("--set", "names", multiple=True, metavar="NAME[=REFERENCE]", help="Value of a variable that it sets.")
@workflow(Fleet.resume, without={"variables"}, texts_of=Fleet.run)
@pass_session
def resume(session: Session, journal: str, names: tuple[str, ...], **options: object) -> int:
    """Go on with a run from its JOURNAL."""
    given = taken_by(Fleet.resume, options)
    try:
        with FleetProgress(mode_of(session), file=sys.stderr) as progress:
            report = session.client.fleet.resume(journal, variables=_values(names), on_event=progress, **given)
    except KeyboardInterrupt:
        _say_how_to_resume(session, journal)
        raise
    return _reported(session, report, journal)


def _say_how_to_resume(session: Session, journal: str) -> None:
    session.output.note(f"go on with: contentstack-launch fleet resume {journal}")


def _values(names: tuple[str, ...]) -> dict[str, str] | None:
    pairs = [name.partition("=") for name in names]
    return {name: read_value(name, reference if equals else None) for name, equals, reference in pairs} or None


def _reported(session: Session, report: FleetReport, journal: str) -> int:
    if report.unfinished:
        _say_how_to_resume(session, journal)
    return reported(session, report)


def _show_selection(session: Session, selection: Selection) -> None:
    rows = [
        {
            "environment": one.label,
            "status": str(one.last_status or ""),
            "environment_uid": one.environment_uid,
        }
        for one in selection
    ]
    title = f"{len(selection)} of {selection.considered} environments, with {selection.requests} requests"
    session.output.table([one.to_dict() for one in selection], rows, title=title)
