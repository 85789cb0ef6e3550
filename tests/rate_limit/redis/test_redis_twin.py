"""The script in Redis and the shared state in Python give the same answers to the same calls."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as some
from redis import Redis
from virtual import timed

from launch_async.rate_limit.redis.script import TEXT, arguments, read
from launch_async.rate_limit.shared.messages import ACCEPTED, EXTRA, LOST, OUT, REFUSED, UNUSED, Ask, Reply
from launch_async.rate_limit.shared.state import BudgetState
from launch_async.rate_limit.types import Priority

WORKERS = ("00000000aa", "00000000bb", "00000000cc")
STEPS = some.lists(
    some.fixed_dictionaries(
        {
            "later": some.integers(1, 400),
            "worker": some.sampled_from(WORKERS),
            "waiting": some.tuples(some.integers(0, 4), some.integers(0, 2), some.integers(0, 3)),
            "reserve": some.sampled_from([None, Priority.INTERACTIVE, Priority.POLL]),
            "reported": some.lists(some.sampled_from([ACCEPTED, ACCEPTED, REFUSED, LOST, OUT, UNUSED]), max_size=4),
            "extra": some.booleans(),
            "plan": some.sampled_from([10, 10, 4]),
            "per": some.sampled_from([1.0, 1.0, 1.0, 0.5]),
            "limit": some.sampled_from([0, 0, 0, 6]),
            "pause": some.sampled_from([0, 0, 0, 0, 50, 700]),
            "trip": some.sampled_from([0.0, 0.004, 0.03]),
        }
    ),
    min_size=5,
    max_size=25,
)

QUIET = {
    "waiting": (0, 0, 0),
    "reserve": None,
    "reported": [],
    "extra": False,
    "plan": 10,
    "per": 1.0,
    "limit": 0,
    "pause": 0,
    "trip": 0.0,
}


@attrs.define
class Twin:
    """One of the two implementations, with the slots that its workers have not answered: number and time."""

    out: dict[str, list[tuple[int, float]]]

    def ask(self, step: dict[str, object], now: float) -> Ask:
        """Return the call of a step, with the slot numbers of this implementation."""
        mine = self.out[step["worker"]]
        reports = [(number, max(now - at, 0.0) / 2, code) for code, (number, at) in zip(step["reported"], mine)]  # noqa: B905
        kept = [slot for slot, code in zip(mine, step["reported"]) if code == OUT]  # noqa: B905
        self.out[step["worker"]] = [*mine[len(reports) :], *kept]
        return Ask(
            worker=step["worker"],
            waiting=step["waiting"],
            reserve=step["reserve"],
            poll_interval=0.202,
            lead=0.003,
            late=0.05,
            requests=step["plan"],
            per=step["per"],
            shortest_trip=step["trip"],
            longest_trip=2 * step["trip"],
            limit=step["limit"],
            pause=step["pause"] / 1000,
            spaced=step["pause"] / 1000 + 1.0 if step["pause"] == 700 else 0.0,
            reports=[*reports, *[(0, 0.0, EXTRA)] * step["extra"]],
        )

    def note(self, worker: str, reply: Reply, now: float) -> None:
        """Record the slots of a reply."""
        self.out[worker] += [(number, now + wait) for number, wait, _ in reply.granted]


def figures(reply: Reply) -> list[float]:
    """Return the contents of a reply without the slot numbers."""
    return [
        len(reply.granted),
        *(figure for _, wait, priority in reply.granted for figure in (wait, priority)),
        -1.0 if reply.next_in is None else reply.next_in,
        reply.reservations,
        reply.capacity,
        reply.per,
        reply.paused_for,
    ]


@pytest.fixture(scope="module")
def script(redis_server):
    with Redis.from_url(redis_server.url) as redis:
        yield redis, redis.script_load(timed(TEXT))


@given(steps=STEPS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_calls_have_the_same_answers(script, steps):
    redis, digest = script
    redis.delete("twin")
    one, other = (Twin({worker: [] for worker in WORKERS}) for _ in range(2))
    now, state = 1000.0, BudgetState.begin(1000.0)

    def in_redis(ask: Ask) -> Reply:
        at = round(now * 1e6)
        given = arguments(ask, with_memory=False)
        return read(redis.evalsha(digest, 1, "twin", *given, at // 10**6, at % 10**6, "run"))

    # The server counts an unknown budget as used. That time is over before the first step.
    in_redis(Twin({WORKERS[0]: []}).ask({**QUIET, "worker": WORKERS[0]}, now))
    for place, step in enumerate(steps):
        # No two times are multiples of the same number, so that there are no ties.
        now += 0.001 * step["later"] + 0.000137 * place + (20.0 if place == 0 else 0.0)
        expected, answer = state.exchange(one.ask(step, now), now), in_redis(other.ask(step, now))
        assert figures(answer) == pytest.approx(figures(expected), abs=0.001)
        one.note(step["worker"], expected, now)
        other.note(step["worker"], answer, now)
