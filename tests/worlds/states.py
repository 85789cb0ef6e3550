"""Declared state: processes that are killed at any await apply a document, while colleagues change its variables."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from launch_async import Authtoken, JournalError, LaunchClient, LaunchError, RateLimit, State
from launch_async.fleet import FleetReport, OperationState
from launch_async.http import Request, Response
from launch_async.rate_limit import LocalRateLimiter
from tests.worlds.claims import Claim
from tests.worlds.network import JOB, Account, Network
from tests.worlds.oracle import Kind, Violation
from tests.worlds.process import Process
from tests.worlds.scenarios import existing_project
from tests.worlds.service import Made, Service, short
from tests.worlds.world import World

__all__ = ["declared_state", "violations_of_state"]

JOB_NAME: Final = "state"
MOST_RUNS: Final = 40
DOCUMENT: Final = """
[groups.all]
projects = ["shop-*"]
[groups.all.variables]
FLAG = "2"
[projects.shop-new.repository]
repository_name = "acme/new"
username = "acme"
repository_url = "https://git.example/new"
[projects.shop-new.environments.production]
git_branch = "main"
[projects.shop-new.environments.staging]
git_branch = "main"
"""
WANTED: Final = "2"


@attrs.define
class Watch:
    """The values that our processes read, and the writes that they sent.

    Attributes:
        last: The variables that a process has read last, by process and environment.
        shown: Every value of the variable that was read, by environment.
        sent: Each write: the environment, the variables that were read before it, and the list that was written.
    """

    last: dict[tuple[str, str], Mapping[str, str]] = attrs.field(factory=dict)
    shown: dict[str, set[str | None]] = attrs.field(factory=lambda: defaultdict(set))
    sent: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = attrs.field(factory=list)


class Watched:
    """The transport of a process. It records reads and writes."""

    def __init__(self, network: Network, process: Process, watch: Watch) -> None:
        self._inner = network.transport(process)
        self._name = process.name
        self._watch = watch

    async def send(self, request: Request) -> Response:
        """Send a request once."""
        uid = request.url.partition("?")[0].rpartition("/")[2]
        if request.operation == "updateEnvironment" and isinstance(request.body, bytes):
            written = _variables(json.loads(request.body))
            self._watch.sent.append((uid, self._watch.last.get((self._name, uid), {}), written))
        response = await self._inner.send(request)
        if request.operation == "getEnvironment" and response.status == 200:
            document = _document(response)
            if document.get("uid") == uid:
                read = _variables(document)
                self._watch.last[self._name, uid] = read
                self._watch.shown[uid].add(read.get("FLAG"))
        return response

    async def close(self) -> None:
        """Refuse further requests."""
        await self._inner.close()


def _document(response: Response) -> Mapping[str, object]:
    try:
        environment = json.loads(response.body)["environment"]
    except (ValueError, KeyError):
        return {}
    return environment if isinstance(environment, dict) else {}


def _variables(document: Mapping[str, object]) -> dict[str, str]:
    listed = document.get("environmentVariables")
    return {one["key"]: one["value"] for one in listed} if isinstance(listed, list) else {}


@attrs.define
class DocumentRuns:
    """The runs of one document, until a process has finished it.

    Attributes:
        world: The world.
        watch: The reads and writes of our processes.
        before: The variable of each environment at the time of the comparison.
        report: The report of the last process.
    """

    world: World
    watch: Watch = attrs.field(factory=Watch)
    before: dict[str, str | None] = attrs.field(factory=dict)
    report: FleetReport | None = None

    def client(self, process: Process) -> LaunchClient:
        return LaunchClient(
            Authtoken("token"),
            organization_uid="blt0123456789abcdef",
            transport=Watched(self.world.network, process, self.watch),
            limiter=LocalRateLimiter(RateLimit(10, per=1.0)),
        )

    async def run(self, process: Process) -> bool:
        """Apply the document or resume its run. Return whether nothing is left to do."""
        JOB.set(JOB_NAME)
        journal = self.world.folder / "state.journal"
        state = State.from_toml(DOCUMENT)
        async with self.client(process) as client:
            try:
                if journal.exists():
                    report = await client.state.resume(journal, state, stop_on_failures=None, protected=())
                else:
                    plan = await client.state.diff(state)
                    self.before = {step.environment_uid: step.known.get("FLAG") for step in plan.steps}
                    report = await client.state.apply(
                        plan,
                        journal=journal,
                        confirm=len(plan.changes),
                        redeploy="changed",
                        stop_on_failures=None,
                        protected=(),
                    )
            except LaunchError as error:
                self.world.log(process.name, f"ends with {type(error).__name__}: {error.message}")
                if isinstance(error, JournalError):
                    raise
                return False
        self.world.log(process.name, f"reports {report.summary}")
        self.report = report
        return not report.unfinished

    async def remaining_differences(self, process: Process) -> list[str]:
        """Compare and apply again, without faults. Return the remaining differences."""
        JOB.set("checker")
        state = State.from_toml(DOCUMENT)
        async with self.client(process) as client:
            plan = await client.state.diff(state)
            await client.state.apply(plan, confirm=len(plan.changes), protected=())
            # The service lists new objects late.
            await asyncio.sleep(60.0)
            left = (await client.state.diff(state)).changes
        # The service of the worlds shows no branches.
        return [str(one) for one in left if one.field != "git_branch"]


async def declared_state(world: World) -> None:
    """Apply a document with kills, while colleagues change variables, until a process has finished it."""
    dice, service = world.chance.dice, world.service
    calm = {"shows_commits": True, "shows_created": True, "shows_numbers": True, "duplicates": 0.0}
    world.chance.conditions = service._conditions = attrs.evolve(world.chance.conditions, **calm)
    service.failing = 0.0
    projects = [existing_project(world, f"shop-{number}", "GITPROVIDER") for number in range(dice.choice([1, 2, 4]))]
    environments = [one for project in projects for one in service.below(project.uid, "environment")]
    for one in service.ledger:
        one.listed_at = min(one.listed_at, 0.0)
    for one in environments:
        one.variables = {"FLAG": "1", "KEPT": one.uid}
    _let_colleagues_write(world, environments)
    campaign = DocumentRuns(world)
    for number in range(MOST_RUNS):
        process = world.process(f"process-{number + 1}")
        if number < MOST_RUNS // 2 and world.chance.happens(0.6):
            process.dies_at = world.chance.steps(3000)
        task = process.start(campaign.run(process))
        if await world.ended(process, task) and task.result():
            break
        await asyncio.sleep(dice.choice([0.0, 5.0, 120.0]))
    else:
        world.troubles.append(Violation(Kind.HANG, f"{MOST_RUNS} runs did not come to the end of the document"))
        return
    world.troubles += violations_of_state(campaign, service)
    await asyncio.sleep(300.0)
    world.network.is_calm = True
    process = world.process("checker")
    task = process.start(campaign.remaining_differences(process))
    await world.ended(process, task)
    if left := task.result():
        world.troubles.append(Violation(Kind.LOST, f"applying it again leaves {left}"))


def _let_colleagues_write(world: World, environments: Sequence[Made]) -> None:
    """Let colleagues set the same variable and other variables for some time."""
    dice = world.chance.dice

    def write() -> None:
        one = dice.choice(environments)
        name = dice.choice(["FLAG", "OTHER", "THEIRS"])
        one.variables = {**one.variables, name: f"of a colleague {world.loop.time():.3f}"}
        world.log("colleague", f"sets {name} of {short(one.uid)}")
        if world.loop.time() < 200.0:
            world.loop.call_later(dice.expovariate(1 / 8.0), write)

    world.loop.call_later(dice.expovariate(1 / 4.0), write)


def violations_of_state(campaign: DocumentRuns, service: Service) -> list[Violation]:
    """Return the violations, from the reads, writes and reports of our processes."""
    found = [*_overwritten(campaign), *_deployed(service)]
    report = campaign.report
    assert report is not None
    for outcome in report.outcomes:
        uid = outcome.target.environment_uid
        story = f"{outcome.label} is reported as {outcome.state} {outcome.error} ({outcome.message})"
        if outcome.what == "update environment":
            shown = campaign.watch.shown[uid]
            wrote = any(environment == uid for environment, *_ in campaign.watch.sent)
            if outcome.state is OperationState.SUCCEEDED and WANTED not in shown and not wrote:
                found.append(Violation(Kind.LOST, story))
            if outcome.error == "ConflictError" and shown <= {WANTED, campaign.before.get(uid)}:
                found.append(Violation(Kind.DISHONEST, f"{story}, and nobody had changed it"))
        elif outcome.what.startswith("redeploy") and outcome.state is OperationState.SUCCEEDED:
            made = service.by_uid(outcome.deployment_uid or "")
            if made is None or made.author != JOB_NAME:
                found.append(Violation(Kind.FOREIGN, story))
        elif outcome.what.startswith("create") and outcome.state is OperationState.SUCCEEDED:
            names = {one.name for one in service.ledger if one.author == JOB_NAME and one.noun == "environment"}
            if outcome.target.environment_name not in names:
                found.append(Violation(Kind.LOST, story))
    return found


def _overwritten(campaign: DocumentRuns) -> list[Violation]:
    """Return the writes that changed a value not read before, or another variable."""
    found: list[Violation] = []
    for uid, read, written in campaign.watch.sent:
        flag, others = read.get("FLAG"), {name: value for name, value in read.items() if name != "FLAG"}
        story = f"{short(uid)} was read as {dict(read)} and written as {dict(written)}"
        if flag not in (campaign.before.get(uid), WANTED):
            found.append(Violation(Kind.FOREIGN, f"{story}; when it was compared it was {campaign.before.get(uid)!r}"))
        if {name: value for name, value in written.items() if name != "FLAG"} != others:
            found.append(Violation(Kind.FOREIGN, f"{story}: another variable was changed"))
    return found


def _deployed(service: Service) -> list[Violation]:
    found: list[Violation] = []
    for environment in [one for one in service.ledger if one.noun == "environment"]:
        ours = [one for one in service.below(environment.uid, "deployment") if one.author == JOB_NAME]
        asked_for = [one for one in ours if not one.is_implied]
        if len(asked_for) > 1:
            found.append(Violation(Kind.TWICE, f"{short(environment.uid)} was deployed {len(asked_for)} times"))
    return found


def no_violations(claims: Sequence[Claim], service: Service, account: Account) -> list[Violation]:
    """Return no violations: the scenario has checked itself, because only it knows the reads of each process."""
    return []
