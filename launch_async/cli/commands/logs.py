"""`logs`, `server-logs` and `wait`: the logs and the end of a deployment."""

from __future__ import annotations

import click

from launch_async._text import without_escapes
from launch_async.cli.commands._common import environment_of, interruptible, workflow
from launch_async.cli.parameters import taken_by
from launch_async.cli.session import Session, pass_session
from launch_sync import Deployment, LaunchClient, LogLine, ServerLogLine

__all__ = ["logs", "server_logs", "wait"]


@click.command()
@environment_of
@click.argument("deployment", required=False)
@click.option("--follow", is_flag=True, help="Show new lines until the deployment has ended.")
@workflow(LaunchClient.follow_logs)
@pass_session
def logs(
    session: Session, project: str, environment: str, deployment: str | None, follow: bool, **options: object
) -> None:
    """Show the build log of DEPLOYMENT (a UID) or of the newest deployment."""
    ref = session.find_deployment(project, environment, deployment)
    lines = (
        session.client.follow_logs(ref, **taken_by(LaunchClient.follow_logs, options))
        if follow
        else session.client.deployments.logs(ref)
    )
    for line in lines:
        _write(session, line)


@click.command("server-logs")
@environment_of
@click.argument("deployment", required=False)
@click.option("--follow", is_flag=True, help="Show new lines until Ctrl-C or --until.")
@workflow(LaunchClient.tail_server_logs)
@pass_session
def server_logs(
    session: Session, project: str, environment: str, deployment: str | None, follow: bool, **options: object
) -> None:
    """Show the server log of DEPLOYMENT (a UID) or of the newest deployment.

    Without --follow, the command shows the lines between --since and --until.
    The defaults are 15 minutes ago and now.
    """
    from datetime import UTC, datetime, timedelta

    ref = session.find_deployment(project, environment, deployment)
    given = taken_by(LaunchClient.tail_server_logs, options)
    if follow:
        for line in session.client.tail_server_logs(ref, **given):
            _write(session, line)
        return
    end = given.get("until") or datetime.now(UTC)
    since = given.get("since") or timedelta(minutes=15)
    start = end - since if isinstance(since, timedelta) else since
    for line in session.client.deployments.server_logs(ref, start=start, end=end):
        _write(session, line)


@click.command()
@environment_of
@click.argument("deployment", required=False)
@workflow(LaunchClient.wait)
@pass_session
def wait(session: Session, project: str, environment: str, deployment: str | None, **options: object) -> None:
    """Wait until DEPLOYMENT (a UID) or the newest deployment has ended.

    The exit code is 1 if the deployment has failed.
    """
    ref = session.find_deployment(project, environment, deployment)

    def report(seen: Deployment) -> None:
        session.output.note(str(seen.status))

    with interruptible(session, "wait", project, environment, ref.deployment_uid):
        ended = session.client.wait(ref, on_update=report, **taken_by(LaunchClient.wait, options))
    session.output.result(ended, f"{ended.status}  {ended.url or ''}  ({ended.uid})")


def _write(session: Session, line: LogLine | ServerLogLine) -> None:
    moment = "" if line.timestamp is None else f"{line.timestamp:%H:%M:%S}  "
    session.output.item(line, f"{moment}{without_escapes(line.message)}")
