"""How often aiohttp sends one request: counted by a cookie jar, which it asks once for each time.

The jar has nothing to give. aiohttp has two other ways to count, a middleware for each request and an `UploadTracker`,
and both cost several times as much.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp
    import yarl

__all__ = ["Sends", "counting_jar"]


class Sends:
    """Counts the sends of the request that the running task makes from now on."""

    __slots__ = ("attempts",)

    def __init__(self) -> None:
        self.attempts: int = 0
        _PRESENT.set(self)


_PRESENT: ContextVar[Sends] = ContextVar("launch_async_sends")


def counting_jar() -> aiohttp.DummyCookieJar:
    """Return a cookie jar that keeps nothing, and counts how often it is asked."""
    return _counting_jar_class()()


@functools.cache
def _counting_jar_class() -> type[aiohttp.DummyCookieJar]:
    # aiohttp takes most of a second to import: not before the first request.
    import aiohttp

    nothing = SimpleCookie()

    class CountingJar(aiohttp.DummyCookieJar):
        def filter_cookies(self, request_url: yarl.URL) -> SimpleCookie:  # noqa: ARG002, RUF100
            if (sends := _PRESENT.get(None)) is not None:
                sends.attempts += 1
            return nothing

    return CountingJar
