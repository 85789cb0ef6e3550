"""A process of a world with a separate event loop, clocks and open files. A kill ends all of them immediately.

All processes share one real loop in virtual time. Each process sees a separate loop, so the SDK stores the state of a
loop for each process. After a kill, a process never runs again. It is cleaned up only after the world was checked.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

import attrs

T = TypeVar("T")


@attrs.define
class WallClock:
    """The wall clock of a machine. It can be set at any time.

    Attributes:
        ahead: Seconds by which the clock is ahead of the true time.
        drift: Seconds that the clock gains each second.
    """

    ahead: float = 0.0
    drift: float = 0.0

    def at(self, true_time: float) -> float:
        """Return the time of the clock at a true time."""
        return true_time * (1 + self.drift) + self.ahead


@attrs.define(eq=False)
class _Dropped:
    callback: Callable[..., object]
    args: tuple[Any, ...]
    context: Context | None


class Process(asyncio.AbstractEventLoop):
    """One process, and the event loop that its code sees.

    Args:
        name: The name.
        world_loop: The loop that runs all processes.
        clock: The wall clock.
        boot: Time of the monotonic clock at the start of the world.
        rate: Speed of the monotonic clock.

    Attributes:
        alive: Whether the process runs.
        steps: Number of callbacks that have run.
        dies_at: The step at which the process is killed; None for no kill.
    """

    def __init__(
        self, name: str, world_loop: asyncio.AbstractEventLoop, clock: WallClock, *, boot: float, rate: float
    ) -> None:
        self.name = name
        self.clock = clock
        self.alive = True
        self.is_unwound = False
        self.steps = 0
        self.dies_at: int | None = None
        self.on_death: Callable[[], object] = lambda: None
        self.files: set[Any] = set()
        self.troubles: list[str] = []
        self._world_loop = world_loop
        self._boot, self._rate = boot, rate
        self._tasks: list[asyncio.Task[Any]] = []
        self._dropped: list[_Dropped] = []

    def __repr__(self) -> str:
        return f"<Process {self.name}>"

    def kill(self) -> None:
        """Stop immediately. The system closes the files of the process, which releases their locks."""
        if not self.alive:
            return
        self.alive = False
        for file in list(self.files):
            with contextlib.suppress(OSError):
                file.close()
        self.files.clear()
        self.on_death()

    def unwind(self) -> None:
        """Let the tasks unwind, so that the interpreter shows no warning. Their effects no longer count."""
        self.alive = False
        self.is_unwound = True
        for task in self._tasks:
            task.cancel()
        dropped, self._dropped = self._dropped, []
        for one in dropped:
            self.call_soon(one.callback, *one.args, context=one.context)

    @property
    def has_ended(self) -> bool:
        """Whether no task is left."""
        return all(task.done() for task in self._tasks)

    def forget(self) -> None:
        """Suppress the warnings about remaining tasks."""
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    def start(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine in this process."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            return self.create_task(coroutine)
        finally:
            events._set_running_loop(before)

    # The interface of an event loop.

    def time(self) -> float:
        return self._boot + self._world_loop.time() * self._rate

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        return self._world_loop.call_soon(self._step, callback, args, context, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        delay = max(0.0, delay) / self._rate
        return self._world_loop.call_later(delay, self._step, callback, args, None, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **_: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks = [one for one in self._tasks if not one.done()] if len(self._tasks) > 200 else self._tasks
        self._tasks.append(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run a function immediately, because threads would make the order of events depend on the machine."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001, RUF100
            future.set_exception(error)
        return future

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.alive:
            self.troubles.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _step(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None) -> None:
        if self.alive:
            self.steps += 1
            if self.dies_at is not None and self.steps >= self.dies_at:
                self.kill()
        if not self.alive and not self.is_unwound:
            self._dropped.append(_Dropped(callback, args, context))
            return
        events._set_running_loop(self)
        try:
            callback(*args)
        finally:
            events._set_running_loop(self._world_loop)


def running_process() -> Process | None:
    """Return the process that runs now; None between two steps."""
    loop = events._get_running_loop()
    return loop if isinstance(loop, Process) else None
