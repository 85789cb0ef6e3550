"""Run contestants in separate processes that take turns, so that they do not share imports, memory or other load.

A benchmark runs `Contest(...)` with the names of contestants. The process of each contestant is this module. It opens
the contestant once, keeps the connections, and makes calls when the benchmark asks for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import cast

import attrs

from benchmarks._contestants import ASYNC, SYNC


@attrs.frozen
class Turn:
    """The cost of one turn.

    Attributes:
        rate: Calls per second.
        cpu: Seconds of processor time per 1000 calls.
        median: Duration of the median call in seconds.
        memory: Memory of the process in bytes.
    """

    rate: float
    cpu: float
    median: float
    memory: int


@attrs.frozen
class Task:
    """The task of a contestant: the operation (get or list), the number of calls, and how many run at a time."""

    what: str
    calls: int
    concurrency: int


class Contest:
    """Several contestants at one address."""

    def __init__(self, address: str, names: Sequence[str]) -> None:
        self._address = address
        self._names = names
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def turns(self, task: Task | Mapping[str, Task], rounds: int) -> dict[str, list[Turn]]:
        """Run all contestants in turn, in a new order in each round, after a warm-up. Return the cost of each turn."""
        tasks = task if isinstance(task, Mapping) else dict.fromkeys(self._names, task)
        for name in tasks:
            self.turn(name, attrs.evolve(tasks[name], calls=max(tasks[name].concurrency, tasks[name].calls // 4)))
        found: dict[str, list[Turn]] = {name: [] for name in tasks}
        order = list(tasks)
        for _ in range(rounds):
            for name in order:
                found[name].append(self.turn(name, tasks[name]))
            order = [*order[1:], order[0]]
        return found

    def turn(self, name: str, task: Task) -> Turn:
        """Let one contestant do its task once."""
        process = self._processes[name]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(attrs.asdict(task)) + "\n")
        process.stdin.flush()
        return Turn(**json.loads(process.stdout.readline()))


@contextlib.contextmanager
def contest(address: str, names: Sequence[str]) -> Generator[Contest]:
    """Start the contestants, and end them."""
    made = Contest(address, names)
    with contextlib.ExitStack() as stack:
        for name in names:
            command = [sys.executable, "-m", "benchmarks._contest", name, address]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.stdin.close if process.stdin else process.terminate)
            made._processes[name] = process  # noqa: SLF001 - it is made here
        yield made


async def _play_async(name: str, address: str) -> None:
    async with ASYNC[name](address) as actions:
        while line := await asyncio.to_thread(sys.stdin.readline):
            task = Task(**json.loads(line))
            took: list[float] = []
            left = iter(range(task.calls))
            began, cpu = time.perf_counter(), time.process_time()
            async with asyncio.TaskGroup() as group:
                for _ in range(task.concurrency):
                    group.create_task(_calls(actions[task.what], left, took))
            _report(task, time.perf_counter() - began, time.process_time() - cpu, took)


async def _calls(call: Callable[[], Awaitable[object]], left: Generator[int] | object, took: list[float]) -> None:
    clock = time.perf_counter
    for _ in cast("Generator[int]", left):
        began = clock()
        await call()
        took.append(clock() - began)


def _play_sync(name: str, address: str) -> None:
    with SYNC[name](address) as actions:
        while line := sys.stdin.readline():
            task = Task(**json.loads(line))
            took: list[float] = []
            threads = [
                threading.Thread(target=_plain_calls, args=(actions[task.what], task.calls // task.concurrency, took))
                for _ in range(task.concurrency)
            ]
            began, cpu = time.perf_counter(), time.process_time()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            _report(task, time.perf_counter() - began, time.process_time() - cpu, took)


def _plain_calls(call: Callable[[], object], calls: int, took: list[float]) -> None:
    clock = time.perf_counter
    for _ in range(calls):
        began = clock()
        call()
        took.append(clock() - began)


def _report(task: Task, seconds: float, cpu: float, took: list[float]) -> None:
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - read in the middle of a measurement
        memory = int(statm.read().split()[1]) * 4096
    turn = Turn(task.calls / seconds, 1000 * cpu / task.calls, statistics.median(took), memory)
    print(json.dumps(attrs.asdict(turn)), flush=True)


if __name__ == "__main__":
    chosen, where = sys.argv[1:]
    if chosen in ASYNC:
        asyncio.run(_play_async(chosen, where))
    else:
        _play_sync(chosen, where)
