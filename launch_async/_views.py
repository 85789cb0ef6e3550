"""Where an object finds its views: a notebook's card, a data frame, JUnit, Markdown, a page.

`launch_async.display` holds the views, as functions from objects to views, and registers each with the class that it
shows. The classes import no view: they ask here, and the first question loads `display`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FRAME", "HTML", "JUNIT", "MARKDOWN", "PAGE", "Displayable", "View"]

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
        """Return the view of an object, by the nearest of its classes that has one."""
        import_module("launch_async.display.views")
        for kind in type(item).__mro__:
            if kind in self._shown_by:
                return self._shown_by[kind](item)
        raise TypeError(f"launch_async.display has no such view of {type(item).__name__}")


HTML: Final = View[str]()
"""What a notebook shows."""
FRAME: Final[View[pd.DataFrame]] = View()
"""Rows as a pandas data frame."""
JUNIT: Final = View[str]()
"""JUnit XML, for CI."""
MARKDOWN: Final = View[str]()
"""GitHub's Markdown, for the summary of a CI job."""
PAGE: Final = View[str]()
"""A web page that stands by itself."""


class Displayable:
    """Base of what notebooks show as HTML."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return HTML(self)
