"""The token bucket of one event loop: an upper bound for the pacing, based on aiolimiter.

In any t seconds of the loop's clock, the loop sends at most n + n * t / period requests, where n is the plan's limit.
This holds even if the clock was set back, the shared file was lost, or the times of the answers are wrong.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from launch_async.rate_limit.types import RateLimit

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

__all__ = ["LoopBucket"]

_MAX_SLEEP_S: Final = 0.25
_MAX_TOKEN_INTERVAL_S: Final = 0.5
"""Maximum seconds between two tokens for a budget whose first token may be counted late."""


class LoopBucket:
    """A token bucket, and the tokens that callers returned, because aiolimiter does not accept returned tokens.

    Importing aiolimiter takes 5 ms, and many scripts send only one request. The bucket is therefore created with the
    second token. The first token then counts as taken at that moment, which keeps the bound above.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rate_limit: RateLimit) -> None:
        self._loop = loop
        self._returned: deque[float] = deque()
        self.change(rate_limit)

    def change(self, rate_limit: RateLimit) -> None:
        """Change the limit of the plan."""
        self._rate_limit = rate_limit
        self._bucket: AsyncLimiter | None = None
        self._first_taken_at: float | None = None

    def has_token(self) -> bool:
        """Whether a token is available now."""
        # After one period the bucket has refilled, and a returned token would raise the bound.
        while self._returned and self._returned[0] + self._rate_limit.per < self._loop.time():
            self._returned.popleft()
        return bool(self._returned) or self._bucket is None or self._bucket.has_capacity()

    async def take_token(self) -> None:
        """Take one token. Wait for it if none is available."""
        if self._returned:
            self._returned.popleft()
            return
        if self._bucket is None:
            requests, now = self._rate_limit.requests, self._loop.time()
            interval = self._rate_limit.per / requests
            if self._first_taken_at is None and requests >= 2 and interval <= _MAX_TOKEN_INTERVAL_S:
                self._first_taken_at = now
                return
            from aiolimiter import AsyncLimiter

            self._bucket = AsyncLimiter(requests, self._rate_limit.per)
            if self._first_taken_at is not None and now < self._first_taken_at + interval:
                await self._bucket.acquire()
        await self._bucket.acquire()

    def return_token(self) -> None:
        """Return the token of a request that was not sent."""
        self._returned.append(self._loop.time())

    async def pause(self) -> None:
        """Sleep for about the time until the next token. aiolimiter has no event to wait for."""
        await asyncio.sleep(min(self._rate_limit.per / self._rate_limit.requests, _MAX_SLEEP_S))
