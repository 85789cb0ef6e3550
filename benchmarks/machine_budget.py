"""Processes on one rate limit without a server: real processes, real sockets, a strict emulator in another process.

Run `python -m benchmarks.machine_budget`; options: `--requests`, `--rounds`, `--json FILE`. From 1 to 25 processes send
as fast as the rate limit allows, against each way of counting. Further runs use a network of 20 ms each way, a process
that starts later, and thirty kills among six processes. The emulator's ledger gives the results: the most arrivals in
any second, and the accepted and refused requests. The last rows show the CPU time of a request at ten per second, minus
that of a timer. The goal is for the part that the file adds. About six minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import attrs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._report import Mark, Report, Row, arguments, write_report
from benchmarks.real_sockets import most_in_any_second
from tests.support.emulator_process import Emulator, emulator

PROCESSES = (1, 2, 5, 10, 25)
MODES = ("sliding", "fixed", "bucket")
LAN_S = 0.02
MOST, GOODPUT, SHARE, COST_US = 10, 9.5, 0.75, 60.0
CALLERS = 4
FIRST_S = 1.5
KILLS = 30
COSTED = 50
COST_ROUNDS = 6


@attrs.frozen
class Cell:
    """The result of one run.

    Attributes:
        name: Name of the run.
        most: The most requests that arrived in any second, including refused requests.
        goodput: Accepted requests per second, from the first to the last.
        refused: Number of refused requests.
        requests: Number of requests that arrived.
        share: Requests of the process that sent least, divided by those of the process that sent most; 1 if this ratio
            has no meaning in the run.
    """

    name: str
    most: int
    goodput: float
    refused: int
    requests: int
    share: float = 1.0


def worker(base_url: str, organization_uid: str, authtoken: str, pipe: Connection) -> None:
    """Send until the process is killed. Start on command, and return the times of the responses on request."""
    from launch_async import Authtoken, LaunchClient, LaunchError

    async def main() -> None:
        answered: list[float] = []
        async with LaunchClient(
            Authtoken(authtoken), base_url=base_url, organization_uid=organization_uid, timeout=600
        ) as launch:

            async def caller() -> None:
                while True:
                    with contextlib.suppress(LaunchError):
                        await launch.request("GET", "/projects", query={"limit": 1})
                        answered.append(time.monotonic())

            pipe.send("ready")
            await asyncio.to_thread(pipe.recv)
            callers = [asyncio.create_task(caller()) for _ in range(CALLERS)]
            await asyncio.to_thread(pipe.recv)
            for one in callers:
                one.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            pipe.send(answered)

    asyncio.run(main())


class Worker:
    """A process that sends."""

    def __init__(self, context: ForkServerContext, where: Emulator) -> None:
        self._pipe, theirs = context.Pipe()
        arguments = (where.url, where.organization_uid, where.authtoken, theirs)
        self.process: ForkServerProcess = context.Process(target=worker, args=arguments, daemon=True)
        self.process.start()

    def wait_until_ready(self) -> None:
        """Wait until the process is ready to start."""
        self._pipe.recv()

    def begin(self) -> None:
        """Start sending."""
        self._pipe.send("begin")

    def end(self) -> Sequence[float]:
        """Stop the process, and return the times of its responses."""
        self._pipe.send("end")
        answered: Sequence[float] = self._pipe.recv()
        self.process.join()
        return answered

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.join()


@contextlib.contextmanager
def service(window: str, latency: float = 0.0) -> Iterator[tuple[Emulator, ForkServerContext]]:
    """Run a strict emulator, and the server that forks processes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["launch_async.client", "launch_async.rate_limit.machine.limiter", "aiohttp"])
    with emulator(rate_limit=MOST, window=window, latency=latency) as where:
        yield where, context


def started(context: ForkServerContext, where: Emulator, processes: int) -> list[Worker]:
    """Return processes that are ready to start."""
    crew = [Worker(context, where) for _ in range(processes)]
    for one in crew:
        one.wait_until_ready()
    return crew


def cell(name: str, where: Emulator, share: float = 1.0) -> Cell:
    """Return the requests that arrived at an emulator, and print the result."""
    arrivals = where.arrivals()
    accepted = [when for when, accepted in arrivals if accepted]
    one = Cell(
        name,
        most_in_any_second([when for when, _ in arrivals]),
        (len(accepted) - 1) / (max(accepted) - min(accepted)),
        len(arrivals) - len(accepted),
        len(arrivals),
        share,
    )
    refused = f"{one.refused} of {one.requests}"
    print(f"{name:34} | {one.most:4} | {one.goodput:8.2f} | {refused:>12} | {one.share:.2f}", flush=True)
    return one


def saturated(window: str, processes: int, requests: int, latency: float = 0.0) -> Cell:
    """Let processes send until each has sent the given number of requests."""
    with service(window, latency) as (where, context):
        crew = started(context, where, processes)
        for one in crew:
            one.begin()
        # The first process to start sends the first ten requests, so shares are counted after that.
        counted_from = time.monotonic() + FIRST_S
        time.sleep(FIRST_S + max(requests * processes / MOST, 10.0))
        counts = [sum(when >= counted_from for when in one.end()) for one in crew]
        place = "20 ms each way" if latency else "loopback"
        return cell(f"{window}, {place}, {processes} processes", where, min(counts) / max(counts))


def newcomer(window: str) -> tuple[Cell, float]:
    """Add a sixth process to five. Return its share between 5 s and 10 s, as a part of a fair share."""
    with service(window) as (where, context):
        *crew, late = started(context, where, 6)
        for one in crew:
            one.begin()
        time.sleep(5.0)
        late.begin()
        began = time.monotonic()
        time.sleep(10.0)
        answered = [one.end() for one in (*crew, late)]
        lately = [sum(began + 5.0 <= when < began + 10.0 for when in times) for times in answered]
        return cell(f"{window}, loopback, 5 and a new process", where), lately[-1] / (sum(lately) / len(lately))


def killed(window: str, seconds: float = 30.0) -> Cell:
    """Kill a process of six thirty times, and replace it each time."""
    with service(window) as (where, context):
        crew = started(context, where, 6)
        for one in crew:
            one.begin()
        for place in itertools.islice(itertools.cycle(range(6)), KILLS):
            time.sleep(seconds / KILLS)
            crew[place].kill()
            crew[place] = Worker(context, where)
            crew[place].wait_until_ready()
            crew[place].begin()
        time.sleep(1.5)
        for one in crew:
            one.kill()
        return cell(f"{window}, loopback, 6 and {KILLS} kills", where)


async def _paced(limiter: object, requests: int) -> float:
    """Return the CPU time of a request in microseconds, with five callers and ten requests per second."""
    from launch_async.rate_limit.types import Answer, RateLimiter

    paced: RateLimiter = limiter  # type: ignore[assignment]
    loop = asyncio.get_running_loop()

    async def caller(each: int) -> None:
        for _ in range(each):
            permit = await paced.acquire()
            await asyncio.sleep(0.004)
            permit.answered(Answer(loop.time()))

    await caller(3)
    began = time.process_time()
    await asyncio.gather(*(caller(requests // 5) for _ in range(5)))
    return (time.process_time() - began) / requests * 1e6


async def _unpaced(requests: int) -> float:
    """Return the CPU time with a timer instead of the limiter."""

    async def caller(each: int) -> None:
        for _ in range(each):
            await asyncio.sleep(0.496)
            await asyncio.sleep(0.004)

    began = time.process_time()
    await asyncio.gather(*(caller(requests // 5) for _ in range(5)))
    return (time.process_time() - began) / requests * 1e6


def costs() -> dict[str, float]:
    """Return the CPU time of a request minus that of a timer, in microseconds, by limiter.

    The runs alternate, because the speed of a processor changes. Other work of the machine can only increase a time, so
    the least time of each kind counts.
    """
    from launch_async.rate_limit.local import LocalRateLimiter
    from launch_async.rate_limit.machine.limiter import MachineRateLimiter
    from launch_async.rate_limit.types import RateLimit

    times: dict[str, list[float]] = {"timer": [], "machine": [], "process": []}
    for _ in range(COST_ROUNDS):
        times["timer"].append(asyncio.run(_unpaced(COSTED)))
        machine = MachineRateLimiter("cost.example.com", "blt1", RateLimit(MOST))
        times["machine"].append(asyncio.run(_paced(machine, COSTED)))
        times["process"].append(asyncio.run(_paced(LocalRateLimiter(RateLimit(MOST)), COSTED)))
    timer = min(times.pop("timer"))
    found = {name: min(figures) - timer for name, figures in times.items()}
    for name, figure in found.items():
        print(f"a request on the budget of the {name}: {figure:.0f} microseconds of CPU time", flush=True)
    return found


def report(cells: Sequence[Cell], shares: Sequence[float], cost: Sequence[dict[str, float]]) -> Report:
    """Return runs as rows, one for each case."""
    by_name: dict[str, list[Cell]] = {}
    for one in cells:
        by_name.setdefault(one.name, []).append(one)
    return Report(
        "Processes on one rate limit of 10 per second, without a server",
        [
            *(
                Row(name, "most arrivals in any second", [one.most for one in found], "less")
                for name, found in by_name.items()
            ),
            *(
                Row(
                    name,
                    "accepted per second, and refused",
                    [one.goodput for one in found],
                    note=f"{sum(one.refused for one in found)} of {sum(one.requests for one in found)}",
                )
                for name, found in by_name.items()
            ),
            *(
                Row(f"budget of the {name}", "microseconds of CPU per request", [one[name] for one in cost], "less")
                for name in ("machine", "process")
            ),
        ],
        [
            Mark("most arrivals in any second, any run", [max(one.most for one in cells)], MOST, "less"),
            Mark(
                "accepted per second, worst run without kills",
                [min(one.goodput for one in cells if "kills" not in one.name)],
                GOODPUT,
            ),
            Mark("least-served process / most-served process, worst run", [min(one.share for one in cells)], SHARE),
            Mark("share of a new process after 5 s, of a fair share", [min(shares)], SHARE),
            Mark(
                "cost of sharing per request",
                [one["machine"] - one["process"] for one in cost],
                COST_US,
                "less",
                "microseconds of CPU",
            ),
        ],
        {"runs": [attrs.asdict(one) for one in cells], "newcomers": list(shares)},
    )


def main() -> None:
    """Measure, and write the report."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--requests", type=int, default=12, help="requests of each process in a run; default 12")
    options = parser.parse_args()
    cells, shares, cost = list[Cell](), list[float](), list[dict[str, float]]()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        for _ in range(options.rounds):
            cost.append(costs())
            print("case                               | most | accepted |      refused | least against most")
            for window in MODES:
                cells += [saturated(window, processes, options.requests) for processes in PROCESSES]
            cells += [saturated("sliding", processes, options.requests, LAN_S) for processes in (1, 5, 10)]
            one, share = newcomer("sliding")
            cells.append(one)
            shares.append(share)
            print(f"the newcomer has {share:.2f} of a fair share", flush=True)
            cells.append(killed("sliding"))
    print()
    write_report(report(cells, shares, cost), options.json)


if __name__ == "__main__":
    main()
