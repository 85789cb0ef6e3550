"""The part of a shared budget in one process: a worker for each event loop, and the status of all workers."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from functools import partial
from types import MappingProxyType

import attrs

from launch_async.rate_limit.event_loops import call_on, current_time
from launch_async.rate_limit.poll_share import poll_interval
from launch_async.rate_limit.shared.connection import Config
from launch_async.rate_limit.shared.worker import Worker
from launch_async.rate_limit.types import LimiterStatus, Permit, Priority, RateLimit

__all__ = ["SharedBudget"]


class SharedBudget:
    """The common part of all limiters with a shared budget. Any number of loops and threads can use it.

    `configure` creates the settings of the workers. A forked child process calls it again.
    """

    def __init__(self, configure: Callable[[], Config]) -> None:
        self._configure = configure
        self._reset()

    def _reset(self) -> None:
        """Start without workers. A forked child does this again, because it must not use its parent's connections."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._sent = self._refused = 0
        self._config = self._configure()
        # Keep the workers of the parent, because collecting them would close the parent's connections.
        self._inherited = getattr(self, "_workers", None)
        self._workers: dict[asyncio.AbstractEventLoop, Worker] = {}

    async def acquire(self, priority: Priority, timeout: float | None) -> Permit:
        """Wait until a request may be sent, at most `timeout` seconds."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        worker = self._worker(loop)
        grant = await worker.grant(priority, timeout)
        return Permit(loop.time() - since, partial(worker.settle, grant))

    def status(self) -> LimiterStatus:
        """Return the current state of the limiter, as far as this process knows it. Thread-safe."""
        self._reset_in_child()
        now, rate_limit = current_time(), self._config.rate_limit
        with self._lock:
            self._forget_closed_loops()
            workers = list(self._workers.values())
            sent, refused = self._sent, self._refused
        capacity = min([worker.capacity for worker in workers], default=rate_limit.requests)
        return LimiterStatus(
            rate=capacity / rate_limit.per,
            queued=MappingProxyType({one: sum(worker.queued[one] for worker in workers) for one in Priority}),
            expected_wait=max([worker.expected_wait(Priority.INTERACTIVE, now) for worker in workers], default=0.0),
            sent=sent + sum(worker.sent for worker in workers),
            refused=refused + sum(worker.refused for worker in workers),
            poll_rate=min([worker.poll_rate for worker in workers], default=_poll_rate(rate_limit)),
            paused_for=max([0.0, *(worker.paused_until - now for worker in workers)]),
        )

    def change(self, rate_limit: RateLimit) -> None:
        """Change the limit of the plan."""
        self._reset_in_child()
        with self._lock:
            self._config = attrs.evolve(self._config, rate_limit=rate_limit)
            for loop, worker in self._workers.items():
                call_on(loop, partial(worker.change, rate_limit))

    def _reset_in_child(self) -> None:
        if self._pid != os.getpid():
            self._reset()

    def _worker(self, loop: asyncio.AbstractEventLoop) -> Worker:
        self._reset_in_child()
        if (worker := self._workers.get(loop)) is not None:
            return worker
        with self._lock:
            self._forget_closed_loops()
            worker = self._workers[loop] = Worker(self._config, loop)
            return worker

    def _forget_closed_loops(self) -> None:
        """Remove the workers of closed loops, and keep their counts. The caller holds the lock."""
        for closed in [loop for loop in self._workers if loop.is_closed()]:
            gone = self._workers.pop(closed)
            self._sent, self._refused = self._sent + gone.sent, self._refused + gone.refused


def _poll_rate(rate_limit: RateLimit) -> float:
    return 1 / max(poll_interval(rate_limit, rate_limit.requests), rate_limit.per / rate_limit.requests)
