"""One event loop's line to Redis: a call at a time, a new connection after each failure, and whether Redis is gone."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from launch_async.errors import ConfigurationError, LaunchError
from launch_async.rate_limit.redis.config import Client, Config
from launch_async.rate_limit.redis.script import Ask, Reply
from launch_async.rate_limit.round_trips import RoundTrips

__all__ = ["Connection"]

_LOG: Final = logging.getLogger("launch_async.rate_limit.redis.limiter")
_PROBE_EVERY: Final = 1.0


class Connection:
    """The connection, made when it is needed.

    Args:
        config: What all workers of a limiter have in common.
        loop: The loop.
    """

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop) -> None:
        self.gone = False
        self.probe_at = 0.0
        self._config = config
        self._loop = loop
        self._client: Client | None = None
        self._durations = RoundTrips()
        self._failing_since: float | None = None
        self._failures = 0

    @property
    def usual_duration(self) -> float:
        """Seconds that a call usually takes; 0 if there was none yet."""
        return self._durations.median

    @property
    def is_doubtful(self) -> bool:
        """Whether the last call failed: the next one may reach a server that has forgotten something."""
        return self._failures > 0

    async def ask(self, ask: Ask) -> Reply | LaunchError | None:
        """Call Redis once.

        Returns:
            The reply; None if there was none, after a pause; the error of everybody who waits, if Redis is gone and
            nothing may be sent without it.
        """
        from redis.exceptions import RedisError

        began = self._loop.time()
        try:
            async with asyncio.timeout(self._config.patience / 2):
                reply = Reply.read(await self._call(ask))
        except (RedisError, OSError, TimeoutError) as error:
            return await self._after_failure(error, began)
        self._durations.add(self._loop.time() - began)
        self._failing_since, self._failures = None, 0
        if self.gone:
            self.gone = False
            _LOG.info("the shared budget in Redis can be reached again")
        return reply

    async def _call(self, ask: Ask) -> object:
        from redis.exceptions import NoScriptError

        script, known = self._config.script, ask.arguments(fresh=False)
        if self._client is None:
            self._client = self._config.connect()
        try:
            try:
                return await self._client.evalsha(script.digest, 1, script.key, *known)
            except NoScriptError:
                return await self._client.eval(script.text, 1, script.key, *ask.arguments(fresh=True))
        except (AttributeError, TypeError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"the client of Redis cannot be used ({type(error).__name__}: {error}). A URL may have options that "
                "redis.asyncio knows; a function must return one of its clients; neither may set decode_responses"
            ) from error

    async def _after_failure(self, error: Exception, began: float) -> LaunchError | None:
        await self.disconnect()
        self._failures += 1
        now = self._loop.time()
        self._failing_since = began if self._failing_since is None else self._failing_since
        if now - self._failing_since < self._config.patience:
            await asyncio.sleep(min(0.01 * 2**self._failures, 0.1))
            return None
        self.probe_at = now + _PROBE_EVERY
        was_gone, self.gone = self.gone, True
        share = self._config.share
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if share is None:
            return self._config.unavailable(reason)
        if not was_gone:
            share.begin(now)
            _LOG.warning(
                "the shared budget in Redis cannot be reached (%s); this process sends at most one request per %.2f s "
                "until it can",
                reason,
                share.interval,
            )
        return None

    async def disconnect(self) -> None:
        """Close the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            # A server that does not answer must not hold up the end either.
            with suppress(Exception):
                async with asyncio.timeout(1.0):
                    await client.aclose()
