"""Extend griffe: the imports for type checkers in the `__init__.py` of a package are its public names.

At run time `launch_async/_lazy.py` reads the same lines.
"""

from __future__ import annotations

import griffe


class Doors(griffe.Extension):
    """Adds `__all__` to each package, as at run time."""

    def on_module(self, *, mod: griffe.Module, **_: object) -> None:
        """Treat the imports below `if TYPE_CHECKING:` as the exports of the module, in griffe's terms."""
        if mod.is_init_module and mod.exports is None:
            mod.exports = [name for name, member in mod.members.items() if member.is_alias and not member.runtime]
