"""The messages between a worker and the store of a shared budget, and the protocol of a store.

Times are durations in seconds, so that only the clock of the store matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

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
"""The service accepted the request."""
REFUSED: Final = 1
"""The service refused the request with 429."""
UNUSED: Final = 2
"""No request was sent with the slot."""
LOST: Final = 3
"""No answer arrived."""
EXTRA: Final = 4
"""A request was sent without a slot of the shared budget."""
OUT: Final = 5
"""The request was sent, and its answer has not arrived yet."""
AGAIN: Final = 6
"""The worker has already reported the slot. The store needs the report only if it has lost its state."""

Report: TypeAlias = tuple[int, float, int]
"""Number of the slot, seconds since its answer (since the request left, for `OUT`), and one of the codes above."""


class Memory(NamedTuple):
    """The shared state as a worker last saw it. A store that has lost its state can restore it from this.

    Attributes:
        epoch: Time at which the state was created or last restored; 0 if the worker has seen no state.
        number: Number of the last slot that was given at that time.
        state: The state, as packed by the store.
    """

    epoch: int = 0
    number: int = 0
    state: bytes = b""


class Ask(NamedTuple):
    """One call of a worker.

    Attributes:
        worker: Id of the calling worker.
        waiting: Number of waiting requests, by priority.
        poll_interval: Minimum seconds between polls; 0 for no minimum.
        reserve: Priority for which to reserve a slot even if no request waits; None for no reservation.
        lead: Seconds before its time at which a slot may already be given.
        late: Maximum seconds after its time at which a slot may still be used.
        requests: Requests per period of the plan.
        per: Period of the plan.
        shortest_trip: Shortest recent round trip to the service; 0 if unknown.
        longest_trip: Longest recent round trip to the service; 0 if unknown.
        limit: Limit that the service states; 0 if it states none.
        pause: Seconds from now during which no process may send.
        spaced: Seconds from now during which requests leave at even intervals: the pause that the service asked for,
            and one period.
        reports: Outcomes of earlier requests.
        repeated: Outcomes that were reported before, for a store that may have lost them.
        doubtful: Whether the store may have lost its state, because the last call failed.
        memory: The state as the worker last saw it.
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


class Reply(NamedTuple):
    """The reply to a call. Times are seconds from the time of the call.

    Attributes:
        granted: The slots that were given: for each, its number, the wait until its time, and its priority.
        next_in: Wait for the reserved slot; None if no slot is reserved.
        reservations: Number of reserved slots of all workers.
        capacity: Current capacity of the budget, in requests per period. It can be below one.
        per: The period of `capacity` in seconds: that of the lowest limit that a worker names.
        paused_for: Rest of a pause; 0 if there is no pause.
        memory: The state to remember.
    """

    granted: tuple[tuple[int, float, Priority], ...]
    next_in: float | None
    reservations: int
    capacity: float
    per: float
    paused_for: float
    memory: Memory


class Grant:
    """A slot that a request may use.

    Attributes:
        number: Number in the shared state; 0 for a slot of the local share.
        not_before: Earliest time of the request, on the loop's clock.
        not_after: Latest time of the request. After that, the other processes count the slot as free too early.
        sent_at: Time at which the request left.
    """

    def __init__(self, *, number: int, not_before: float, not_after: float) -> None:
        self.number: int = number
        self.not_before: float = not_before
        self.not_after: float = not_after
        self.sent_at: float = 0.0


class StoreUnavailable(Exception):
    """The store did not answer. The text says why."""


class StoreUnusable(Exception):
    """This process cannot use the store, now or later. The text says why."""


class Store(Protocol):
    """The store as one event loop uses it. It belongs to one worker."""

    async def exchange(self, ask: Ask) -> Reply:
        """Process one call of a worker, atomically.

        Raises:
            StoreUnavailable: The store did not answer. It is not known whether it processed the call.
            StoreUnusable: The store cannot be used. It did not process the call.
            ConfigurationError: The store is configured wrongly.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


@runtime_checkable
class ImmediateStore(Store, Protocol):
    """A store on this machine. A call takes microseconds, and the store never loses its state."""

    def exchange_now(self, ask: Ask) -> Reply | None:
        """Process one call like `exchange`, without waiting. Return None if another process is using the store.

        Raises:
            StoreUnusable: The store cannot be used. It did not process the call.
        """
        ...
