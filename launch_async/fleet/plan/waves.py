"""Waves: groups of operations that a run sends before it knows the outcomes.

A wave begins when the previous wave has ended. A run cannot stop operations that it has already sent, so a run that
stops on failures needs waves. By default waves grow: most targets are sent only after the first tenths have succeeded.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from launch_async.fleet.plan.operation import PlannedOperation

__all__ = ["STOP_ON_FAILURES", "waves"]

STOP_ON_FAILURES: Final = 0.25
"""Default share of failures that stops a run."""

_PARTS: Final = (0.1, 0.3, 0.6, 1.0)
"""Share of the operations that have been sent after each growing wave."""


def waves(
    operations: Sequence[PlannedOperation], *, size: int | None, stop_on_failures: float | None
) -> Sequence[Sequence[PlannedOperation]]:
    """Split operations into waves.

    Args:
        operations: The operations, in the plan's order.
        size: Number of operations in each wave; None for growing waves.
        stop_on_failures: Share of failures that stops the run. If the run never stops, there is one wave.
    """
    count = len(operations)
    if size is not None:
        ends: Sequence[int] = range(size, count + size, size)
    elif stop_on_failures is None or stop_on_failures >= 1.0:
        ends = [count]
    else:
        # A wave takes as long as its slowest build, so quick builds share the first waves.
        operations = sorted(operations, key=lambda one: one.target.last_seconds or 0.0)
        ends = sorted({max(1, int(part * count)) for part in _PARTS})
    cuts = itertools.pairwise([0, *ends])
    return [operations[start:end] for start, end in cuts if start < count]
