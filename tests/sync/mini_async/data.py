"""Plain data, the same in both packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["OnThing", "Thing"]


@dataclass(frozen=True)
class Thing:
    """A thing."""

    number: int


OnThing = Callable[[Thing], object]
