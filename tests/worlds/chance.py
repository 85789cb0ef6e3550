"""All that a seed decides: the weather of a world, and what becomes of each request."""

from __future__ import annotations

import math
import random
from typing import Final

import attrs

STATUSES: Final = (500, 502, 503, 504, 520, 522, 524)
"""What gateways and services say when they do not know."""
ACTS_WITHIN: Final = 25.0
"""Seconds within which the service acts on a request, however its answer was lost."""
SETTLED_AFTER: Final = 30.0
"""Seconds after its send in which a request may be acted on: `RetryPolicy.settle_after`."""
LISTED_WITHIN: Final = 20.0
"""Seconds within which what was made is listed."""


@attrs.frozen(kw_only=True)
class Weather:
    """What a world is like, from its beginning to its end.

    Attributes:
        lost: Share of the writes whose answer is lost in some way.
        disturbed: Share of the reads that fail or are late.
        bursts: Bursts of 429 answers.
        listed_within: Seconds within which something made is listed.
        shows_commits: Whether a deployment shows its commit.
        shows_created: Whether things show when they were made.
        shows_numbers: Whether a deployment shows its number.
        shows_date: Whether answers have a `Date`.
        shows_count: Whether a listing tells the total.
        zip_after_end: Whether a ZIP can be had only when its deployment has ended.
        oldest_first: Whether listings begin with what is oldest.
        past_is: What a deployment becomes that no longer serves.
        date_ahead: Seconds by which the clock behind `Date` is ahead.
        created_ahead: Seconds by which the clock behind `createdAt` is ahead.
        duplicates: Share of the answers that come twice on their connection.
        colleagues: How many of them deploy.
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
class Fate:
    """What becomes of one request.

    Attributes:
        name: What it is called in the trace; empty for a request that goes well.
        there: Seconds until the service has it.
        back: Seconds until its answer is back.
        acts_after: Seconds from then to the moment at which the service acts on it; None for never.
        status: What is answered in place of the service's answer; 0 for the service's own.
        arrives: Whether an answer arrives at all.
        leaves: Whether the request leaves at all.
        part: Share of the answer's body that arrives.
        doubles: Whether the answer comes once more, for whoever uses the connection next.
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
    """The dice of one world.

    Args:
        seed: Decides everything.
    """

    def __init__(self, seed: int) -> None:
        # A string: numbers that are near each other then give quite different worlds.
        self.dice = random.Random(f"world {seed}")
        self.weather = self._weather()

    def happens(self, share: float) -> bool:
        """Return whether something of a probability happens now."""
        return self.dice.random() < share

    def steps(self, most: int) -> int:
        """Return a number of steps, small ones as often as large ones."""
        return int(math.exp(self.dice.uniform(0.0, math.log(most))))

    def jump(self) -> float:
        """Return the seconds by which a clock is set: an hour, minutes, or tenths of a second."""
        size = self.dice.choice([3600.0, 600.0, 90.0, 0.3])
        return self.dice.choice([-1, 1]) * size * self.dice.uniform(0.5, 1.0)

    def fate(self, method: str) -> Fate:
        """Decide about one request."""
        there, back = self._delay(), self._delay()
        doubles = self.happens(self.weather.duplicates)
        if method == "GET":
            return self._fate_of_read(there, back, doubles=doubles)
        return self._fate_of_write(there, back, doubles=doubles)

    def _weather(self) -> Weather:
        dice = self.dice
        both = dice.uniform(-2.0, 2.0)
        return Weather(
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

    def _fate_of_read(self, there: float, back: float, *, doubles: bool) -> Fate:
        if not self.happens(self.weather.disturbed):
            return Fate(there=there, back=back, doubles=doubles)
        kind = self.dice.choice(["unconnected", "broken", "status", "late", "part"])
        if kind == "status":
            return Fate(name="error", there=there, back=back, status=self.dice.choice(STATUSES))
        if kind == "part":
            return Fate(name="truncated", there=there, back=back, part=self.dice.random())
        if kind == "late":
            return Fate(name="late", there=there, back=self.dice.uniform(1.0, 20.0))
        return Fate(name=kind, there=there, back=back, leaves=kind != "unconnected", arrives=False)

    def _fate_of_write(self, there: float, back: float, *, doubles: bool) -> Fate:
        if not self.happens(self.weather.lost):
            return Fate(there=there, back=back, doubles=doubles)
        dice = self.dice
        kind = dice.choice(["unconnected", "broken", "status", "status", "silent", "part"])
        acts_after = dice.choice([None, 0.0, dice.uniform(0.0, ACTS_WITHIN)])
        if kind == "status":
            # A gateway gives up after some time, or at once.
            back = dice.choice([back, dice.uniform(0.0, 29.0)])
            if acts_after:
                acts_after = min(acts_after + back, SETTLED_AFTER - 1.0)
            return Fate(name="error", there=there, back=back, acts_after=acts_after, status=dice.choice(STATUSES))
        if kind == "part":
            return Fate(name="truncated", there=there, back=back, part=dice.random())
        if kind == "unconnected":
            return Fate(name=kind, there=there, back=back, acts_after=None, leaves=False, arrives=False)
        # A connection breaks at once; silence lasts until the client gives up.
        back = back if kind == "broken" else math.inf
        return Fate(name=kind, there=there, back=back, acts_after=acts_after, arrives=False)
