"""The totals of all runs of a plan. Each step in the journal contains them, so the totals include killed runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Self, cast

import attrs

from launch_async.fleet.journal.journal import Entry

__all__ = ["Totals"]


@attrs.frozen(kw_only=True)
class Totals:
    """The totals of one or more runs of a plan.

    Attributes:
        runs: Number of runs.
        started_at: When the first run began, by the service's clock.
        seconds: Duration of all runs together, in seconds.
        requests: Number of requests.
        waited: Seconds that these requests waited for the rate limit.
    """

    runs: int = 0
    started_at: datetime | None = None
    seconds: float = 0.0
    requests: int = 0
    waited: float = 0.0

    def plus(self, *, now: datetime, seconds: float, requests: int, waited: float) -> Self:
        """Return these totals with one more run."""
        return attrs.evolve(
            self,
            runs=self.runs + 1,
            started_at=self.started_at or now,
            seconds=self.seconds + seconds,
            requests=self.requests + requests,
            waited=self.waited + waited,
        )

    def to_dict(self) -> dict[str, object]:
        """Return the totals as plain data that JSON can express."""
        return {
            "runs": self.runs,
            "started_at": None if self.started_at is None else self.started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "requests": self.requests,
            "waited": round(self.waited, 3),
        }

    @classmethod
    def last_of(cls, entries: Iterable[Entry]) -> Self:
        """Return the totals that were written last; zeros if there was no run."""
        written = [cast("Mapping[str, object]", entry.detail["run"]) for entry in entries if "run" in entry.detail]
        # Totals only grow, so the largest totals are the last ones.
        last = max(written, key=lambda one: (cast("int", one["runs"]), cast("float", one["seconds"])), default=None)
        if last is None:
            return cls()
        return cls(
            runs=cast("int", last["runs"]),
            started_at=datetime.fromisoformat(str(last["started_at"])),
            seconds=cast("float", last["seconds"]),
            requests=cast("int", last["requests"]),
            waited=cast("float", last["waited"]),
        )
