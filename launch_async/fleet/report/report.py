"""The report of a run: totals and the outcome of each target, for code, terminals, notebooks and CI."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Self

import attrs

from launch_async._text import count_of, printable
from launch_async._views import FRAME, JUNIT, MARKDOWN, PAGE, Displayable
from launch_async.fleet.journal.journal import Entry, OperationState
from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.report.outcome import TargetOutcome

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FleetReport", "TargetOutcome"]

_SHOWN = 50
"""Number of targets that the text of a report lists."""


@attrs.frozen(kw_only=True)
class FleetReport(Displayable):
    """The report of all runs of a plan.

    Attributes:
        plan: The plan.
        outcomes: One outcome for each operation, in the plan's order.
        seconds: Duration of all runs together, in seconds. The time between a run and its resumption does not count.
        requests: Requests of all runs, including polls.
        waited: Seconds that these requests waited for the rate limit, in total.
        stopped: Why the last run stopped early; empty if it did not.
        runs: Number of runs, including resumptions.
        started_at: When the first run began, by the service's clock.
        nothing_left: Whether everything was done before, so that the last run sent nothing.
    """

    plan: Plan
    outcomes: tuple[TargetOutcome, ...]
    seconds: float
    requests: int
    waited: float
    stopped: str = ""
    runs: int = 1
    started_at: datetime | None = None
    nothing_left: bool = False

    @classmethod
    def joined(cls, plan: Plan, parts: Iterable[FleetReport]) -> Self:
        """Return one report for the parts of a plan (`Plan.split`) that ran separately, perhaps at the same time.

        Targets without a report count as planned. `seconds` is the duration of the longest part.
        """
        reports = list(parts)
        known = {one.target.environment_uid: one for report in reports for one in report.outcomes}
        return cls(
            plan=plan,
            outcomes=tuple(
                known.get(one.target.environment_uid) or TargetOutcome.of(one, Entry(key=one.key))
                for one in plan.operations
            ),
            seconds=max((report.seconds for report in reports), default=0.0),
            requests=sum(report.requests for report in reports),
            waited=sum(report.waited for report in reports),
            stopped="; ".join(dict.fromkeys(report.stopped for report in reports if report.stopped)),
            runs=max((report.runs for report in reports), default=0),
            started_at=min((report.started_at for report in reports if report.started_at), default=None),
            nothing_left=bool(reports) and all(report.nothing_left for report in reports),
        )

    @property
    def totals(self) -> Mapping[OperationState, int]:
        """Number of operations in each state."""
        counts = Counter(outcome.state for outcome in self.outcomes)
        return {state: counts[state] for state in OperationState if counts[state]}

    @property
    def is_success(self) -> bool:
        """Whether every operation succeeded or was skipped on purpose."""
        return all(one.state in (OperationState.SUCCEEDED, OperationState.SKIPPED) for one in self.outcomes)

    @property
    def failures(self) -> Sequence[TargetOutcome]:
        """Targets whose operation failed or is ambiguous."""
        return [one for one in self.outcomes if one.state in (OperationState.FAILED, OperationState.AMBIGUOUS)]

    @property
    def unfinished(self) -> Sequence[TargetOutcome]:
        """Targets whose operation has not ended. `fleet.resume(journal)` finishes them."""
        return [one for one in self.outcomes if not one.state.is_final]

    @property
    def summary(self) -> str:
        """The totals in one line."""
        counts = ", ".join(f"{count} {state}" for state, count in self.totals.items()) or "nothing to do"
        again = f" in {self.runs} runs" if self.runs > 1 else ""
        done = "; everything was done before, and this run sent nothing" if self.nothing_left else ""
        stop = f"; stopped: {self.stopped}" if self.stopped else ""
        return (
            f"{counts} in {self.seconds:.1f} s with {count_of(self.requests, 'request')}{again} "
            f"(total wait for the rate limit: {self.waited:.1f} s){done}{stop}"
        )

    def rows(self) -> list[dict[str, object]]:
        """Return one flat row for each target."""
        return [outcome.to_dict() for outcome in self.outcomes]

    def to_frame(self) -> pd.DataFrame:
        """Return `rows()` as a pandas data frame, with times as pandas timestamps.

        Raises:
            ConfigurationError: pandas is not installed (extra `notebook`).
        """
        return FRAME(self)

    def to_junit(self) -> str:
        """Return JUnit XML for CI, with one test case for each target.

        Failed targets are failures, and ambiguous targets are errors. Targets that were skipped or have
        not ended are skipped.
        """
        return JUNIT(self)

    def to_markdown(self) -> str:
        """Return a summary in GitHub's Markdown: totals, targets that did not succeed, and the slowest targets."""
        return MARKDOWN(self)

    def to_html(self) -> str:
        """Return a complete HTML page with a chart of the waves. The page loads no other files."""
        return PAGE(self)

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(
            {
                "plan": self.plan.uid,
                "action": self.plan.what,
                "totals": {str(state): count for state, count in self.totals.items()},
                "success": self.is_success,
                "seconds": self.seconds,
                "requests": self.requests,
                "waited": self.waited,
                "stopped": self.stopped,
                "runs": self.runs,
                "started_at": None if self.started_at is None else self.started_at.isoformat(),
                "nothing_left": self.nothing_left,
                "targets": [{**outcome.to_dict(), "report": outcome.report} for outcome in self.outcomes],
            },
            indent=2,
            ensure_ascii=False,
        )

    def __str__(self) -> str:
        shown = sorted(self.outcomes, key=lambda one: one.state is OperationState.SUCCEEDED)[:_SHOWN]
        width = max((len(one.label) for one in shown), default=0)
        lines = [
            f"  {one.label:<{width}}  {one.state:<9}  "
            f"{'' if one.seconds is None else f'{one.seconds:7.1f} s'}  {one.message}".rstrip()
            for one in shown
        ]
        more = len(self.outcomes) - len(shown)
        head, rest = f"{self.plan.what}: {self.summary}", [f"  ... and {more} more"] if more else []
        return "\n".join(map(printable, [head, *lines, *rest]))
