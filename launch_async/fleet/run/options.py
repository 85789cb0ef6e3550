"""How a plan is run: waves, limits, and who is told; checked when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import attrs
from attrs.validators import ge, gt, instance_of, le, optional

from launch_async.fleet.run.control import FleetControl
from launch_async.fleet.run.events import FleetEvent

__all__ = ["RunOptions"]


@attrs.frozen(kw_only=True)
class RunOptions:
    """How a plan is run.

    Attributes:
        canary: Targets of a first wave, that must all succeed before anything else is sent.
        wave_size: Targets of each further wave; None for waves that grow.
        concurrency: Targets that are under way at the same time; None for as many as a wave has.
        stop_on_failures: Share of the plan's targets that may fail before nothing more is sent; None for all of them,
            and thus one wave.
        timeout: Seconds for the whole run; None for no limit.
        deployment_timeout: Seconds that one deployment may take.
        variables: Values of the variables that a plan sets.
        protected: Name patterns of environments that need a confirmation.
        on_event: Called with each event.
        control: Steers the run from outside.

    Raises:
        TypeError: A number is none.
        ValueError: A number is out of its range.
    """

    canary: int = attrs.field(default=0, validator=[instance_of(int), ge(0)])
    wave_size: int | None = attrs.field(default=None, validator=optional([instance_of(int), ge(1)]))
    concurrency: int | None = attrs.field(default=None, validator=optional([instance_of(int), ge(1)]))
    stop_on_failures: float | None = attrs.field(
        default=cast("float | None", 0.25), validator=optional([ge(0.0), le(1.0)])
    )
    timeout: float | None = attrs.field(default=None, validator=optional(gt(0)))
    deployment_timeout: float = attrs.field(default=3600.0, validator=gt(0))
    variables: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    protected: tuple[str, ...] = ()
    on_event: Callable[[FleetEvent], object] | None = None
    control: FleetControl = attrs.field(factory=FleetControl)
