"""The options of a run: waves, limits and observers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from launch_async.deploy.release.check import CheckLike
from launch_async.errors import InvalidArgumentError
from launch_async.fleet.run.control import FleetControl
from launch_async.fleet.run.events import FleetEvent
from launch_async.fleet.run.performing import Performer
from launch_async.http.operation import check_callback

__all__ = ["RunOptions"]


@attrs.frozen(kw_only=True)
class RunOptions:
    """The options of a run. The arguments of `Fleet.run` describe them.

    Raises:
        InvalidArgumentError: A value has the wrong type or is out of range.
    """

    canary: int
    wave_size: int | None
    concurrency: int | None
    stop_on_failures: float | None
    timeout: float | None
    deployment_timeout: float
    variables: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    protected: tuple[str, ...]
    on_event: Callable[[FleetEvent], object] | None
    control: FleetControl
    performer: Performer | None = None
    verify: tuple[CheckLike, ...] = ()

    def __attrs_post_init__(self) -> None:
        check_callback(on_event=self.on_event)
        for name, least in {"canary": 0, "wave_size": 1, "concurrency": 1}.items():
            count = getattr(self, name)
            if count is not None and not (isinstance(count, int) and count >= least):
                raise InvalidArgumentError(name, f"must be a whole number, at least {least}, not {count!r}")
        for name in ("timeout", "deployment_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
                raise InvalidArgumentError(name, f"must be a positive number of seconds, not {seconds!r}")
        share = self.stop_on_failures
        if share is not None and not (isinstance(share, int | float) and 0 <= share <= 1):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError("stop_on_failures", f"must be a share from 0 to 1, not {share!r}")
