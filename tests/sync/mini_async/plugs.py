"""Objects that a user passes. They run on the loop, and both packages share them although they are asynchronous."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Credentials", "Token"]


class Credentials(Protocol):
    """Gives headers."""

    async def headers(self) -> dict[str, str]:
        """Return headers."""
        ...


class Token:
    """Fixed credentials."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def headers(self) -> dict[str, str]:
        """Return headers."""
        return {"token": self._token}
