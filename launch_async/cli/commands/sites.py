"""`site`, `deploy`, `restore`, `promote` and `resume-release`: deployments."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Generator
from pathlib import Path
from types import FrameType

import click

from launch_async.cli.commands._common import environment_of, interruptible, workflow
from launch_async.cli.exit_codes import ExitCode
from launch_async.cli.parameters import taken_by
from launch_async.cli.session import Session, pass_session
from launch_async.cli.values import SOURCE
from launch_sync import Deployment, LaunchClient, LogLine

__all__ = ["deploy", "promote", "restore", "resume_release", "site"]


@click.command()
@click.argument("folder", type=click.Path(exists=True))
@click.option("--name", help="Name of the project. The default is the name of the folder.")
@click.option("--emulator", is_flag=True, help="Deploy to an emulator, which serves the site until Ctrl-C.")
@workflow(LaunchClient.create_site, without={"environment_variables"})
@pass_session
def site(session: Session, folder: str, name: str | None, emulator: bool, **options: object) -> None:
    """Create a project from FOLDER (a folder or ZIP), and deploy it.

    The command waits until the site is live.
    """
    name = name or Path(folder).resolve().stem
    with _emulator(session) if emulator else contextlib.nullcontext():
        with session.output.section(f"Build log of {name}"):
            made = session.client.create_site(
                name, folder, on_log=lambda line: _show(session, line), **taken_by(LaunchClient.create_site, options)
            )
        deployment = made.deployment
        # The user may press Ctrl-C as soon as the result is visible.
        with contextlib.suppress(KeyboardInterrupt) if emulator else contextlib.nullcontext():
            session.output.result(made, f"{deployment.status}  {deployment.url}")
            if emulator:
                session.output.note("The emulator serves the site. Press Ctrl-C to stop it.")
                _wait_for_interrupt()


@click.command()
@environment_of
@click.argument("source", type=SOURCE)
@workflow(LaunchClient.deploy)
@pass_session
def deploy(session: Session, project: str, environment: str, source: object, **options: object) -> None:
    """Deploy SOURCE: a folder, a ZIP, `latest`, `previous` or `commit:HASH`.

    The exit code is 1 if the build fails. The last lines of the log show why.
    """
    found = session.find(project, environment)
    journal = options.get("journal")
    rest = ("wait", project, environment) if journal is None else ("resume-release", str(journal))
    with interruptible(session, *rest), session.output.section(f"Build log of {project}/{environment}"):
        deployment = session.client.deploy(
            *found,
            source,  # type: ignore[arg-type]
            on_log=lambda line: _show(session, line),
            **taken_by(LaunchClient.deploy, options),
        )
    _report(session, deployment)


@click.command()
@environment_of
@workflow(LaunchClient.restore)
@pass_session
def restore(session: Session, project: str, environment: str, **options: object) -> None:
    """Deploy the previous version again. Variables do not change."""
    found = session.find(project, environment)
    with interruptible(session, "wait", project, environment):
        restored = session.client.restore(*found, **taken_by(LaunchClient.restore, options))
    _report(session, restored)


@click.command()
@click.argument("from_project")
@click.argument("from_environment")
@click.argument("project")
@click.argument("environment")
@click.option("--deployment", "deployment_uid", metavar="UID", help="Deployment to promote; the newest one by default.")
@workflow(LaunchClient.promote)
@pass_session
def promote(
    session: Session,
    from_project: str,
    from_environment: str,
    project: str,
    environment: str,
    deployment_uid: str | None,
    **options: object,
) -> None:
    """Deploy the commit or ZIP of one environment to another environment."""
    source = session.find_deployment(from_project, from_environment, deployment_uid)
    found = session.find(project, environment)
    journal = options.get("journal")
    rest = ("wait", project, environment) if journal is None else ("resume-release", str(journal))
    with interruptible(session, *rest):
        promoted = session.client.promote(source, *found, **taken_by(LaunchClient.promote, options))
    _report(session, promoted)


@click.command("resume-release")
@click.argument("journal", type=click.Path(exists=True, dir_okay=False))
@workflow(LaunchClient.resume_release)
@pass_session
def resume_release(session: Session, journal: str, **options: object) -> int:
    """Finish a deploy or promote command whose process was killed.

    JOURNAL is the journal of that command. The exit code is 1 if the process
    had not created a deployment. Deploy again in this case.
    """
    with interruptible(session, "resume-release", journal):
        deployment = session.client.resume_release(journal, **taken_by(LaunchClient.resume_release, options))
    if deployment is None:
        session.output.result(None, "There is no deployment yet. Deploy again.")
        return ExitCode.FAILED
    _report(session, deployment)
    return ExitCode.DONE


def _report(session: Session, deployment: Deployment) -> None:
    session.output.result(deployment, f"{deployment.status}  {deployment.url or ''}  ({deployment.uid})")


def _show(session: Session, line: LogLine) -> None:
    session.output.log(line.message)


@contextlib.contextmanager
def _emulator(session: Session) -> Generator[None]:
    from launch_sync import Authtoken
    from launch_sync.emulator import LaunchEmulator

    with (
        LaunchEmulator() as emulator,
        LaunchClient(
            Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
        ) as client,
    ):
        session.use(client)
        yield


def _wait_for_interrupt() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    with contextlib.suppress(KeyboardInterrupt):
        while not ended.wait(0.2):
            pass
