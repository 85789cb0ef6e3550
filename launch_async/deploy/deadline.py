"""One deadline for all steps of a workflow. Its error names the current step."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import attrs

from launch_async._text import shown_seconds
from launch_async.errors import DeadlineExceeded, InvalidArgumentError, LaunchError
from launch_async.http.operation import check_timeout

__all__ = ["Deadline"]


@attrs.define
class Deadline:
    """One deadline for several steps.

    Attributes:
        timeout: Seconds for all steps.
        at: The deadline, by the event loop's clock.
        step: Name of the current step.
        creates: Whether the current step creates something.
        on_step: Called with the name of each step when the step begins.
    """

    timeout: float
    at: float
    step: str = "preparing the deployment"
    creates: bool = False
    on_step: Callable[[str], object] | None = None

    @classmethod
    def after(cls, timeout: float, *, on_step: Callable[[str], object] | None = None) -> Deadline:
        """Return the deadline that is `timeout` seconds from now.

        Raises:
            InvalidArgumentError: `timeout` is not a positive number.
        """
        check_timeout(timeout)
        if not timeout > 0:
            raise InvalidArgumentError("timeout", f"must be a positive number of seconds, not {timeout!r}")
        return cls(timeout, asyncio.get_running_loop().time() + timeout, on_step=on_step)

    @property
    def remaining(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.at - asyncio.get_running_loop().time())

    def begin(self, step: str, *, creates: bool = False) -> None:
        """Set the current step, such as `packing the files`."""
        self.step, self.creates = step, creates
        if self.on_step is not None:
            self.on_step(step)

    @contextlib.asynccontextmanager
    async def enforced(self, operation: str) -> AsyncGenerator[None]:
        """Cancel the body at the deadline.

        Raises:
            DeadlineExceeded: The body did not end before the deadline.
        """
        try:
            async with asyncio.timeout_at(self.at):
                yield
        except LaunchError:
            raise
        except TimeoutError:
            raise DeadlineExceeded(
                f"{operation} did not end within its timeout of {shown_seconds(self.timeout)}. The current step was: "
                f"{self.step}",
                operation=operation,
                ambiguous=self.creates,
            ) from None
