"""Progress output of long calls: when to show it, and in which thread. Both depend on the caller's `AUDIENCE`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar, cast

from launch_async._views import AUDIENCE, progress_of_deployment, progress_of_run
from launch_async.errors import InvalidArgumentError

__all__ = ["Observers", "showing_deployment", "showing_run"]

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., object])


class Observers(NamedTuple):
    """Callbacks of a deployment: those of the caller and those of the progress output.

    Attributes:
        on_step: Called with the name of each step.
        on_progress: Called with the number of bytes uploaded so far.
        on_log: Called with each line of the build log. It is set only if the caller passed `on_log`, because reading
            lines takes requests.
        on_update: Called with each state of the deployment.
    """

    on_step: Callable[[str], object] | None = None
    on_progress: Callable[[int], object] | None = None
    on_log: Callable[[Any], object] | None = None
    on_update: Callable[[Any], object] | None = None

    def show(self, deployment: object) -> None:
        """Pass a state of the deployment to `on_update`."""
        if self.on_update is not None:
            self.on_update(deployment)


@contextlib.contextmanager
def showing_deployment(progress: bool | None, title: str, given: Observers) -> Generator[Observers]:
    """Show the progress of a deployment if requested, and yield the callbacks to call."""
    if not _is_wanted(progress, given.on_progress, given.on_log, given.on_update):
        yield given
        return
    deliver, shown = AUDIENCE.get().deliver, progress_of_deployment(title)
    deliver(shown.__enter__)()
    with _ended(deliver(shown.end)):
        yield Observers(
            on_step=deliver(shown.on_step),
            on_progress=_both(given.on_progress, deliver(shown.on_progress)),
            on_log=given.on_log and _both(given.on_log, deliver(shown.on_log)),
            on_update=_both(given.on_update, deliver(shown.on_update)),
        )


@contextlib.contextmanager
def showing_run(progress: bool | None, given: Callable[[T], object] | None) -> Generator[Callable[[T], object] | None]:
    """Show the progress of a run if requested, and yield the callback to call."""
    if not _is_wanted(progress, given):
        yield given
        return
    deliver, shown = AUDIENCE.get().deliver, progress_of_run()
    with _ended(deliver(shown.end)):
        yield _both(given, deliver(shown))


@contextlib.contextmanager
def _ended(end: Callable[..., object]) -> Generator[None]:
    try:
        yield
    except BaseException as error:
        end(type(error))
        raise
    end()


def _is_wanted(progress: object, *callbacks: object) -> bool:
    if progress is None:
        return AUDIENCE.get().is_interactive and not any(callbacks)
    if not isinstance(progress, bool):
        raise InvalidArgumentError("progress", f"must be True, False or None, not {progress!r}")
    return progress


def _both(first: Callable[[T], object] | None, second: Callable[..., object]) -> Callable[[T], object]:
    if first is None:
        return cast("Callable[[T], object]", second)

    def both(what: T) -> None:
        first(what)
        second(what)

    return both
