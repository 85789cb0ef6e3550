"""A limiter without a limit."""

from __future__ import annotations

from types import MappingProxyType

from launch_async.rate_limit.types import Answer, LimiterStatus, Operation, Permit, Priority

__all__ = ["UnlimitedRateLimiter"]


class UnlimitedRateLimiter:
    """A limiter that never waits. Use it in tests, and for servers without a rate limit."""

    def __init__(self) -> None:
        self._sent = 0
        self._refused = 0

    async def acquire(
        self,
        operation: Operation | None = None,  # noqa: ARG002, RUF100
        *,
        priority: Priority = Priority.INTERACTIVE,  # noqa: ARG002, RUF100
        timeout: float | None = None,  # noqa: ARG002, RUF100
    ) -> Permit:
        """Return a permit immediately."""
        self._sent += 1
        return Permit(settle=self._settle)

    def status(self) -> LimiterStatus:
        """Return the counts. The expected wait is always 0."""
        return LimiterStatus(
            rate=float("inf"),
            queued=MappingProxyType(dict.fromkeys(Priority, 0)),
            expected_wait=0.0,
            sent=self._sent,
            refused=self._refused,
            paused_for=0.0,
        )

    def _settle(self, answer: Answer | None) -> None:
        if answer is None:
            self._sent -= 1
        else:
            self._refused += answer.refused
