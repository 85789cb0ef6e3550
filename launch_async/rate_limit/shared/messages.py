"""What a worker and the store of a shared budget say to each other, and what a store must do.

Times are durations in seconds, so that no clock but that of the store matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias, runtime_checkable

import attrs

from launch_async.rate_limit.types import Priority

__all__ = [
    "ACCEPTED",
    "AGAIN",
    "EXTRA",
    "LOST",
    "OUT",
    "REFUSED",
    "UNUSED",
    "Ask",
    "Grant",
    "ImmediateStore",
    "Memory",
    "Reply",
    "Report",
    "Store",
    "StoreUnavailable",
    "StoreUnusable",
]

ACCEPTED: Final = 0
REFUSED: Final = 1
UNUSED: Final = 2
LOST: Final = 3
EXTRA: Final = 4
OUT: Final = 5
AGAIN: Final = 6

Report: TypeAlias = tuple[int, float, int]
"""Number of the slot, seconds since its answer (since it left, for `OUT`), and one of the codes above."""


@attrs.frozen
class Memory:
    """What a worker last saw of the shared state, with which it can be restored.

    Attributes:
        epoch: When the state began, or was last restored; 0 if the worker has seen none.
        number: Number of the last slot that was given then.
        state: The state itself, as the store packs it.
    """

    epoch: int = 0
    number: int = 0
    state: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(kw_only=True)
class Ask:
    """One call of a worker.

    Attributes:
        worker: Who calls.
        waiting: How many requests of each priority wait to be sent.
        poll_interval: How far apart polls leave at least; 0 for no rule.
        reserve: For which priority to reserve a slot even if nobody waits after that; None for none.
        lead: How long before its time a slot may be given for good.
        late: How much later than given a slot may be used, and no later.
        requests: The plan's figure.
        per: The plan's period.
        shortest_trip: The shortest round trip to the service of late; 0 if unknown.
        longest_trip: The longest one; 0 if unknown.
        limit: What the service calls its limit; 0 if it says nothing.
        pause: How long nobody may send, from now on.
        spaced: How long requests leave evenly spaced, from now on: a pause that the service asked for, and a period.
        reports: What became of earlier requests.
        repeated: What was reported before, for a store that may have forgotten it.
        doubtful: Whether this one may have: the last call failed.
        memory: What the worker last saw.
    """

    worker: str
    waiting: tuple[int, int, int]
    reserve: Priority | None
    poll_interval: float
    lead: float
    late: float
    requests: int
    per: float
    shortest_trip: float = 0.0
    longest_trip: float = 0.0
    limit: int = 0
    pause: float = 0.0
    spaced: float = 0.0
    reports: Sequence[Report] = ()
    repeated: Sequence[Report] = ()
    doubtful: bool = False
    memory: Memory = Memory()


@attrs.frozen(kw_only=True)
class Reply:
    """What a call brought; times are seconds from the moment of the call.

    Attributes:
        granted: Numbers of the slots that were given for good, each with the wait until its time, and the priority that
            it is for.
        next_in: The wait for the slot that is reserved; None if there is none.
        reservations: Slots that are reserved, for all workers.
        capacity: Requests per period that the budget allows at present; it may be below one.
        per: The period that this is for, in seconds: of the lowest figure that a worker names.
        paused_for: The rest of a pause; 0 if there is none.
        memory: What to remember.
    """

    granted: tuple[tuple[int, float, Priority], ...]
    next_in: float | None
    reservations: int
    capacity: float
    per: float
    paused_for: float
    memory: Memory


@attrs.define(eq=False, kw_only=True)
class Grant:
    """A slot that was given for good; number 0 if it is of the local share.

    Attributes:
        number: Its number in the shared state.
        not_before: When it begins, by the loop's clock.
        not_after: From when on it would be too late to be sure how long the service counts the request.
        sent_at: When the request left.
    """

    number: int
    not_before: float
    not_after: float
    sent_at: float = 0.0


class StoreUnavailable(Exception):
    """The store did not answer; the text says why."""


class StoreUnusable(Exception):
    """The store cannot be used by this process, now or later; the text says why."""


class Store(Protocol):
    """One event loop's way to the store; it belongs to one worker."""

    async def exchange(self, ask: Ask) -> Reply:
        """Do what a worker asks for, in one step that no other worker's call comes between.

        Raises:
            StoreUnavailable: The store did not answer; whether it has acted is not known.
            StoreUnusable: The store cannot be used; it has not acted.
            ConfigurationError: The store cannot be used at all.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


@runtime_checkable
class ImmediateStore(Store, Protocol):
    """A store on this machine: a call takes microseconds, and the store never forgets what it was told."""

    def exchange_now(self, ask: Ask) -> Reply | None:
        """Do the same as `exchange` without waiting; return None if another process uses the store at this moment.

        Raises:
            StoreUnusable: The store cannot be used; it has not acted.
        """
        ...
