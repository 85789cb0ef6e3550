"""The variables of an environment that a selection or plan has read, so that a later step can use them.

Values are secrets, so a reading stays in the memory of this process. JSON, reprs and pickles do not contain it. A
reading is valid for five minutes, and until this process changes anything at the service. After that, plans and runs
read the environment again.
"""

from __future__ import annotations

import time
from typing import Final

import attrs

from launch_async.http.service_clock import unchanged_since
from launch_async.variables import VariableValues

__all__ = ["Reading", "ReadingClock"]

_VALID_FOR_S: Final = 300.0


@attrs.frozen
class ReadingClock:
    """The moment before a reading, by two clocks.

    The monotonic clock stops while the machine is suspended. A user may set the machine's clock.

    Attributes:
        ticks: Seconds of the monotonic clock.
        seconds: Seconds of the machine's clock.
    """

    ticks: float = attrs.field(factory=time.monotonic)
    seconds: float = attrs.field(factory=time.time)

    @property
    def is_recent(self) -> bool:
        """Whether a reading of that moment is still valid."""
        ages = time.monotonic() - self.ticks, abs(time.time() - self.seconds)
        return max(ages) < _VALID_FOR_S and unchanged_since(self.ticks)


@attrs.frozen
class Reading:
    """The variables of an environment at one moment.

    Attributes:
        variables: Values by name.
        at: When the variables were read.
    """

    variables: VariableValues
    at: ReadingClock

    @property
    def is_recent(self) -> bool:
        """Whether this reading is still valid."""
        return self.at.is_recent

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()
