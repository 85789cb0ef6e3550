"""The interface of a request that a client sends. The emulator must not import the client's own classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

BodyT_co = TypeVar("BodyT_co", covariant=True)


class SentRequest(Protocol[BodyT_co]):
    """A request as a client sends it."""

    @property
    def method(self) -> str:
        """HTTP method."""
        ...

    @property
    def url(self) -> str:
        """Absolute URL, quoted."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, including credentials."""
        ...

    @property
    def body(self) -> BodyT_co:
        """The body."""
        ...
