"""Fleets in a world: processes run one plan, one after the other, and each is killed at some step."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import attrs

from launch_async import Commit, JournalError, LaunchClient, LaunchError, build_archive
from launch_async.fleet import FleetReport, OperationState, Plan
from tests.worlds.claims import Claim, Reported
from tests.worlds.network import JOB
from tests.worlds.process import Process
from tests.worlds.scenarios import existing_project
from tests.worlds.world import World

__all__ = ["redeployment", "variables"]

_JOB: Final = "fleet"
_MOST_RUNS: Final = 8
_VARIABLES: Final = {"API_URL": "https://api.example.com", "MODE": "live"}


async def redeployment(world: World) -> None:
    """A fleet redeploys environments from Git or from a folder, is killed and resumed, while colleagues deploy."""
    dice = world.chance.dice
    kind = dice.choice(["GITPROVIDER", "FILEUPLOAD"])
    environments = _existing_environments(world, kind)
    folder, commit, content = None, None, None
    if kind == "FILEUPLOAD" and world.chance.happens(0.7):
        folder = world.site("fleet")
        with build_archive(folder) as archive:
            content = archive.sha256
    elif kind == "GITPROVIDER" and world.chance.happens(0.5):
        commit = world.service.new_commit()
    source = folder or (Commit(commit) if commit else None)
    for uid in environments:
        world.claim(Claim(_JOB, "deployment", uid, commit=commit, content=content, looks_first=True))

    async def plan(client: LaunchClient) -> Plan:
        return await client.fleet.plan_redeploy(await client.fleet.select(), source)

    planned = await _planned(world, plan)
    world.let_colleagues_deploy(list(map(world.entry, environments)), for_seconds=240.0)
    await _PlanRuns(world, planned, {}).run_to_the_end()


async def variables(world: World) -> None:
    """A fleet sets variables, and is killed and resumed."""
    environments = _existing_environments(world, "GITPROVIDER")
    for uid in environments:
        world.claim(Claim(_JOB, "variables", uid, variables=dict(_VARIABLES)))

    async def plan(client: LaunchClient) -> Plan:
        return await client.fleet.plan_variables(await client.fleet.select(), _VARIABLES)

    planned = await _planned(world, plan)
    await _PlanRuns(world, planned, _VARIABLES).run_to_the_end()


async def _planned(world: World, plan: Callable[[LaunchClient], Awaitable[Plan]]) -> Plan:
    """Return a plan that another process made without faults."""
    process = world.process("planner")

    async def planning() -> Plan:
        async with world.client(process) as client:
            return await plan(client)

    world.network.is_calm = True
    task = process.start(planning())
    await world.ended(process, task)
    world.network.is_calm = False
    return task.result()


def _existing_environments(world: World, kind: str) -> list[str]:
    projects = [
        existing_project(world, f"shop-{number}", kind) for number in range(world.chance.dice.choice([1, 2, 4]))
    ]
    # The plan contains all deployments.
    for one in world.service.ledger:
        one.listed_at = min(one.listed_at, 0.0)
    return [one.uid for project in projects for one in world.service.below(project.uid, "environment")]


@attrs.define
class _PlanRuns:
    """The runs of one plan, until there is a report."""

    world: World
    plan: Plan
    variables: Mapping[str, str]
    journal: Path = attrs.field(init=False)
    reports: list[FleetReport] = attrs.field(factory=list)
    copies: int = 0
    other_runs: list[tuple[Process, asyncio.Task[None]]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.journal = self.world.folder / "fleet.journal"

    async def run_to_the_end(self) -> None:
        """Run and resume until a process has finished the plan."""
        world, dice = self.world, self.world.chance.dice
        kills = dice.choice([0, 0, 1, 2, 3])
        for number in range(_MOST_RUNS):
            process = world.process(f"run-{number + 1}")
            if number < kills:
                if world.chance.happens(0.2):
                    world.disk.torn[process.name] = 0.1
                else:
                    process.dies_at = world.chance.steps(5000)
            if number < 3 and world.chance.happens(0.1):
                self._fill_the_disk_for_a_while()
            done = len(self.reports)
            task = process.start(self._run(process))
            if world.chance.happens(0.15):
                self._start_a_second_runner(number)
            snapshot = self._copy_during_the_run() if number < kills and world.chance.happens(0.2) else None
            if await world.ended(process, task):
                task.result()
            world.disk.is_full = False
            if len(self.reports) > done and number >= kills:
                break
            await asyncio.sleep(dice.choice([0.0, 3.0, 40.0, 7200.0]))
            # Copy a journal only after its run has ended.
            await self._others_ended()
            self._choose_a_copy(snapshot)
        await self._others_ended()
        self._claim_what_is_reported()

    async def _others_ended(self) -> None:
        for process, task in self.other_runs:
            if await self.world.ended(process, task):
                task.result()

    async def _run(self, process: Process) -> None:
        JOB.set(_JOB)
        values = self.variables or None
        async with self.world.client(process) as client:
            try:
                if self.journal.exists():
                    report = await client.fleet.resume(
                        self.journal, variables=values, stop_on_failures=None, protected=()
                    )
                else:
                    plan = Plan.from_json(self.plan.to_json())
                    count = len(plan.operations)
                    report = await client.fleet.run(
                        plan,
                        journal=self.journal,
                        variables=values,
                        confirm=count,
                        stop_on_failures=None,
                        protected=(),
                    )
            except LaunchError as error:
                self.world.log(process.name, f"ends with {type(error).__name__}: {error.message}")
                if isinstance(error, JournalError):
                    self.world.network.account.mark_unknown(process)
                return
        self.world.log(process.name, f"reports {report.summary}")
        self.reports.append(report)

    def _start_a_second_runner(self, number: int) -> None:
        world = self.world
        process = world.process(f"second-runner-{number + 1}")

        def start() -> None:
            if self.journal.exists():
                world.log(process.name, "begins")
                self.other_runs.append((process, process.start(self._run(process))))

        world.loop.call_later(world.chance.dice.uniform(0.0, 30.0), start)

    def _fill_the_disk_for_a_while(self) -> None:
        world, dice = self.world, self.world.chance.dice

        def fill() -> None:
            world.log("disk", "is full")
            world.disk.is_full = True
            world.network.account.faults["disk full"] += 1

        def free() -> None:
            world.disk.is_full = False

        begins = dice.uniform(0.0, 20.0)
        world.loop.call_later(begins, fill)
        world.loop.call_later(begins + dice.uniform(0.1, 60.0), free)

    def _copy_during_the_run(self) -> Path:
        world = self.world
        path = self._new_path()

        def copy() -> None:
            if self.journal.exists():
                shutil.copyfile(self.journal, path)
                world.log("world", f"copies the journal to {path.name}")

        world.loop.call_later(world.chance.dice.uniform(0.0, 60.0), copy)
        return path

    def _choose_a_copy(self, snapshot: Path | None) -> None:
        """Continue with a copy, which may lack later steps of its run."""
        world = self.world
        if snapshot is not None and snapshot.exists():
            self.journal = snapshot
            world.log("world", f"goes on with the older copy {snapshot.name}")
            world.mark_all_unknown()
        elif self.journal.exists() and world.chance.happens(0.3):
            path = self._new_path()
            shutil.copyfile(self.journal, path)
            self.journal = path
            world.log("world", f"goes on with the copy {path.name}")
            world.mark_all_unknown()

    def _new_path(self) -> Path:
        self.copies += 1
        return self.world.folder / f"fleet-{self.copies}.journal"

    def _claim_what_is_reported(self) -> None:
        if not self.reports:
            return
        claims = {claim.place: claim for claim in self.world.claims}
        for outcome in self.reports[-1].outcomes:
            claim = claims[outcome.target.environment_uid]
            claim.uid, claim.text = outcome.deployment_uid, self.world.plain(outcome.message)
            match outcome.state:
                case OperationState.SUCCEEDED:
                    claim.reported = Reported.MADE if claim.noun == "deployment" else Reported.WRITTEN
                case OperationState.FAILED:
                    claim.reported = Reported.MADE if claim.uid else Reported.FAILED
                case OperationState.AMBIGUOUS:
                    claim.reported = Reported.UNKNOWN
                case _:
                    claim.reported = Reported.NOTHING
