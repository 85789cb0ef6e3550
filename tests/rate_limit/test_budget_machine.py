"""The budget neither loses nor invents capacity, for any order of events and loops that start and stop."""

import asyncio

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from launch_async.errors import DeadlineExceeded
from launch_async.rate_limit.local import LocalRateLimiter
from launch_async.rate_limit.types import Answer, LimiterStatus, Permit, Priority, RateLimit
from tests.support.virtual_time import VirtualTimeLoop

REQUESTS = 3
TENTH = 0.1
LONG_ENOUGH = 400.0


class Clock:
    """A clock that several virtual loops share. Only `Budget.pass_time` moves it."""

    now = 0.0


class SharedTimeLoop(VirtualTimeLoop):
    """A virtual loop whose clock does not move while the loop runs."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        super().__init__()

    def time(self) -> float:
        return self.clock.now

    def settle(self) -> None:
        """Run what is ready now."""
        for _ in range(12):
            self.call_soon(self.stop)
            self.run_forever()


class Caller:
    """One call of `acquire`, with its outcome."""

    def __init__(self, loop: SharedTimeLoop, priority: Priority, number: int) -> None:
        self.loop, self.priority, self.number = loop, priority, number
        self.left_at: float | None = None
        self.permit: Permit | None = None
        self.task: asyncio.Task[None] | None = None

    async def call(self, budget: "Budget", timeout: float | None) -> None:
        try:
            self.permit = await budget.limiter.acquire(priority=self.priority, timeout=timeout)
        except DeadlineExceeded:
            return
        self.left_at = self.loop.time()
        budget.left.append(self)
        budget.out.append(self)


class Budget(RuleBasedStateMachine):
    """Two loops share one budget. Callers start, are cancelled, time out and get answers, and loops are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.limiter = LocalRateLimiter(RateLimit(REQUESTS))
        self.loops = [SharedTimeLoop(self.clock), SharedTimeLoop(self.clock)]
        self.callers: list[Caller] = []
        self.left: list[Caller] = []
        self.out: list[Caller] = []
        self.cancelled: set[Caller] = set()

    @rule(
        side=st.integers(0, 1),
        priority=st.sampled_from(Priority),
        timeout=st.none() | st.integers(0, 30),
        many=st.integers(1, 4),
    )
    def start_callers(self, side: int, priority: Priority, timeout: int | None, many: int) -> None:
        loop = self.loops[side]
        for _ in range(many):
            caller = Caller(loop, priority, len(self.callers))
            seconds = None if timeout is None else timeout * TENTH
            caller.task = loop.create_task(caller.call(self, seconds))
            self.callers.append(caller)
        loop.settle()

    @rule(tenths=st.integers(1, 15))
    def pass_time(self, tenths: int) -> None:
        for _ in range(tenths):
            self.clock.now += TENTH
            self._settle()

    @precondition(lambda self: self._waiting())
    @rule(which=st.integers(0, 100))
    def cancel(self, which: int) -> None:
        waiting = self._waiting()
        self._cancel(waiting[which % len(waiting)])
        self._settle()

    @precondition(lambda self: self._waiting())
    @rule(which=st.integers(0, 100), tenths=st.integers(1, 15))
    def cancel_while_being_served(self, which: int, tenths: int) -> None:
        # Time has passed, and its loop has not run yet. A slot that it receives now goes to a caller that leaves.
        waiting = self._waiting()
        self.clock.now += tenths * TENTH
        with self.limiter._lock:
            self.limiter._serve(self.clock.now)
        self._cancel(waiting[which % len(waiting)])
        self._settle()

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 100), outcome=st.sampled_from(["accepted", "accepted", "accepted", "lost", "refused"]))
    def answer(self, which: int, outcome: str) -> None:
        self._answer(self.out.pop(which % len(self.out)), outcome)

    @precondition(lambda self: self.out)
    @rule(retry_after=st.none() | st.integers(-5, 40))
    def penalize(self, retry_after: int | None) -> None:
        self._answer(self.out.pop(0), "refused", None if retry_after is None else retry_after * TENTH)

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 100), twice=st.booleans())
    def send_nothing(self, which: int, twice: bool) -> None:
        caller = self.out.pop(which % len(self.out))
        self.left.remove(caller)
        # Run on a loop, because the time differs outside of it.
        for _ in range(1 + twice):
            self.loops[0].call_soon(caller.permit.release)
        self._settle()

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 100))
    def forget_the_permit(self, which: int) -> None:
        self.out.pop(which % len(self.out)).permit = None

    @rule(side=st.integers(0, 1))
    def close_loop(self, side: int) -> None:
        dying = self.loops[side]
        for caller in self._waiting():
            if caller.loop is dying:
                self.cancelled.add(caller)
                caller.task._log_destroy_pending = False
        dying.close()
        self.loops[side] = SharedTimeLoop(self.clock)

    @invariant()
    def requests_never_exceed_the_plan(self) -> None:
        times = sorted(caller.left_at for caller in self.left)
        assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in zip(times, times[REQUESTS:], strict=False))

    @invariant()
    def only_sent_requests_are_counted(self) -> None:
        assert self._status().sent - len(self.limiter._granted) == len(self.left)

    @invariant()
    def requests_leave_by_arrival_within_each_priority_of_a_loop(self) -> None:
        for priority in Priority:
            for loop in self.loops:
                numbers = [one.number for one in self.left if one.priority == priority and one.loop is loop]
                assert numbers == sorted(numbers)

    def teardown(self) -> None:
        """All waiting callers are served at the end. The rest of the capacity is then available again."""
        for caller in self.out:
            self._answer(caller, "accepted")
        self.out.clear()
        for _ in range(int(LONG_ENOUGH)):
            if not self._waiting():
                break
            self.clock.now += 1.0
            self._settle()
        assert self._waiting() == []
        self.clock.now += LONG_ENOUGH
        assert sum(self._status().queued.values()) == 0
        self.start_callers(0, Priority.INTERACTIVE, 0, REQUESTS)
        served = [caller for caller in self.callers[-REQUESTS:] if caller.left_at == self.clock.now]
        assert len(served) == REQUESTS
        for loop in self.loops:
            loop.close()

    def _waiting(self) -> list[Caller]:
        return [caller for caller in self.callers if not caller.task.done() and caller not in self.cancelled]

    def _cancel(self, caller: Caller) -> None:
        caller.task.cancel()
        self.cancelled.add(caller)

    def _answer(self, caller: Caller, outcome: str, retry_after: float | None = None) -> None:
        caller.permit.answered(
            Answer(self.clock.now, lost=outcome == "lost", refused=outcome == "refused", retry_after=retry_after)
        )
        self._settle()

    def _status(self) -> LimiterStatus:
        """Return the status on a loop, because the time differs outside of it."""

        async def ask() -> LimiterStatus:
            return self.limiter.status()

        return self.loops[0].run_until_complete(ask())

    def _settle(self) -> None:
        for _ in range(2):
            for loop in self.loops:
                loop.settle()


TestBudget = Budget.TestCase
TestBudget.settings = settings(max_examples=25, stateful_step_count=30)
