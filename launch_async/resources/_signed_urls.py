"""Answers that consist of a signed URL. They do not show which request they answer.

If a proxy sends an answer twice, the second copy looks like the answer to the next request. Two requests for different
subjects never get the same URL. If they do, the SDK closes the connection and requests the URL again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from launch_async.errors import DecodeError

__all__ = ["SignedUrls"]

T = TypeVar("T")

_REMEMBERED: Final = 256
"""Number of newest answers to remember. A repeated answer arrives in place of one of the next answers."""


class SignedUrls(Generic[T]):
    """Remembers the subject of each signed URL.

    Args:
        url_of: Returns a text that two answers to different requests never share.
    """

    def __init__(self, url_of: Callable[[T], str]) -> None:
        self._url_of = url_of
        self._given_for: dict[str, object] = {}

    async def get(self, subject: object, ask: Callable[[Callable[[T], str | None]], Awaitable[T]]) -> T:
        """Return the answer about a subject. Request it again if another subject had the same answer before.

        Args:
            subject: The subject of the URL, such as a deployment UID.
            ask: Sends the request. It raises a DecodeError and closes the connection if the function in its argument
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
            # The same URL over two connections comes from the service itself, so it is accepted.
            answer = await ask(problem)
        while len(self._given_for) > _REMEMBERED:
            del self._given_for[next(iter(self._given_for))]
        return answer
