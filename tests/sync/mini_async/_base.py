"""A private base class with public methods."""

from __future__ import annotations

from mini_async.data import Thing


class Base:
    """Holds things."""

    def __init__(self, things: list[Thing]) -> None:
        self._things = things

    def __len__(self) -> int:
        return len(self._things)

    async def first(self) -> Thing | None:
        """Return the first, or None."""
        return self._things[0] if self._things else None
