"""The views of objects: HTML in a notebook, a data frame, JUnit, Markdown, a web page.

`launch_async.display` contains a function for each view, and registers it here with the class of its objects. The
classes do not import `display`. They call a view of this module, and the first call loads `display`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar, cast

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AUDIENCE",
    "FRAME",
    "HTML",
    "JUNIT",
    "MARKDOWN",
    "PAGE",
    "TRACEBACK",
    "Audience",
    "Displayable",
    "RunShown",
    "StepsShown",
    "View",
    "at_a_prompt",
    "progress_of_deployment",
    "progress_of_run",
]

T = TypeVar("T")
V = TypeVar("V")


class View(Generic[V]):
    """One kind of view. Call it with an object to get the object's view."""

    def __init__(self) -> None:
        self._shown_by: dict[type, Callable[..., V]] = {}

    def of(self, kind: type[T]) -> Callable[[Callable[[T], V]], Callable[[T], V]]:
        """Return a decorator that registers a function for the objects of a class."""

        def register(show: Callable[[T], V]) -> Callable[[T], V]:
            self._shown_by[kind] = show
            return show

        return register

    def __call__(self, item: object) -> V:
        """Return the view of an object, from its class or the nearest base class that has this view."""
        import_module("launch_async.display.views")
        for kind in type(item).__mro__:
            if kind in self._shown_by:
                return self._shown_by[kind](item)
        raise TypeError(f"launch_async.display has no view of this kind for {type(item).__name__}")


HTML: Final = View[str]()
"""HTML for a notebook."""
FRAME: Final[View[pd.DataFrame]] = View()
"""Rows as a pandas data frame."""
JUNIT: Final = View[str]()
"""JUnit XML, for CI."""
MARKDOWN: Final = View[str]()
"""GitHub Markdown, for the summary of a CI job."""
PAGE: Final = View[str]()
"""A complete web page."""
TRACEBACK: Final[View[list[str]]] = View()
"""The lines that IPython displays for an error."""


class StepsShown(Protocol):
    """The display of the progress of a deployment."""

    def on_step(self, step: str) -> None:
        """Show the next step."""

    def on_progress(self, sent: int) -> None:
        """Show the number of bytes that were uploaded so far."""

    def on_log(self, line: object) -> None:
        """Show a line of the build log."""

    def on_update(self, deployment: object) -> None:
        """Show a new state of the deployment."""

    def __enter__(self) -> object: ...

    def end(self, kind: type[BaseException] | None = None) -> None:
        """Show the result; `kind` is the class of the exception, if there was one."""


class RunShown(Protocol):
    """The display of the progress of a run."""

    def __call__(self, event: object) -> None:
        """Show an event."""

    def end(self, kind: type[BaseException] | None = None) -> None:
        """Show the result; `kind` is the class of the exception, if there was one."""


def progress_of_deployment(title: str) -> StepsShown:
    """Return the display for a deployment's progress that fits a terminal, a notebook or a log."""
    notebook, session = (import_module(f"launch_async.display.live.{name}") for name in ("notebook", "session"))
    return cast("StepsShown", notebook.Progress(title, mode="notebook" if session.in_notebook() else "lines"))


def _here(callback: Callable[..., object]) -> Callable[..., object]:
    return callback


class Audience(NamedTuple):
    """The caller of a long call.

    Attributes:
        is_interactive: Whether the caller uses an interactive prompt, so that progress is shown by default.
        deliver: Returns a callback that runs the given one in the caller's thread.
    """

    is_interactive: bool = False
    deliver: Callable[[Callable[..., object]], Callable[..., object]] = _here


AUDIENCE: Final[ContextVar[Audience]] = ContextVar("launch_async_audience", default=Audience())  # noqa: B039
"""The caller of the current call. `launch_sync` sets it."""


def at_a_prompt() -> bool:
    """Return whether Python runs interactively: in a notebook, in IPython, or in the Python shell."""
    ipython = sys.modules.get("IPython")
    return hasattr(sys, "ps1") or (ipython is not None and ipython.get_ipython() is not None)


def progress_of_run() -> RunShown:
    """Return the display for a run's progress that fits a terminal, a notebook or a log."""
    return cast("RunShown", import_module("launch_async.display.live.progress").FleetProgress())


class Displayable:
    """Base class of objects that notebooks show as HTML."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return HTML(self)
