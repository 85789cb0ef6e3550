"""The machine's budget: what talks to one organization at one API host shares a small file, whatever the process.

Processes of one user on one machine need no server and no setting: six jobs, four workers of a web server and a
notebook keep to one budget. Where there can be no such file, a process shares its budget only within itself, and says
so once in its log.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from launch_async.errors import ConnectError
from launch_async.rate_limit.event_loops import keeps_machine_time
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


class MachineRateLimiter:
    """The budget of one organization, shared by the processes of one user on this machine.

    Any number of event loops and threads may use one limiter. An event loop in virtual time, as tests have them, shares
    within the process only. There is nothing to close.

    Args:
        host: Host of the API, with its port if that is not the usual one.
        organization_uid: The organization whose budget it is, or what stands for it.
        rate_limit: What the organization's plan allows. Where processes name different figures the lowest one counts.
    """

    def __init__(self, host: str, organization_uid: str, rate_limit: RateLimit) -> None:
        self._host = host
        self._organization_uid = organization_uid
        self._rate_limit = rate_limit
        self._unusable = False
        self._made: LocalRateLimiter | None = None
        self._making = threading.Lock()
        self._budget = SharedBudget(self._configure)

    @property
    def _alone(self) -> LocalRateLimiter:
        """The budget of this process, where it shares with no other: few programs need it, and its import."""
        if self._made is None:
            from launch_async.rate_limit.local import LocalRateLimiter

            with self._making:
                self._made = self._made or LocalRateLimiter(self._rate_limit)
        return self._made

    def _configure(self) -> Config:
        return Config(
            name="the machine's budget",
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
        """What the plan allows, as far as the limiter was told."""
        return self._rate_limit

    async def acquire(
        self,
        operation: Operation | None = None,
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        """Wait until a request may be sent, as `RateLimiter.acquire` promises; all operations share one budget.

        Raises:
            DeadlineExceeded: the wait would be, or became, longer than `timeout` seconds; nothing was spent.
        """
        loop = asyncio.get_running_loop()
        if not self._unusable and keeps_machine_time(loop):
            began = loop.time()
            try:
                return await self._budget.acquire(priority, timeout)
            except StoreUnusable as error:
                self._give_up(error)
            timeout = None if timeout is None else max(timeout - (loop.time() - began), 0.0)
        return await self._alone.acquire(operation, priority=priority, timeout=timeout)

    def _give_up(self, error: StoreUnusable) -> None:
        if not self._unusable:
            self._unusable = True
            _LOG.warning(
                "processes on this machine cannot share the budget of %s at %s (%s); this one counts only its own "
                "requests. share_budget='process' turns the sharing off",
                self._organization_uid or "an organization",
                self._host,
                error,
            )

    def status(self) -> LimiterStatus:
        """Return what the limiter is doing now, as far as this process knows; from any thread."""
        shared = self._budget.status()
        if self._made is None:
            return shared
        alone = self._made.status()
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
        """Go on with another figure of the plan; nobody loses their place."""
        self._rate_limit = rate_limit
        if self._made is not None:
            self._made.lower(rate_limit)
        self._budget.change(rate_limit)
