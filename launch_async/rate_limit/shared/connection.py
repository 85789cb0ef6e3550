"""The connection of one event loop to the store. It makes one call at a time and reconnects after a failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import attrs

from launch_async.errors import LaunchError
from launch_async.rate_limit.round_trips import RoundTrips
from launch_async.rate_limit.shared.messages import Ask, ImmediateStore, Reply, Store, StoreUnavailable
from launch_async.rate_limit.types import RateLimit

if TYPE_CHECKING:
    from launch_async.rate_limit.shared.local_share import LocalShare

__all__ = ["Config", "Connection"]

_LOG: Final = logging.getLogger(__name__)
_PROBE_EVERY_S: Final = 1.0
"""Seconds between attempts to reach an unavailable store."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Config:
    """The settings that all workers of a limiter share.

    Attributes:
        name: Name of the budget in the log, at the start of a sentence, such as "The shared budget in Redis".
        connect: Creates a store for one event loop.
        rate_limit: The limit of the plan.
        patience: Seconds without an answer after which the store counts as unavailable.
        share: Requests that the process may send while the store is unavailable; None for no requests.
        is_immediate: Whether a call takes a negligible time.
        unavailable: Creates the error of calls that are refused while the store is unavailable, from the reason.
    """

    name: str
    connect: Callable[[], Store]
    rate_limit: RateLimit
    patience: float
    share: LocalShare | None
    is_immediate: bool = False
    unavailable: Callable[[str], LaunchError]


class Connection:
    """A connection that opens when it is needed."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop) -> None:
        self.is_down: bool = False
        self.probe_at: float = 0.0
        self._config = config
        self._loop = loop
        self._store: Store | None = None
        self._immediate: ImmediateStore | None = None
        self._durations = RoundTrips()
        self._failing_since: float | None = None
        self._failures = 0

    @property
    def usual_duration(self) -> float:
        """Median duration of a call in seconds; 0 before the first call."""
        return self._durations.median

    @property
    def is_doubtful(self) -> bool:
        """Whether the last call failed. The next call may reach a server that has lost its state."""
        return self._failures > 0

    async def ask(self, ask: Ask) -> Reply | LaunchError | None:
        """Call the store once.

        Returns:
            The reply. None after a failure that the caller should retry. An error for all waiting callers if the store
            is unavailable and no request may be sent without it.
        """
        # The first connection imports a package, and that is not a delay of the store.
        store = self._store or self._connect()
        began = self._loop.time()
        try:
            async with asyncio.timeout(self._config.patience / 2):
                reply = await store.exchange(ask)
        except (StoreUnavailable, TimeoutError) as error:
            return await self._after_failure(str(error) or type(error).__name__, began)
        self._durations.add(self._loop.time() - began)
        self._failing_since, self._failures = None, 0
        if self.is_down:
            self.is_down = False
            _LOG.info("%s is available again.", self._config.name)
        return reply

    def ask_now(self, ask: Ask) -> Reply | None:
        """Call a store on this machine without waiting.

        Return None if the store is on another machine, or if another process is using it.

        Raises:
            StoreUnusable: The store cannot be used. It did not process the call.
        """
        if self._store is None:
            self._connect()
        if self._immediate is None or self._failures:
            return None
        return self._immediate.exchange_now(ask)

    def _connect(self) -> Store:
        self._store = store = self._config.connect()
        self._immediate = store if isinstance(store, ImmediateStore) else None
        return store

    async def _after_failure(self, reason: str, began: float) -> LaunchError | None:
        await self.disconnect()
        self._failures += 1
        now = self._loop.time()
        self._failing_since = began if self._failing_since is None else self._failing_since
        if now - self._failing_since < self._config.patience:
            await asyncio.sleep(min(0.01 * 2**self._failures, 0.1))
            return None
        self.probe_at = now + _PROBE_EVERY_S
        was_down, self.is_down = self.is_down, True
        share = self._config.share
        if share is None:
            return self._config.unavailable(reason)
        if not was_down:
            share.begin(now)
            _LOG.warning(
                "%s cannot be reached (%s). Until the connection works again, this process sends at most one "
                "request per %.2f s.",
                self._config.name,
                reason,
                share.interval,
            )
        return None

    async def disconnect(self) -> None:
        """Close the connection if it is open."""
        store, self._store, self._immediate = self._store, None, None
        if store is not None:
            # A server that does not answer must not delay the end of the program.
            with suppress(Exception):
                async with asyncio.timeout(1.0):
                    await store.close()
