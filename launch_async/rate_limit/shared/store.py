"""Where a shared budget is kept: what a store must do so that workers can use it."""

from __future__ import annotations

from typing import Protocol

from launch_async.rate_limit.shared.messages import Ask, Reply

__all__ = ["Store", "StoreUnavailable"]


class StoreUnavailable(Exception):
    """The store did not answer; the text says why."""


class Store(Protocol):
    """One event loop's way to the store; it belongs to one task."""

    async def exchange(self, ask: Ask) -> Reply:
        """Do what a worker asks for, in one step that no other worker's call comes between.

        Raises:
            StoreUnavailable: The store did not answer; whether it has acted is not known.
            ConfigurationError: The store cannot be used at all.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
