"""Redis as the store of a shared budget. Each exchange is one call of a script in Redis."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol

from launch_async.errors import ConfigurationError
from launch_async.rate_limit.redis.script import DIGEST, TEXT, arguments, read
from launch_async.rate_limit.shared.messages import Ask, Reply, StoreUnavailable

__all__ = ["Client", "RedisStore"]


class Client(Protocol):
    """The methods of a `redis.asyncio` client that the store uses."""

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: str | bytes) -> object:
        """Run a script that is in the server's cache."""
        ...

    async def eval(self, script: str, numkeys: int, *keys_and_args: str | bytes) -> object:
        """Run a script, and add it to the server's cache."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class RedisStore:
    """The budget in Redis, as one event loop uses it."""

    def __init__(self, connect: Callable[[], Client], key: str) -> None:
        self._key = key
        with _explained():
            self._client = connect()

    async def exchange(self, ask: Ask) -> Reply:
        """Process one call of a worker."""
        from redis.exceptions import RedisClusterException, RedisError

        try:
            with _explained():
                answer = await self._run(arguments(ask, with_memory=False))
                if answer is None:
                    # The server has lost the state, and can restore it from the worker's copy.
                    answer = await self._run(arguments(ask, with_memory=True))
                return read(answer)
        except (RedisError, RedisClusterException, OSError) as error:
            text = str(error).rstrip(". ")
            reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
            raise StoreUnavailable(reason) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def _run(self, given: list[str | bytes]) -> object:
        from redis.exceptions import NoScriptError

        try:
            return await self._client.evalsha(DIGEST, 1, self._key, *given)
        except NoScriptError:
            return await self._client.eval(TEXT, 1, self._key, *given)


@contextmanager
def _explained() -> Generator[None]:
    """Explain errors of a client that is not a Redis client, or that returns text."""
    try:
        yield
    except (AttributeError, TypeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The Redis client cannot be used ({type(error).__name__}: {error}). A URL may contain only options of "
            "redis.asyncio. A function must return a client of redis.asyncio. Do not set decode_responses"
        ) from error
