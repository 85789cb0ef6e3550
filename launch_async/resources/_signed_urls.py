"""Responses that contain only a signed URL, and so do not show to which request they belong.

If a proxy sends a response twice, the second copy looks like the response to the next request. The service never issues
the same URL for different subjects. If this seems to happen, the SDK closes the connection and requests the URL again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from launch_async.errors import DecodeError

__all__ = ["SignedUrls"]

T = TypeVar("T")

_REMEMBERED: Final = 256
"""Number of recent responses to remember. A repeated response arrives in place of one of the next responses."""


class SignedUrls(Generic[T]):
    """Remembers the subject of each signed URL.

    Args:
        url_of: Returns a string that is different for each request.
    """

    def __init__(self, url_of: Callable[[T], str]) -> None:
        self._url_of = url_of
        self._subjects: dict[str, object] = {}

    async def get(self, subject: object, request: Callable[[Callable[[T], str | None]], Awaitable[T]]) -> T:
        """Return the response for a subject. Request it again if another subject had the same response before.

        Args:
            subject: The subject of the URL, such as a deployment UID.
            request: Sends the request. It raises a DecodeError and closes the connection if the function that it
                receives returns a problem.
        """
        repeated: set[str] = set()

        def problem(answer: T) -> str | None:
            url = self._url_of(answer)
            if self._subjects.setdefault(url, subject) == subject or url in repeated:
                return None
            repeated.add(url)
            return "the service has already issued its URL for another request"

        try:
            answer = await request(problem)
        except DecodeError:
            if not repeated:
                raise
            # The same URL on two connections comes from the service, so the SDK accepts the URL.
            answer = await request(problem)
        while len(self._subjects) > _REMEMBERED:
            del self._subjects[next(iter(self._subjects))]
        return answer
