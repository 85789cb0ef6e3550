"""What was read of an environment's variables when it was selected or planned, so that nobody asks for it again.

Values are secrets: a reading stays in the memory of this process. It is in no JSON and no repr, and pickled it is gone.
It counts for five minutes, and until this process changes anything at the service. After that, a plan and a run read
the environment again.
"""

from __future__ import annotations

import time
from typing import Final

import attrs

from launch_async.http.service_clock import unchanged_since
from launch_async.variables import VariableValues

__all__ = ["Reading", "ReadingClock"]

_COUNTS_FOR: Final = 300.0


@attrs.frozen
class ReadingClock:
    """The moment before something is read; by two clocks, for one stands still in a suspended machine, one may be set.

    Attributes:
        ticks: Seconds of the monotonic clock.
        seconds: Seconds of the machine's clock.
    """

    ticks: float = attrs.field(factory=time.monotonic)
    seconds: float = attrs.field(factory=time.time)

    @property
    def is_recent(self) -> bool:
        """Whether what was read then still counts."""
        ages = time.monotonic() - self.ticks, abs(time.time() - self.seconds)
        return max(ages) < _COUNTS_FOR and unchanged_since(self.ticks)


@attrs.frozen
class Reading:
    """The variables of an environment at a moment.

    Attributes:
        variables: Their values by name.
        at: When they were read.
    """

    variables: VariableValues
    at: ReadingClock

    @property
    def is_recent(self) -> bool:
        """Whether it still counts."""
        return self.at.is_recent

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()
