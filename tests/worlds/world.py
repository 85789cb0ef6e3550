"""One world: created from a seed, run to its end in virtual time, and checked."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final
from unittest import mock

import attrs

from launch_async import Authtoken, LaunchClient, RateLimit
from launch_async.fleet import services as _services
from launch_async.rate_limit import LocalRateLimiter
from launch_async.resources import uploads as _uploads
from launch_async.wire import header_values as _header_values
from tests.support.virtual_time import VirtualTimeLoop
from tests.worlds.chance import Chance
from tests.worlds.claims import Claim
from tests.worlds.disk import Disk
from tests.worlds.network import Account, Network
from tests.worlds.oracle import Kind, Violation, violations_of
from tests.worlds.process import Process, WallClock, running_process
from tests.worlds.service import NOON, Made, Service, short

__all__ = ["Ending", "Oracle", "Scenario", "World", "run_world"]

LONGEST: Final = 8 * 3600.0
"""Virtual seconds after which the world counts as hanging."""
MOST_STEPS: Final = 400_000
"""Callbacks after which the world counts as hanging."""
SETTLED: Final = 90.0
"""Virtual seconds after the end of the last caller. All late effects happen within this time."""
_APART: Final = 200.0
"""Largest difference between the clocks of the service, in seconds."""
_REQUEST_ID: Final = re.compile(r"[;,]? ?request [0-9a-f]{8}-\d+")
_ORGANIZATION: Final = "blt0123456789abcdef"
_WITH_A_CLOCK: Final = (_services, _uploads, _header_values)
"""The modules of the SDK that read the clock of this machine."""

Scenario = Callable[["World"], Coroutine[Any, Any, None]]
Oracle = Callable[[Sequence[Claim], Service, Account], list[Violation]]


@attrs.frozen(kw_only=True)
class Ending:
    """The result of a world.

    Attributes:
        seed: The seed.
        scenario: Name of the scenario.
        trace: All events, in order.
        violations: The broken promises.
        account: The requests and their faults.
        claims: The operations with the results that their callers got.
        seconds: Duration in virtual time.
    """

    seed: int
    scenario: str
    trace: Sequence[str]
    violations: Sequence[Violation]
    account: Account
    claims: Sequence[Claim]
    seconds: float

    def __str__(self) -> str:
        verdict = "; ".join(map(str, self.violations)) or "nothing is wrong"
        lines = [f"seed {self.seed}: {self.scenario}", *self.trace, verdict]
        return "\n".join([*lines, f"replay: python -m benchmarks.worlds --seed {self.seed}"])


class World:
    """The service, network, disk and processes that a scenario uses.

    Args:
        seed: Determines all random choices.
        loop: Runs everything, in virtual time.
        folder: For journals and sites.
    """

    def __init__(self, seed: int, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        self.loop = loop
        self.folder = folder
        self.chance = Chance(seed)
        self.trace: list[str] = []
        self.claims: list[Claim] = []
        self.processes: list[Process] = []
        self.troubles: list[Violation] = []
        self.service = Service(loop, self.chance, self.log)
        self.network = Network(loop, self.chance, self.service, self.log)
        self.disk = Disk(self.chance, on_torn=self.mark_all_unknown)
        self.log("world", str(self.chance.conditions))

    def log(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.loop.time():10.3f}  {who:12}  {self.plain(what)}")

    def plain(self, text: str) -> str:
        """Return a text without the parts that differ in each replay."""
        return _REQUEST_ID.sub("", text.replace(f"{self.folder}/", ""))

    def process(self, name: str) -> Process:
        """Start a process with separate clocks."""
        dice = self.chance.dice
        clock = WallClock(ahead=NOON + dice.choice([0.0, 0.4, -90.0, 3600.0, -3600.0]), drift=dice.uniform(-1e-4, 1e-4))
        process = Process(name, self.loop, clock, boot=dice.uniform(0.0, 1e6), rate=1.0 + dice.uniform(-1e-4, 1e-4))
        self.processes.append(process)

        def note_death() -> None:
            self.log(name, f"is killed at step {process.steps}")
            self.network.account.faults["killed"] += 1
            self.network.account.mark_unknown(process)

        process.on_death = note_death
        return process

    def client(self, process: Process) -> LaunchClient:
        """Return a client that belongs to a process."""
        return LaunchClient(
            Authtoken("token"),
            organization_uid=_ORGANIZATION,
            transport=self.network.transport(process),
            limiter=LocalRateLimiter(RateLimit(10, per=1.0)),
        )

    def claim(self, claim: Claim) -> Claim:
        """Record an operation that a caller requests."""
        self.claims.append(claim)
        return claim

    def entry(self, uid: str) -> Made:
        """Return an entry of the ledger."""
        made = self.service.by_uid(uid)
        assert made is not None, uid
        return made

    def mark_all_unknown(self) -> None:
        """Record that the journal may lack steps of its run, so that any outcome may be unknown."""
        for claim in self.claims:
            self.network.account.lost[claim.job, claim.place] += 1

    def site(self, name: str) -> Path:
        """Return a folder with a unique page."""
        folder = self.folder / "sites" / name
        folder.mkdir(parents=True)
        (folder / "index.html").write_text(f"<p>{name}</p>")
        return folder

    async def ended(self, process: Process, task: asyncio.Task[Any]) -> bool:
        """Wait until a task of a process has ended. Return False if the process was killed before."""
        while process.alive and not task.done():  # noqa: ASYNC110 - a killed process sets no event
            await asyncio.sleep(0.5)
        return process.alive

    def set_clocks_now_and_then(self) -> None:
        """Set a clock, and schedule the next change."""
        dice = self.chance.dice
        which = dice.choice(["process", "process", "Date", "createdAt"])
        seconds = self.chance.jump()
        self.network.account.faults["clock set"] += 1
        if which == "process" and self.processes:
            process = dice.choice(self.processes)
            process.clock.ahead += seconds
            self.log("world", f"sets the clock of {process.name} by {seconds:+.1f} s")
        elif which == "Date" and abs(self.service.date_ahead + seconds) < _APART:
            # Set both clocks together, because the clocks of the service differ by minutes at most. Only the service's
            # time says when an object was created, so it may be wrong by minutes at most.
            self.service.date_ahead += seconds
            self.service.created_ahead += seconds
            self.log("world", f"sets the clocks of the service by {seconds:+.1f} s")
        elif abs(self.service.created_ahead - self.service.date_ahead + seconds) < _APART:
            self.service.created_ahead += seconds
            self.log("world", f"sets the clock behind createdAt by {seconds:+.1f} s")
        self.loop.call_later(dice.uniform(5.0, 300.0) + self.loop.time(), self.set_clocks_now_and_then)

    def refuse_for_a_while(self) -> None:
        """Answer all requests with 429 for some seconds."""
        self.network.refusing_until = self.loop.time() + self.chance.dice.uniform(0.2, 3.0)
        self.log("service", f"refuses everything until {self.network.refusing_until:.3f}")

    def let_colleagues_deploy(self, environments: Sequence[Made], *, for_seconds: float) -> None:
        """Let colleagues deploy other files and commits for some time."""
        dice = self.chance.dice
        for number in range(self.chance.conditions.colleagues):
            name = f"colleague-{number + 1}"

            def deploy(name: str = name) -> None:
                environment = dice.choice(environments)
                earlier = [one.commit for one in self.service.below(environment.uid, "deployment")]
                if environment.kind == "GITPROVIDER":
                    # Choose a new commit, a commit of another branch, or an old commit. A commit deployed right
                    # before our call looks like the newest one, and no program could distinguish the two.
                    kind = dice.choice(["push", "push", "branch", "back", "back"])
                    commit = self.service.new_commit() if kind == "branch" else None
                    old = [one.commit for one in self.service.below(environment.uid, "deployment") if one.at < 0.0][:-1]
                    older = [one for one in old if earlier.count(one) == 1]
                    commit = dice.choice(older) if kind == "back" and older else commit
                    self.service.begin(environment, name, commit=commit or self.service.push(environment))
                else:
                    uid = self.service.uid()
                    content = f"files of {name} {uid}".encode() * 40
                    self.service.store(uid, content)
                    self.service.begin(environment, name, content=self.service.hash_of(uid))
                if self.loop.time() < for_seconds:
                    self.loop.call_later(dice.expovariate(1 / 20.0), deploy)

            self.loop.call_later(dice.expovariate(1 / 10.0), deploy)

    async def live(self, scenario: Scenario) -> None:
        """Run a scenario, and wait for its late effects."""
        if self.chance.happens(0.5):
            self.loop.call_later(self.chance.dice.uniform(0.0, 60.0), self.set_clocks_now_and_then)
        for _ in range(self.chance.conditions.bursts):
            self.loop.call_later(self.chance.dice.uniform(0.0, 90.0), self.refuse_for_a_while)
        play = asyncio.ensure_future(scenario(self))
        while not play.done():
            await asyncio.wait([play], timeout=60.0)
            steps = sum(process.steps for process in self.processes)
            if self.loop.time() > LONGEST or steps > MOST_STEPS:
                self.troubles.append(Violation(Kind.HANG, f"after {self.loop.time():.0f} s and {steps} steps"))
                play.cancel()
                await asyncio.wait([play])
                break
        if not play.cancelled() and (error := play.exception()) is not None:
            raise error
        await asyncio.sleep(SETTLED)

    async def unwind(self) -> None:
        """Let all remaining tasks unwind."""
        for _ in range(20):
            for process in self.processes:
                if not process.has_ended:
                    process.unwind()
            for _ in range(5):
                await asyncio.sleep(0)
            if all(process.has_ended for process in self.processes):
                break
        for process in self.processes:
            process.forget()

    def judged(self, oracle: Oracle) -> list[Violation]:
        """Return all violations."""
        for claim in self.claims:
            uid = short(claim.uid) if claim.uid else ""
            self.log("world", f"{claim.job} at {short(claim.place)} got {claim.reported} {uid} {claim.text}")
        crashes = [
            Violation(Kind.CRASH, f"{process.name}: {trouble}")
            for process in self.processes
            for trouble in process.troubles
        ]
        return [*self.troubles, *crashes, *oracle(self.claims, self.service, self.network.account)]


def run_world(seed: int, scenarios: dict[str, Scenario], *, oracle: Oracle = violations_of) -> Ending:
    """Run the world of a seed to its end, and check it."""
    folder = Path(tempfile.mkdtemp(prefix="world-"))
    loop = VirtualTimeLoop()
    loop.set_exception_handler(lambda *_: None)
    try:
        with _clocks_of_processes(), _dice_of(seed):
            world = World(seed, loop, folder)
            name = world.chance.dice.choice(list(scenarios))
            with world.disk.in_use(), mock.patch("tempfile.tempdir", str(folder)):
                loop.run_until_complete(world.live(scenarios[name]))
                seconds = loop.time()
                violations = world.judged(oracle)
                loop.run_until_complete(world.unwind())
    finally:
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)
    return Ending(
        seed=seed,
        scenario=name,
        trace=world.trace,
        violations=violations,
        account=world.network.account,
        claims=world.claims,
        seconds=seconds,
    )


class _OfProcess(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class _Datetime(datetime, metaclass=_OfProcess):
    """The date of the clock of the running process."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.fromtimestamp(time.time(), tz)


@contextlib.contextmanager
def _clocks_of_processes() -> Generator[None]:
    """Let code that reads the clock of this machine read the clock of its process."""
    real_time = time.time

    def believed_time() -> float:
        process = running_process()
        return real_time() if process is None else process.clock.at(process._world_loop.time())

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch("time.time", believed_time))
        for module in _WITH_A_CLOCK:
            stack.enter_context(mock.patch.object(module, "datetime", _Datetime))
        yield


@contextlib.contextmanager
def _dice_of(seed: int) -> Generator[None]:
    """Make all random choices of the SDK depend on the seed."""
    true_class = random.Random
    state = random.getstate()

    class Seeded(true_class):  # type: ignore[misc, valid-type]
        def __init__(self, own_seed: object = None) -> None:
            super().__init__(f"sdk {seed}" if own_seed is None else own_seed)  # type: ignore[arg-type]

    random.seed(f"module {seed}")
    try:
        with mock.patch("random.Random", Seeded):
            yield
    finally:
        random.setstate(state)
