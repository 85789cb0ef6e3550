"""`fleet`: bulk operations that are planned first, run in waves, and can be resumed after a crash."""

from __future__ import annotations

import click

from launch_async._text import count_of
from launch_async.cli.commands._common import workflow
from launch_async.cli.commands._running import confirm, run_shown, text_of_plan
from launch_async.cli.parameters import taken_by
from launch_async.cli.session import Session, pass_session
from launch_async.cli.values import SOURCE, read_value
from launch_sync.fleet import Fleet, Plan, Selection

__all__ = ["fleet"]

_SELECTION = {"project_uids", "environment_uids"}


@click.group()
def fleet() -> None:
    """Run bulk operations on many environments: select, plan, run, resume."""


@fleet.command()
@click.option("--project", "projects", multiple=True, metavar="GLOB", help="Name, glob or UID; repeatable.")
@click.option("--environment", "environments", multiple=True, metavar="GLOB", help="Name, glob or UID; repeatable.")
@workflow(Fleet.select, without={*_SELECTION, "projects", "environments"})
@pass_session
def select(session: Session, **options: object) -> None:
    """Show the environments that a selection matches."""
    _show_selection(session, session.client.fleet.select(**taken_by(Fleet.select, options)))


@fleet.group()
def plan() -> None:
    """Make a plan, and show it or write it to a file. Nothing is changed."""


def _planned(session: Session, plan: Plan, output: str | None) -> None:
    if output is not None:
        plan.save(output)
    session.output.result(plan, text_of_plan(plan))
    if output is not None:
        confirm = f" --confirm {len(plan.operations)}" if "confirm=" in plan.call else ""
        session.output.note(f"The plan is in {output}. To run it: contentstack-launch fleet run {output}{confirm}")


def _selecting(function: click.decorators.FC) -> click.decorators.FC:
    """Add the options that select environments, and the option for the file of the plan."""
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
    """Make a plan that deploys SOURCE or the current versions."""
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
    """Make a plan that sets or removes variables.

    NAME, NAME=env:VARIABLE and NAME=file:PATH work as for `vars set`.
    """
    bulk = session.client.fleet
    chosen = bulk.select(**taken_by(Fleet.select, options))
    _planned(session, bulk.plan_variables(chosen, _values(names), remove=remove), output)


@plan.command()
@_selecting
@workflow(Fleet.plan_revalidate)
@pass_session
def purge(session: Session, output: str | None, **options: object) -> None:
    """Make a plan that revalidates the CDN cache."""
    bulk = session.client.fleet
    chosen = bulk.select(**taken_by(Fleet.select, options))
    _planned(session, bulk.plan_revalidate(chosen, **taken_by(Fleet.plan_revalidate, options)), output)


@plan.command()
@click.argument("environments", nargs=-1, required=True, metavar="PROJECT/ENVIRONMENT...")
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="File for the plan.")
@pass_session
def delete(session: Session, environments: tuple[str, ...], output: str | None) -> None:
    """Make a plan that deletes environments.

    PROJECT and ENVIRONMENT are complete names or UIDs.
    """
    pairs = [(project, environment) for project, _, environment in (one.partition("/") for one in environments)]
    for one, (project, environment) in zip(environments, pairs, strict=True):
        if not (project and environment):
            raise click.UsageError(f"{one!r} is not PROJECT/ENVIRONMENT.")
    _planned(session, session.client.fleet.plan_delete(pairs), output)


@fleet.command()
@click.argument("plan", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--set",
    "names",
    multiple=True,
    metavar="NAME[=REFERENCE]",
    help="Value of a variable; see `vars set`.",
)
@workflow(Fleet.run, without={"variables"})
@pass_session
def run(session: Session, plan: str, names: tuple[str, ...], **options: object) -> int:
    """Run the plan in the file PLAN.

    The journal is PLAN.journal by default. `fleet resume` with this journal
    finishes an interrupted run.
    """
    loaded = Plan.load(plan)
    given = taken_by(Fleet.run, options)
    journal = str(given.setdefault("journal", f"{plan}.journal"))
    confirm(session, given, loaded, len(loaded.operations))
    bulk, values = session.client.fleet, _values(names)
    code, _ = run_shown(
        session,
        lambda progress: bulk.run(loaded, variables=values, on_event=progress, **given),
        go_on=f"fleet resume {journal}",
    )
    return code


@fleet.command()
@click.argument("journal", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--set",
    "names",
    multiple=True,
    metavar="NAME[=REFERENCE]",
    help="Value of a variable; see `vars set`.",
)
@workflow(Fleet.resume, without={"variables"}, texts_of=Fleet.run)
@pass_session
def resume(session: Session, journal: str, names: tuple[str, ...], **options: object) -> int:
    """Continue an interrupted run from its JOURNAL."""
    given = taken_by(Fleet.resume, options)
    bulk, values = session.client.fleet, _values(names)
    code, _ = run_shown(
        session,
        lambda progress: bulk.resume(journal, variables=values, on_event=progress, **given),
        go_on=f"fleet resume {journal}",
    )
    return code


@fleet.command()
@click.argument("journal", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "junit", "html"]),
    default="text",
    help="Format of the report.",
)
@pass_session
def report(session: Session, journal: str, form: str) -> None:
    """Show the report of a run from its JOURNAL, without a request."""
    found = session.client.fleet.report(journal)
    ways = {"markdown": found.to_markdown, "junit": found.to_junit, "html": found.to_html}
    session.output.result(found, ways[form]() if form in ways else str(found))


def _values(names: tuple[str, ...]) -> dict[str, str] | None:
    pairs = [name.partition("=") for name in names]
    return {name: read_value(name, reference if equals else None) for name, equals, reference in pairs} or None


def _show_selection(session: Session, selection: Selection) -> None:
    rows = [
        {
            "environment": one.label,
            "status": str(one.last_status or ""),
            "environment_uid": one.environment_uid,
        }
        for one in selection
    ]
    title = (
        f"{len(selection)} of {count_of(selection.considered, 'environment')} selected with "
        f"{count_of(selection.requests, 'request')}"
    )
    session.output.table([one.to_dict() for one in selection], rows, title=title)
