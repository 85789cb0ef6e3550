"""Redis as the store of a shared budget: the script runs there, with one call for each exchange."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol

from launch_async.errors import ConfigurationError
from launch_async.rate_limit.redis.script import DIGEST, TEXT, arguments, read
from launch_async.rate_limit.shared.messages import Ask, Reply, StoreUnavailable

__all__ = ["Client", "RedisStore"]


class Client(Protocol):
    """What is used of a `redis.asyncio` client."""

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: str | bytes) -> object:
        """Run a script that the server knows."""
        ...

    async def eval(self, script: str, numkeys: int, *keys_and_args: str | bytes) -> object:
        """Run a script, and have the server know it from now on."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class RedisStore:
    """One event loop's way to a budget in Redis."""

    def __init__(self, connect: Callable[[], Client], key: str) -> None:
        self._key = key
        with _explained():
            self._client = connect()

    async def exchange(self, ask: Ask) -> Reply:
        """Do what a worker asks for."""
        from redis.exceptions import RedisClusterException, RedisError

        try:
            with _explained():
                answer = await self._run(arguments(ask, with_memory=False))
                if answer is None:
                    # The server has forgotten the budget, and it can be restored from what the worker remembers.
                    answer = await self._run(arguments(ask, with_memory=True))
                return read(answer)
        except (RedisError, RedisClusterException, OSError) as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
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
    """Say what is wrong with a client that is none, or that answers with text."""
    try:
        yield
    except (AttributeError, TypeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the client of Redis cannot be used ({type(error).__name__}: {error}). A URL may have options that "
            "redis.asyncio knows; a function must return one of its clients; neither may set decode_responses"
        ) from error
