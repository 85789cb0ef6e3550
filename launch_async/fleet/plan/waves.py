"""Waves: which operations are sent before it is known how others have ended.

A wave begins when the one before it has ended. Nothing can be stopped that was sent already, so a run that stops on
failures needs waves: without a size they grow, and most of the fleet is sent only after the first tenths went well.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from launch_async.fleet.plan.operation import PlannedOperation

__all__ = ["STOP_ON_FAILURES", "waves"]

STOP_ON_FAILURES: Final = 0.25
"""Share of failures that stops a run unless somebody says otherwise."""

_PARTS: Final = (0.1, 0.3, 0.6, 1.0)
"""Parts of the operations that have been sent after each growing wave."""


def waves(
    operations: Sequence[PlannedOperation], *, size: int | None, stop_on_failures: float | None
) -> Sequence[Sequence[PlannedOperation]]:
    """Cut operations into waves.

    Args:
        operations: What is to be done, in the plan's order.
        size: Operations of each wave; None for growing waves.
        stop_on_failures: Share of failures that stops the run. Where none does, there is one wave.
    """
    count = len(operations)
    if size is not None:
        ends: Sequence[int] = range(size, count + size, size)
    elif stop_on_failures is None or stop_on_failures >= 1.0:
        ends = [count]
    else:
        # A wave takes as long as its slowest build: so the quick ones come first, together.
        operations = sorted(operations, key=lambda one: one.target.last_seconds or 0.0)
        ends = sorted({max(1, int(part * count)) for part in _PARTS})
    cuts = itertools.pairwise([0, *ends])
    return [operations[start:end] for start, end in cuts if start < count]
