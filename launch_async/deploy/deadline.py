"""One deadline for the steps of a workflow, which says in which of them it came."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import attrs

from launch_async.errors import DeadlineExceeded, InvalidArgumentError, LaunchError
from launch_async.http.operation import check_timeout

__all__ = ["Deadline"]


@attrs.define
class Deadline:
    """One deadline for several steps.

    Attributes:
        timeout: Seconds for all of them.
        at: When they are over, by the event loop's clock.
        step: What is being done.
        creates: Whether that creates something.
        on_step: Called with each step as it begins.
    """

    timeout: float
    at: float
    step: str = "beginning"
    creates: bool = False
    on_step: Callable[[str], object] | None = None

    @classmethod
    def after(cls, timeout: float, *, on_step: Callable[[str], object] | None = None) -> Deadline:
        """Return a deadline that comes in so many seconds.

        Raises:
            InvalidArgumentError: They are no positive number.
        """
        check_timeout(timeout)
        if not timeout > 0:
            raise InvalidArgumentError("timeout", f"must be a positive number of seconds, not {timeout!r}")
        return cls(timeout, asyncio.get_running_loop().time() + timeout, on_step=on_step)

    @property
    def remaining(self) -> float:
        """Seconds that are left."""
        return max(0.0, self.at - asyncio.get_running_loop().time())

    def begin(self, step: str, *, creates: bool = False) -> None:
        """Note which step begins, in words that go on from "while"."""
        self.step, self.creates = step, creates
        if self.on_step is not None:
            self.on_step(step)

    @contextlib.asynccontextmanager
    async def held(self, operation: str) -> AsyncGenerator[None]:
        """Hold what is done inside to the deadline.

        Raises:
            DeadlineExceeded: It came.
        """
        try:
            async with asyncio.timeout_at(self.at):
                yield
        except LaunchError:
            raise
        except TimeoutError:
            raise DeadlineExceeded(
                f"{operation} did not end within its timeout of {self.timeout:g} s, while {self.step}",
                operation=operation,
                ambiguous=self.creates,
            ) from None
