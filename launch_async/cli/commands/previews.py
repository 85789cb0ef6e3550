"""`preview`: preview environments, which expire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import click

from launch_async._text import count_of, duration
from launch_async.cli.commands._common import environment_of, workflow
from launch_async.cli.exit_codes import ExitCode
from launch_async.cli.parameters import taken_by
from launch_async.cli.session import Session, pass_session
from launch_async.cli.values import DURATION, SOURCE
from launch_sync.deploy import Preview, Previews

__all__ = ["preview"]


@click.group()
def preview() -> None:
    """Create, list, extend and delete preview environments. They expire."""


@preview.command()
@click.argument("project")
@click.option("--source", type=SOURCE, help="Folder or ZIP to deploy, for file-upload projects.")
@click.option("--ttl", type=DURATION, required=True, help="Time until the preview expires, such as 3d.")
@workflow(Previews.create, without={"source", "ttl", "environment_variables"})
@pass_session
def create(session: Session, project: str, source: object, ttl: timedelta, **options: object) -> None:
    """Deploy --branch or --source to a preview of PROJECT."""
    found = session.client.find(project)
    with session.output.section(f"Build log of a preview of {project}"):
        made = session.client.previews.create(
            found.project_uid,
            source=source,  # type: ignore[arg-type]
            ttl=ttl,
            on_log=lambda line: session.output.log(line.message),
            **taken_by(Previews.create, options),
        )
    session.output.result(made, f"{made.url}  {made.name}")


@preview.command("list")
@click.argument("project", required=False)
@pass_session
def list_(session: Session, project: str | None) -> None:
    """List the previews of PROJECT or of all projects."""
    project_uid = None if project is None else session.client.find(project).project_uid
    _show(session, session.client.previews.list(project_uid))


@preview.command()
@environment_of
@click.argument("ttl", type=DURATION)
@pass_session
def extend(session: Session, project: str, environment: str, ttl: timedelta) -> None:
    """Set the time until a preview expires. TTL is a duration such as 7d."""
    found = session.find(project, environment)
    extended = session.client.previews.extend((found.project_uid, found.environment_uid), ttl)
    session.output.result(extended, f"The preview {extended.name} expires at {extended.expires_at:%Y-%m-%d %H:%M %Z}.")


@preview.command()
@click.argument("project")
@click.option("--branch", help="Branch of the preview.")
@click.option("--name", help="Name of the preview's environment, instead of a branch.")
@pass_session
def delete(session: Session, project: str, branch: str | None, name: str | None) -> int:
    """Delete a preview by --branch or --name. A missing preview is not an error."""
    found = session.client.find(project)
    gone = session.client.previews.delete(found.project_uid, branch=branch, name=name)
    session.output.result(
        gone, "The preview does not exist." if gone is None else f"The preview {gone.name} is deleted."
    )
    return ExitCode.DONE


@preview.command()
@click.option("--project", help="Delete only previews of this project.")
@workflow(Previews.sweep, without={"project_uid"})
@pass_session
def sweep(session: Session, project: str | None, **options: object) -> None:
    """Delete the previews that have expired."""
    project_uid = None if project is None else session.client.find(project).project_uid
    _show(session, session.client.previews.sweep(project_uid=project_uid, **taken_by(Previews.sweep, options)))


def _show(session: Session, previews: Sequence[Preview]) -> None:
    rows = [
        {
            "preview": one.name,
            "owner": one.owner,
            "expires in": "expired" if one.is_over else duration(one.time_left.total_seconds()),
            "environment_uid": one.environment_uid,
        }
        for one in previews
    ]
    session.output.table([*previews], rows, title=count_of(len(previews), "preview"))
