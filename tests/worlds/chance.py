"""All random choices of a world: its conditions, and the faults of each request."""

from __future__ import annotations

import math
import random
from typing import Final

import attrs

STATUSES: Final = (500, 502, 503, 504, 520, 522, 524)
"""Statuses of gateways and services that do not know the outcome."""
ACTS_WITHIN: Final = 25.0
"""Seconds within which the service acts on a request, for every way in which the answer is lost."""
SETTLED_AFTER: Final = 30.0
"""Seconds after its send in which a request may take effect: `RetryPolicy.settle_after`."""
LISTED_WITHIN: Final = 20.0
"""Seconds within which a new object is listed."""


@attrs.frozen(kw_only=True)
class Conditions:
    """The conditions of a world, which do not change.

    Attributes:
        lost: Share of the writes whose answer is lost.
        disturbed: Share of the reads that fail or are late.
        bursts: Bursts of 429 answers.
        listed_within: Seconds within which a new object is listed.
        shows_commits: Whether a deployment shows its commit.
        shows_created: Whether objects show their time of creation.
        shows_numbers: Whether a deployment shows its number.
        shows_date: Whether answers have a `Date`.
        shows_count: Whether a listing shows the total.
        zip_after_end: Whether a ZIP is available only after its deployment has ended.
        oldest_first: Whether listings begin with the oldest object.
        past_is: Status of a deployment that is no longer live.
        date_ahead: Seconds by which the clock behind `Date` is ahead.
        created_ahead: Seconds by which the clock behind `createdAt` is ahead.
        duplicates: Share of the answers that come twice on their connection.
        colleagues: Number of colleagues that deploy.
    """

    lost: float
    disturbed: float
    bursts: int
    listed_within: float
    shows_commits: bool
    shows_created: bool
    shows_numbers: bool
    shows_date: bool
    shows_count: bool
    zip_after_end: bool
    oldest_first: bool
    past_is: str
    date_ahead: float
    created_ahead: float
    duplicates: float
    colleagues: int


@attrs.frozen(kw_only=True)
class RequestFault:
    """The delays and the fault of one request.

    Attributes:
        name: Name of the fault in the trace; empty for a request without a fault.
        there: Seconds until the service has the request.
        back: Seconds until the answer arrives.
        acts_after: Seconds from then until the service acts on the request; None for never.
        status: Status of an answer that replaces the service's answer; 0 for the service's own.
        arrives: Whether an answer arrives.
        leaves: Whether the request is sent.
        part: Share of the answer's body that arrives.
        doubles: Whether the answer also comes to the next request on the connection.
    """

    name: str = ""
    there: float
    back: float
    acts_after: float | None = 0.0
    status: int = 0
    arrives: bool = True
    leaves: bool = True
    part: float = 1.0
    doubles: bool = False


class Chance:
    """The random choices of one world.

    Args:
        seed: Determines all choices.
    """

    def __init__(self, seed: int) -> None:
        # Use a string, because near numbers would give similar sequences.
        self.dice = random.Random(f"world {seed}")
        self.conditions = self._conditions()

    def happens(self, share: float) -> bool:
        """Return whether an event of this probability happens now."""
        return self.dice.random() < share

    def steps(self, most: int) -> int:
        """Return a number of steps. Small numbers are as frequent as large ones."""
        return int(math.exp(self.dice.uniform(0.0, math.log(most))))

    def jump(self) -> float:
        """Return the seconds by which a clock is set: an hour, minutes, or tenths of a second."""
        size = self.dice.choice([3600.0, 600.0, 90.0, 0.3])
        return self.dice.choice([-1, 1]) * size * self.dice.uniform(0.5, 1.0)

    def fault(self, method: str) -> RequestFault:
        """Choose the delays and the fault of a request."""
        there, back = self._delay(), self._delay()
        doubles = self.happens(self.conditions.duplicates)
        if method == "GET":
            return self._fault_of_read(there, back, doubles=doubles)
        return self._fault_of_write(there, back, doubles=doubles)

    def _conditions(self) -> Conditions:
        dice = self.dice
        both = dice.uniform(-2.0, 2.0)
        return Conditions(
            lost=dice.choice([0.0, 0.1, 0.3, 0.5]),
            disturbed=dice.choice([0.0, 0.05, 0.2]),
            bursts=dice.choice([0, 0, 1, 3]),
            listed_within=dice.choice([0.0, 2.0, LISTED_WITHIN]),
            shows_commits=self.happens(0.85),
            shows_created=self.happens(0.9),
            shows_numbers=self.happens(0.9),
            shows_date=self.happens(0.9),
            shows_count=self.happens(0.8),
            zip_after_end=self.happens(0.3),
            oldest_first=self.happens(0.3),
            past_is=dice.choice(["ARCHIVED", "DEPLOYED"]),
            date_ahead=both,
            created_ahead=both + dice.choice([0.0, 0.1, -0.1, 2.0, -2.0, 60.0, -60.0, 180.0, -180.0]),
            duplicates=dice.choice([0.0, 0.0, 0.0, 0.02]),
            colleagues=dice.choice([0, 1, 2, 4]),
        )

    def _delay(self) -> float:
        return 0.03 * math.exp(0.5 * self.dice.gauss(0, 1))

    def _fault_of_read(self, there: float, back: float, *, doubles: bool) -> RequestFault:
        if not self.happens(self.conditions.disturbed):
            return RequestFault(there=there, back=back, doubles=doubles)
        kind = self.dice.choice(["unconnected", "broken", "status", "late", "part"])
        if kind == "status":
            return RequestFault(name="error", there=there, back=back, status=self.dice.choice(STATUSES))
        if kind == "part":
            return RequestFault(name="truncated", there=there, back=back, part=self.dice.random())
        if kind == "late":
            return RequestFault(name="late", there=there, back=self.dice.uniform(1.0, 20.0))
        return RequestFault(name=kind, there=there, back=back, leaves=kind != "unconnected", arrives=False)

    def _fault_of_write(self, there: float, back: float, *, doubles: bool) -> RequestFault:
        if not self.happens(self.conditions.lost):
            return RequestFault(there=there, back=back, doubles=doubles)
        dice = self.dice
        kind = dice.choice(["unconnected", "broken", "status", "status", "silent", "part"])
        acts_after = dice.choice([None, 0.0, dice.uniform(0.0, ACTS_WITHIN)])
        if kind == "status":
            # A gateway gives up after some time or immediately.
            back = dice.choice([back, dice.uniform(0.0, 29.0)])
            if acts_after:
                acts_after = min(acts_after + back, SETTLED_AFTER - 1.0)
            return RequestFault(
                name="error", there=there, back=back, acts_after=acts_after, status=dice.choice(STATUSES)
            )
        if kind == "part":
            return RequestFault(name="truncated", there=there, back=back, part=dice.random())
        if kind == "unconnected":
            return RequestFault(name=kind, there=there, back=back, acts_after=None, leaves=False, arrives=False)
        # A broken connection ends the request immediately. Silence lasts until the client gives up.
        back = back if kind == "broken" else math.inf
        return RequestFault(name=kind, there=there, back=back, acts_after=acts_after, arrives=False)
