"""The cost and the results of a limiter do not depend on the size of its budget."""

import asyncio

from hypothesis import given, strategies as some

from launch_async.rate_limit.local import LocalRateLimiter
from launch_async.rate_limit.pacer import Pacer
from launch_async.rate_limit.types import Answer, RateLimit
from launch_async.rate_limit.windows import Slot
from tests.support.virtual_time import run

STEPS = some.lists(
    some.tuples(some.sampled_from(["send", "answer", "refuse", "look"]), some.floats(0.0, 0.4)), max_size=120
)


class FullScanPacer(Pacer):
    """A pacer that scans every slot each time."""

    def ready_at(self, now: float) -> float:
        self._looks_at = 0
        return super().ready_at(now)


def forecasts(pacer: Pacer, steps: list[tuple[str, float]]) -> list[object]:
    """Take slots, answer and refuse requests, and return the forecasts of the pacer after each step."""
    results: list[object] = []
    now, out = 0.0, list[Slot]()
    for what, later in steps:
        now += later
        if what == "send" and pacer.ready_at(now) <= now:
            out.append(pacer.take(now))
        elif what in {"answer", "refuse"} and out:
            pacer.learn(out.pop(0), Answer(now, refused=what == "refuse"))
        results.append((pacer.ready_at(now), [pacer.wait_of(place, now) for place in (0, 1, 3, 10, 25)], pacer.sent))
    return results


@given(requests=some.sampled_from([1, 3, 10, 100]), steps=STEPS)
def test_skipping_slots_changes_no_forecast(requests: int, steps: list[tuple[str, float]]) -> None:
    limit = RateLimit(requests)
    assert forecasts(Pacer(limit), steps) == forecasts(FullScanPacer(limit), steps)


def test_a_permit_without_a_wait_reports_no_wait() -> None:
    async def main() -> list[float]:
        limiter = LocalRateLimiter(RateLimit(10))
        return [(await limiter.acquire()).waited for _ in range(11)]

    *first, last = run(main())
    assert first == [0.0] * 10
    assert last > 1.0


def test_a_huge_budget_causes_no_wait() -> None:
    async def main() -> tuple[set[float], float]:
        limiter = LocalRateLimiter(RateLimit(10**12))
        permits = await asyncio.gather(*(limiter.acquire() for _ in range(2000)))
        return {permit.waited for permit in permits}, limiter.status().expected_wait

    assert run(main()) == ({0.0}, 0.0)
