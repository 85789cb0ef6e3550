"""Answers that consist of a signed URL: nothing in them says which request they answer.

An answer that a proxy sends twice would be taken for the next request's. Two requests for different things do not get
the same URL, though. So where they do, the connection is closed and the URL is asked for once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from launch_async.errors import DecodeError

__all__ = ["SignedUrls"]

T = TypeVar("T")

_REMEMBERED: Final = 256
"""Newest answers that are remembered: an answer that comes twice is mixed up with one of the next."""


class SignedUrls(Generic[T]):
    """Remembers what each signed URL was given for.

    Args:
        url_of: Returns what two answers to different requests never share.
    """

    def __init__(self, url_of: Callable[[T], str]) -> None:
        self._url_of = url_of
        self._given_for: dict[str, object] = {}

    async def get(self, subject: object, ask: Callable[[Callable[[T], str | None]], Awaitable[T]]) -> T:
        """Return the answer about a subject; ask again if it was the answer about another subject before.

        Args:
            subject: What the URL is for.
            ask: Sends the request. It raises a DecodeError and closes the connection if the function that it gets
                returns a problem.
        """
        repeated: set[str] = set()

        def problem(answer: T) -> str | None:
            url = self._url_of(answer)
            if self._given_for.setdefault(url, subject) == subject or url in repeated:
                return None
            repeated.add(url)
            return "its URL was given for something else before"

        try:
            answer = await ask(problem)
        except DecodeError:
            if not repeated:
                raise
            # What comes twice over two connections is what the service means.
            answer = await ask(problem)
        while len(self._given_for) > _REMEMBERED:
            del self._given_for[next(iter(self._given_for))]
        return answer
