"""The token bucket of one event loop, aiolimiter's: what bounds the loop whatever the pacing has been told.

It guarantees this: of any requests of one loop, within t seconds of the loop's clock at most n + n * t / period leave,
with n the plan's figure, even if the clock was set back, the shared file was lost, or the answers' times are wrong.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from launch_async.rate_limit.types import RateLimit

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

__all__ = ["LoopBucket"]

_LONGEST_PAUSE_S: Final = 0.25
_FAST_S: Final = 0.5
"""Seconds between two tokens, at most, of a budget whose first token may count as taken later than it was."""


class LoopBucket:
    """The bucket, and beside it the tokens that were given back: aiolimiter takes none back.

    Many a script sends one request, and importing aiolimiter takes 5 ms: so the bucket is made with the second token.
    The first one, unless it has come back by then, counts as taken at that moment: no more leave than promised above.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rate_limit: RateLimit) -> None:
        self._loop = loop
        self._returned: deque[float] = deque()
        self.change(rate_limit)

    def change(self, rate_limit: RateLimit) -> None:
        """Bound the loop by another figure from now on."""
        self._rate_limit = rate_limit
        self._bucket: AsyncLimiter | None = None
        self._first: float | None = None

    def has_token(self) -> bool:
        """Whether a token can be taken at once."""
        # The bucket would have refilled by then, and the returned token would come on top.
        while self._returned and self._returned[0] + self._rate_limit.per < self._loop.time():
            self._returned.popleft()
        return bool(self._returned) or self._bucket is None or self._bucket.has_capacity()

    async def take_token(self) -> None:
        """Take one token; at once if there is one."""
        if self._returned:
            self._returned.popleft()
            return
        if self._bucket is None:
            requests, now = self._rate_limit.requests, self._loop.time()
            apart = self._rate_limit.per / requests
            if self._first is None and requests >= 2 and apart <= _FAST_S:
                self._first = now
                return
            from aiolimiter import AsyncLimiter

            self._bucket = AsyncLimiter(requests, self._rate_limit.per)
            if self._first is not None and now < self._first + apart:
                await self._bucket.acquire()
        await self._bucket.acquire()

    def return_token(self) -> None:
        """Give a token back that no request was sent with."""
        self._returned.append(self._loop.time())

    async def pause(self) -> None:
        """Wait about as long as a token takes to come: the bucket has no event to wait for."""
        await asyncio.sleep(min(self._rate_limit.per / self._rate_limit.requests, _LONGEST_PAUSE_S))
