"""The notebook that this program runs in, if it does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

__all__ = ["front_end", "in_notebook"]


def in_notebook() -> bool:
    """Return whether this program runs in a notebook. The kernel of a notebook has already imported IPython."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def front_end() -> Callable[[object], Callable[[], object]]:
    """Return a function that shows an object in the notebook. It returns a function that updates the output."""
    module = importlib.import_module("IPython.display")

    def show(shown: object) -> Callable[[], object]:
        handle = module.display(shown, display_id=True)
        return lambda: None if handle is None else handle.update(shown)

    return show
