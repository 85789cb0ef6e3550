"""Lets the documentation read the doors of packages: what an `__init__.py` imports for type checkers is what it offers.

At run time `launch_async/_lazy.py` reads the same lines.
"""

from __future__ import annotations

import griffe


class Doors(griffe.Extension):
    """Gives each door the `__all__` that it has at run time."""

    def on_module(self, *, mod: griffe.Module, **_: object) -> None:
        """Take the imports below `if TYPE_CHECKING:` for what the module exports, as griffe calls it."""
        if mod.is_init_module and mod.exports is None:
            mod.exports = [name for name, member in mod.members.items() if member.is_alias and not member.runtime]
