"""A mixed workload that records its results, to compare them with the ledger of the emulator."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import attrs

from launch_async import (
    AmbiguousOutcome,
    Deployment,
    Environment,
    LaunchClient,
    LaunchError,
    NotFoundError,
)
from launch_async.emulator import LaunchEmulator


@attrs.define
class Tally:
    """The results of the calls: returned UIDs, errors, and the number of calls of each kind."""

    created: list[str] = attrs.field(factory=list)
    deleted: list[str] = attrs.field(factory=list)
    not_deleted: list[str] = attrs.field(factory=list)
    unknown: list[AmbiguousOutcome] = attrs.field(factory=list)
    failed: list[LaunchError] = attrs.field(factory=list)
    calls: Counter[str] = attrs.field(factory=Counter)


@attrs.define
class Worker:
    """One caller with a separate project, so that all objects in the project come from its calls."""

    client: LaunchClient
    project_uid: str
    environment_uid: str
    tally: Tally
    dice: random.Random
    environments: list[str] = attrs.field(factory=list)

    async def run(self, calls: int) -> None:
        steps = [self.read, self.read_all, self.rename, self.deploy, self.add_environment, self.drop_environment]
        for _ in range(calls):
            step = self.dice.choice(steps)
            self.tally.calls[step.__name__] += 1
            try:
                await step()
            except AmbiguousOutcome as error:
                self.tally.unknown.append(error)
            except LaunchError as error:
                self.tally.failed.append(error)

    async def read(self) -> None:
        environment = await self.client.environments.get(self.project_uid, self.environment_uid)
        assert environment.uid == self.environment_uid

    async def read_all(self) -> None:
        found = [
            deployment async for deployment in self.client.deployments.list(self.project_uid, self.environment_uid)
        ]
        assert len({deployment.uid for deployment in found}) == len(found)

    async def rename(self) -> None:
        name = f"renamed-{self.dice.random()}"
        assert (await self.client.projects.update(self.project_uid, name=name)).name == name

    async def deploy(self) -> None:
        self._note(await self.client.deployments.create(self.project_uid, self.environment_uid))

    async def add_environment(self) -> None:
        name = f"environment-{self.dice.random()}"
        environment = await self.client.environments.create_from_git(self.project_uid, name, git_branch="main")
        assert environment.name == name
        self.environments.append(environment.uid)
        self._note(environment)

    async def drop_environment(self) -> None:
        if not self.environments:
            return
        uid = self.environments.pop()
        try:
            await self.client.environments.delete(self.project_uid, uid)
        except NotFoundError as error:
            raise AssertionError(f"a deletion that happened was reported as a failure: {error}") from error
        except LaunchError:
            self.tally.not_deleted.append(uid)
            raise
        self.tally.deleted.append(uid)

    def _note(self, created: Environment | Deployment) -> None:
        self.tally.created.append(created.uid)


async def run_workers(client: LaunchClient, emulator: LaunchEmulator, *, workers: int, calls: int, seed: int) -> Tally:
    """Run all workers at the same time, and return their common results."""
    tally = Tally()
    async with asyncio.TaskGroup() as group:
        for number in range(workers):
            project = emulator.add_project(f"project-{number}", environments=["production"], git=True)
            environment = next(iter(project.environments))
            worker = Worker(client, project.uid, environment, tally, random.Random(seed * 1000 + number))
            group.create_task(worker.run(calls))
    return tally
