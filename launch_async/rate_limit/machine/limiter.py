"""The machine's budget: all processes of one user share an organization's rate limit through a small file.

The processes need no server and no setting: six jobs, four workers of a web server and a notebook use one budget. If a
process cannot use the file, it shares the budget only within itself, and logs one warning.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from launch_async.errors import ConnectError
from launch_async.rate_limit.event_loops import uses_machine_clock
from launch_async.rate_limit.machine.folder import budget_path
from launch_async.rate_limit.machine.store import FileStore
from launch_async.rate_limit.shared.connection import Config
from launch_async.rate_limit.shared.limiter import SharedBudget
from launch_async.rate_limit.shared.messages import Store, StoreUnusable
from launch_async.rate_limit.types import LimiterStatus, Operation, Permit, Priority, RateLimit

if TYPE_CHECKING:
    from launch_async.rate_limit.local import LocalRateLimiter

__all__ = ["MachineRateLimiter"]

_LOG: Final = logging.getLogger("launch_async.rate_limit.machine")
_PATIENCE_S: Final = 2.0
"""Seconds without an answer of the file after which it counts as unavailable."""


class MachineRateLimiter:
    """The rate limit of one organization, shared by the processes of one user on this machine.

    Any number of event loops and threads can use one limiter. An event loop in virtual time, as in tests, shares the
    budget within the process only. The limiter does not need to be closed.

    Args:
        host: Host of the API, with the port if it is not the default.
        organization_uid: The organization, or a key that stands for it.
        rate_limit: The limit of the organization's plan. If processes name different limits, all use the lowest.
    """

    def __init__(self, host: str, organization_uid: str, rate_limit: RateLimit) -> None:
        self._host = host
        self._organization_uid = organization_uid
        self._rate_limit = rate_limit
        self._unusable = False
        self._created: LocalRateLimiter | None = None
        self._creation_lock = threading.Lock()
        self._budget = SharedBudget(self._configure)

    @property
    def _alone(self) -> LocalRateLimiter:
        """The budget of this process alone. Few programs need it, so it is imported on first use."""
        if self._created is None:
            from launch_async.rate_limit.local import LocalRateLimiter

            with self._creation_lock:
                self._created = self._created or LocalRateLimiter(self._rate_limit)
        return self._created

    def _configure(self) -> Config:
        return Config(
            name="The machine's budget",
            connect=self._store,
            rate_limit=self._rate_limit,
            patience=_PATIENCE_S,
            share=None,
            is_immediate=True,
            unavailable=ConnectError,
        )

    def _store(self) -> Store:
        try:
            return FileStore(budget_path(self._host, self._organization_uid))
        except RuntimeError as error:
            raise StoreUnusable(str(error)) from error

    def __repr__(self) -> str:
        return f"<MachineRateLimiter {self._host} {self._organization_uid}>"

    @property
    def rate_limit(self) -> RateLimit:
        """The limit of the plan that this limiter uses."""
        return self._rate_limit

    async def acquire(
        self,
        operation: Operation | None = None,
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        """Wait until a request may be sent. All operations share one limit.

        Raises:
            DeadlineExceeded: The wait would be longer than `timeout` seconds, or has become longer. Nothing was sent.
        """
        loop = asyncio.get_running_loop()
        if not self._unusable and uses_machine_clock(loop):
            began = loop.time()
            try:
                return await self._budget.acquire(priority, timeout)
            except StoreUnusable as error:
                self._stop_sharing(error)
            timeout = None if timeout is None else max(timeout - (loop.time() - began), 0.0)
        return await self._alone.acquire(operation, priority=priority, timeout=timeout)

    def _stop_sharing(self, error: StoreUnusable) -> None:
        if not self._unusable:
            self._unusable = True
            _LOG.warning(
                "The processes on this machine cannot share the rate limit of %s at %s (%s). This process counts only "
                "its own requests. To turn sharing off, set share_budget='process'.",
                self._organization_uid or "the organization",
                self._host,
                error,
            )

    def status(self) -> LimiterStatus:
        """Return the current state of the limiter, as far as this process knows it. Thread-safe."""
        shared = self._budget.status()
        if self._created is None:
            return shared
        alone = self._created.status()
        return attrs.evolve(
            alone if self._unusable else shared,
            queued=MappingProxyType({one: shared.queued[one] + alone.queued[one] for one in Priority}),
            expected_wait=max(shared.expected_wait, alone.expected_wait),
            sent=shared.sent + alone.sent,
            refused=shared.refused + alone.refused,
            poll_rate=min(shared.poll_rate, alone.poll_rate),
            paused_for=max(shared.paused_for, alone.paused_for),
        )

    def lower(self, rate_limit: RateLimit) -> None:
        """Change the limit of the plan. Waiting callers keep their places."""
        self._rate_limit = rate_limit
        if self._created is not None:
            self._created.lower(rate_limit)
        self._budget.change(rate_limit)
