"""Scenarios with processes that create objects, alone or at the same time, while colleagues deploy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from launch_async import (
    Commit,
    Deployment,
    DeploymentFailed,
    Environment,
    LaunchClient,
    LaunchError,
    Project,
    Site,
    WaitTimeout,
    build_archive,
)
from tests.worlds.claims import Claim, Reported
from tests.worlds.network import JOB
from tests.worlds.oracle import Kind, Violation
from tests.worlds.process import Process
from tests.worlds.service import Made
from tests.worlds.world import World

__all__ = ["creations", "existing_project"]

_GIT: Final = {
    "repository_name": "acme/site",
    "username": "acme",
    "repository_url": "https://github.com/acme/site",
    "git_branch": "main",
}

Created = Deployment | Environment | Project | Site
Job = Callable[[LaunchClient], Awaitable[Created]]


async def creations(world: World) -> None:
    """Let processes create deployments, environments, projects and sites. Some processes are killed."""
    dice = world.chance.dice
    projects = [
        existing_project(world, f"shop-{number}", kind)
        for number, kind in enumerate(["GITPROVIDER", "FILEUPLOAD", "GITPROVIDER"])
    ]
    environments = [one for project in projects for one in world.service.below(project.uid, "environment")]
    world.let_colleagues_deploy(environments, for_seconds=120.0)
    runs = []
    for number in range(dice.choice([1, 1, 2])):
        process = world.process(f"process-{number + 1}")
        if world.chance.happens(0.3):
            process.dies_at = world.chance.steps(2000)
        jobs = [
            one_job(world, f"{process.name}/{job + 1}", projects, environments) for job in range(dice.choice([1, 2, 4]))
        ]
        at_once = world.chance.happens(0.5)
        runs.append((process, process.start(_carry_out(world, process, jobs, at_once=at_once))))
    for process, task in runs:
        if await world.ended(process, task):
            task.result()


def existing_project(world: World, name: str, kind: str) -> Made:
    """Add a project with environments and deployments from before the start of the world."""
    dice, service = world.chance.dice, world.service
    project = service.add_project(name, kind, "founder", at=-90_000.0)
    for environment_name in dice.choice([["production"], ["production", "staging"]]):
        environment = service.add_environment(project, environment_name, "founder", at=-89_000.0)
        for number in range(dice.choice([1, 1, 3])):
            source = {"commit": service.push(environment)} if kind == "GITPROVIDER" else {"content": _stored(world)}
            service.begin(environment, "founder", at=-80_000.0 + number * 20_000.0, **source)
        if kind == "GITPROVIDER" and world.chance.happens(0.5):
            service.push(environment)
        if world.chance.happens(0.3):
            # Somebody deployed the same source a few minutes ago. No run may adopt this deployment.
            service.begin(environment, "founder", at=dice.uniform(-280.0, -100.0))
    return project


def _stored(world: World) -> str:
    uid = world.service.uid()
    world.service.store(uid, f"files of the founder {uid}".encode() * 40)
    return world.service.hash_of(uid)


def one_job(world: World, name: str, projects: Sequence[Made], environments: Sequence[Made]) -> tuple[Claim, Job]:
    """Choose an operation that creates an object."""
    kind = world.chance.dice.choice(
        ["commit", "own", "own", "folder", "folder", "deploy", "environment", "project", "site"]
    )
    match kind:
        case "commit" | "deploy":
            chosen = [one for one in environments if one.kind == "GITPROVIDER"]
            return _of_commit(world, name, world.chance.dice.choice(chosen), waits=kind == "deploy")
        case "own":
            return _of_own_source(world, name, world.chance.dice.choice(environments))
        case "folder":
            chosen = [one for one in environments if one.kind == "FILEUPLOAD"]
            return _of_folder(world, name, world.chance.dice.choice(chosen))
        case "environment":
            return _environment(
                world, name, world.chance.dice.choice([one for one in projects if one.kind == "GITPROVIDER"])
            )
        case "project":
            return _project(world, name)
        case _:
            return _site(world, name)


def _of_commit(world: World, name: str, environment: Made, *, waits: bool) -> tuple[Claim, Job]:
    commit, project = world.service.new_commit(), environment.parent
    claim = world.claim(Claim(name, "deployment", environment.uid, commit=commit))
    if waits:
        return claim, lambda client: client.deploy(project, environment.uid, Commit(commit))
    return claim, lambda client: client.deployments.create(project, environment.uid, commit_hash=commit)


def _of_own_source(world: World, name: str, environment: Made) -> tuple[Claim, Job]:
    claim = world.claim(Claim(name, "deployment", environment.uid))
    return claim, lambda client: client.deployments.create(environment.parent, environment.uid)


def _of_folder(world: World, name: str, environment: Made) -> tuple[Claim, Job]:
    folder, waits = world.site(name.replace("/", "-")), world.chance.happens(0.5)
    with build_archive(folder) as archive:
        claim = world.claim(Claim(name, "deployment", environment.uid, content=archive.sha256))
    return claim, lambda client: client.deploy(environment.parent, environment.uid, folder, wait=waits)


def _environment(world: World, name: str, project: Made) -> tuple[Claim, Job]:
    # Use the same names in every project, and sometimes a name that is taken.
    number = sum(claim.place == project.uid for claim in world.claims)
    wanted = "production" if world.chance.happens(0.2) else f"preview-{number}"
    claim = world.claim(Claim(name, "environment", project.uid, name=wanted))
    return claim, lambda client: client.environments.create_from_git(project.uid, wanted, git_branch="main")


def _project(world: World, name: str) -> tuple[Claim, Job]:
    wanted = name.replace("/", "-")
    claim = world.claim(Claim(name, "project", name=wanted))
    return claim, lambda client: client.projects.create_from_git(wanted, **_GIT)


def _site(world: World, name: str) -> tuple[Claim, Job]:
    wanted, waits = name.replace("/", "-"), world.chance.happens(0.5)
    folder = world.site(f"{wanted}-site")
    claim = world.claim(Claim(name, "project", name=wanted))
    return claim, lambda client: client.create_site(wanted, folder, wait=waits)


async def _carry_out(world: World, process: Process, jobs: Sequence[tuple[Claim, Job]], *, at_once: bool) -> None:
    async with world.client(process) as client:
        if at_once:
            async with asyncio.TaskGroup() as group:
                for claim, job in jobs:
                    group.create_task(run_job(world, process, claim, job, client))
        else:
            for claim, job in jobs:
                await run_job(world, process, claim, job, client)


async def run_job(world: World, process: Process, claim: Claim, job: Job, client: LaunchClient) -> None:
    """Do a job, and record the result that its caller gets."""
    JOB.set(claim.job)
    try:
        created = await job(client)
    except DeploymentFailed as error:
        claim.reported, claim.uid, claim.text = Reported.MADE, error.report.ref.deployment_uid, "it failed"
        if claim.noun != "deployment":
            claim.reported = Reported.LATER
    except WaitTimeout as error:
        claim.reported, claim.text = Reported.LATER, error.message
    except LaunchError as error:
        claim.reported = Reported.UNKNOWN if error.ambiguous else Reported.FAILED
        if any("was created; do not create it again" in note for note in getattr(error, "__notes__", ())):
            claim.reported = Reported.LATER
        claim.text = f"{type(error).__name__}: {error.message}"
    except Exception as error:  # noqa: BLE001, RUF100
        world.troubles.append(Violation(Kind.CRASH, f"{claim.job}: {error!r}"))
    else:
        made = created.project if isinstance(created, Site) else created
        claim.reported, claim.uid = Reported.MADE, made.uid
    world.log(process.name, f"{claim.job} gets {claim.reported} {claim.text}")
