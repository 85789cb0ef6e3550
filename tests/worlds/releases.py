"""Bad releases that are killed at any await and finished by `resume_release`, over a network that loses a fifth."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from launch_async import (
    Authtoken,
    Check,
    Commit,
    Deployment,
    DeploymentUnhealthy,
    JournalError,
    LaunchClient,
    LaunchError,
    RateLimit,
    build_archive,
)
from launch_async.http import Request, Response, ResponseLike
from launch_async.rate_limit import LocalRateLimiter
from tests.worlds.claims import Claim, Reported
from tests.worlds.network import JOB, Account, Network
from tests.worlds.oracle import Kind, Violation
from tests.worlds.process import Process
from tests.worlds.service import Made, Service
from tests.worlds.world import World

__all__ = ["bad_release", "violations_of_release"]

LOST: Final = 0.2
"""Share of all requests that fail in some way."""
MOST_RUNS: Final = 60
JOB_NAME: Final = "release"
CHECK: Final = Check("/", header={"X-Version": "good"}, every=5.0, grace=20.0)


class WithSites:
    """The transport of a process, including the sites of the world."""

    def __init__(self, network: Network, process: Process, environment: Made, good: str) -> None:
        self._network = network
        self._inner = network.transport(process)
        self._environment = environment
        self._good = good

    async def send(self, request: Request) -> ResponseLike:
        """Send a request once."""
        if request.operation != "verify":
            return await self._inner.send(request)
        assert "authtoken" not in {name.lower() for name in request.headers}
        await asyncio.sleep(0.05)
        live = _live(self._network.service, self._environment)
        version = "none" if live is None else "good" if self._good in (live.commit, live.content) else "bad"
        return Response(200, {"X-Version": version})

    async def close(self) -> None:
        """Refuse further requests."""
        await self._inner.close()


async def bad_release(world: World) -> None:
    """Release a bad version over a good one, with kills, until the release is over."""
    dice, service = world.chance.dice, world.service
    calm = {"shows_commits": True, "shows_created": True, "shows_numbers": True, "colleagues": 0, "bursts": 0}
    conditions = attrs.evolve(world.chance.conditions, lost=LOST, disturbed=LOST, duplicates=0.0, **calm)
    world.chance.conditions = service._conditions = conditions
    service.failing = 0.0
    kind = dice.choice(["GITPROVIDER", "FILEUPLOAD"])
    environment = service.add_environment(
        service.add_project("shop", kind, "founder", at=-9e4), "www", "founder", at=-8e4
    )
    good, source = _sources(world, environment)
    world.claim(Claim(JOB_NAME, "deployment", environment.uid, text=good))
    journal = world.folder / "release.journal"
    for number in range(MOST_RUNS):
        process = world.process(f"process-{number + 1}")
        if number < MOST_RUNS // 2 and world.chance.happens(0.7):
            process.dies_at = world.chance.steps(1500)
        task = process.start(_run(world, process, environment, good, source, journal))
        if await world.ended(process, task) and task.result():
            return
        await asyncio.sleep(dice.choice([0.0, 5.0, 120.0]))
    world.troubles.append(Violation(Kind.HANG, f"{MOST_RUNS} runs did not finish the release"))


def _sources(world: World, environment: Made) -> tuple[str, Commit | Path]:
    """Make a good version live. Return its identifier, and a bad version to deploy."""
    service = world.service
    if environment.kind == "GITPROVIDER":
        good = service.push(environment)
        service.begin(environment, "founder", commit=good, at=-80_000.0)
        return good, Commit(service.push(environment))
    with build_archive(world.site("good")) as archive:
        service.store("good", archive.path.read_bytes())
    service.begin(environment, "founder", content=service.hash_of("good"), at=-80_000.0)
    return service.hash_of("good"), world.site("bad")


async def _run(
    world: World, process: Process, environment: Made, good: str, source: Commit | Path, journal: Path
) -> bool:
    """Deploy or resume once. Return whether the release is over."""
    JOB.set(JOB_NAME)
    claim = world.claims[0]
    transport = WithSites(world.network, process, environment, good)
    client = LaunchClient(
        Authtoken("token"),
        organization_uid="blt0123456789abcdef",
        transport=transport,
        limiter=LocalRateLimiter(RateLimit(10, per=1.0)),
    )
    async with client:
        try:
            if journal.exists() and await client.resume_release(journal, verify=CHECK) is not None:
                world.troubles.append(Violation(Kind.DENIED, "a bad release was called healthy"))
                return True
            await client.deploy(
                environment.parent, environment.uid, source, verify=CHECK, on_failure="restore", journal=journal
            )
            world.troubles.append(Violation(Kind.DENIED, "a bad release was called healthy"))
        except DeploymentUnhealthy as error:
            world.log(process.name, f"gets {error.message}")
            if not isinstance(error.restored, Deployment):
                return False
            claim.reported, claim.uid = Reported.MADE, error.restored.uid
        except (LaunchError, JournalError) as error:
            world.log(process.name, f"meets {type(error).__name__}: {error.message}")
            return False
    return True


def violations_of_release(claims: Sequence[Claim], service: Service, account: Account) -> list[Violation]:
    """Return the violations: a release that was not restored, or a repeated build."""
    (claim,) = claims
    ours = [one for one in service.ledger if one.author == JOB_NAME and one.noun == "deployment"]
    made = ", ".join(f"{one.uid[-3:]} {one.status} {(one.commit or one.content or '')[:8]}" for one in ours)
    restored = [one for one in ours if claim.text in (one.commit, one.content)]
    found = []
    if len(restored) > 1 or len(ours) - len(restored) > 1:
        found.append(Violation(Kind.TWICE, made))
    if len(restored) != 1 or restored[0].status != "LIVE" or claim.uid != restored[0].uid:
        found.append(Violation(Kind.LOST, f"{made}; the caller got {claim.reported} {claim.uid}"))
    return found


def _live(service: Service, environment: Made) -> Made | None:
    return next((one for one in service.below(environment.uid, "deployment") if one.status == "LIVE"), None)
