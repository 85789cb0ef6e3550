"""`probe`: check the SDK's assumptions about the service against a real organization."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from launch_async.client import LaunchClient
from launch_async.emulator.tape.recorder import Recorder
from launch_async.errors import InvalidArgumentError
from launch_async.http.operation import check_callback, check_text
from launch_async.probe.exchanges import Asker
from launch_async.probe.findings import Findings
from launch_async.probe.openapi import compared
from launch_async.probe.reading import Reader
from launch_async.probe.report import ProbeReport
from launch_async.probe.scratch import scratch_project
from launch_async.probe.writing import Writer

__all__ = ["probe", "probe_steps"]

MAX_READS: Final = 60
"""Maximum number of requests of a probe that only reads."""
_MAX_WRITES: Final = 150
"""Maximum number of further requests for the scratch project. Most of them are polls of its builds."""
_MAX_NAME: Final = 200
_READS: Final = (
    f"Read with at most {MAX_READS} requests: the API document, projects, environments, deployments, logs, domains, "
    "usage, one download URL, the beginning of one live log"
)


async def probe(
    client: LaunchClient,
    *,
    write: bool = False,
    project: str | None = None,
    daring: bool = False,
    tape: str | os.PathLike[str] | None = None,
    on_step: Callable[[str], object] | None = None,
) -> ProbeReport:
    """Check the SDK's assumptions about the service against a real organization, and return a report.

    By default, the probe only reads. It sends at most 60 requests, deletes nothing, changes nothing, and provokes no
    429. Its requests have the priority of polls. They use at most half of the rate limit, and all other requests
    leave first.

    The report contains no secret, no UID and no name of a project, an environment or a person.

    Args:
        client: A client of the organization. An authtoken and a bearer token decide different questions.
        write: Whether to create a scratch project, which decides more questions. The probe sends up to 150 further
            requests, uploads two small archives, builds up to five deployments, and uses one revalidation of the daily
            quota. It deletes the project at the end, also after an error or a cancellation.
        project: Name of the scratch project; required with `write`. No existing project may have this name.
        daring: Whether to request one listing with limit=0, which may return everything in the organization.
        tape: A file to which the probe appends each exchange, masked. An emulator can answer from this file.
        on_step: Called with a description of each step before the step begins.

    Returns:
        A verdict for each open question. A question is undecided unless the answers of the service prove one answer.

    Raises:
        InvalidArgumentError: `project` is missing, is given without `write`, or names a project that exists; or `tape`
            is a file that is not a tape. Nothing was changed.
        ConfigurationError: The client has no credentials. Nothing was sent.
        LaunchError: The name of the scratch project could not be checked. Nothing was changed.
    """
    check_callback(on_step=on_step)
    name = _scratch_name(write, project)
    begin: Callable[[str], object] = on_step or (lambda _: None)
    if tape is not None:
        client = client.with_options(middleware=(*client.middleware, _recorder(tape)))
    asker, findings = Asker(client, MAX_READS), Findings()
    leftover = ""
    if name is not None:
        asker.most = _MAX_WRITES
    begin("Read the API document")
    differences, problem = compared(await asker.openapi())
    if name is None:
        await Reader(asker, findings, daring=daring, on_step=begin).read()
    else:
        begin("Make sure that the name of the scratch project is not in use")
        async with scratch_project(client, findings, name) as scratch:
            await Writer(client, asker, findings, scratch, on_step=begin).explore()
            asker.most = asker.spent + MAX_READS
            await Reader(asker, findings, daring=daring, on_step=begin, first=scratch.uid).read()
            begin("Delete the scratch project")
        leftover = scratch.leftover
    return ProbeReport(
        rows=findings.rows(),
        checks=findings.checks(),
        openapi=differences,
        openapi_problem=problem,
        requests=asker.spent,
        wrote=name is not None,
        leftover=leftover,
        options=findings.options,
    )


def probe_steps(*, write: bool = False, project: str | None = None, daring: bool = False) -> tuple[str, ...]:
    """Return the steps of `probe` with these arguments. This function sends no requests.

    Raises:
        InvalidArgumentError: `project` is missing, or is given without `write`.
    """
    name = _scratch_name(write, project)
    reads = [
        _READS,
        "Read one listing without the organization's UID and, with a bearer token, one listing with another UID",
    ]
    if daring:
        reads.append("Read one listing with limit=0, which may return everything in the organization")
    if name is None:
        return (*reads, "Change nothing and delete nothing")
    return (
        f"Make sure that no project is called {name!r}",
        "Upload a site with one small page, and create the project from it",
        "Update the project's first environment with an empty object, and with its current name by PUT and PATCH",
        "Send an empty object to PATCH of the project's Git repository",
        "Create a second environment, try to give it the first environment's name, and set three variables",
        "Let Launch manage the certificate of the first environment's domain, as it does by default",
        "Revalidate one path of the site, which counts against the daily quota",
        "Deploy the first environment twice, and wait for the builds",
        *reads,
        f"Delete the project {name!r}, also after an error",
    )


def _recorder(tape: str | os.PathLike[str]) -> Recorder:
    try:
        return Recorder(tape)
    except ValueError as error:
        raise InvalidArgumentError("tape", str(error)) from None


def _scratch_name(write: bool, project: str | None) -> str | None:
    if write and project is None:
        raise InvalidArgumentError(
            "project", "is required with write=True. Pass a name that is not in use, such as project='probe-1'"
        )
    if not write and project is not None:
        raise InvalidArgumentError(
            "project", "is only for a scratch project. Pass write=True as well, or remove project="
        )
    return None if project is None else check_text("project", project, longest=_MAX_NAME)
