"""The contestants: this SDK, the limit (aiohttp by hand), and widely used clients.

The benchmark opens each contestant once. A contestant offers `get` (one project) and `list` (a page of a hundred
projects). Imports are inside the functions, so that the process of one contestant does not import another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TypeAlias, TypeVar

from benchmarks._service import ORGANIZATION, UID

T = TypeVar("T")
Actions: TypeAlias = dict[str, Callable[[], Awaitable[object]]]
PlainActions: TypeAlias = dict[str, Callable[[], object]]

LAUNCH = {"authtoken": "bltfeedfacecafebeef", "organization_uid": ORGANIZATION, "Accept": "application/json"}
CLOUDFLARE = {"Authorization": "Bearer token", "Accept": "application/json"}


@contextlib.asynccontextmanager
async def aiohttp_by_hand(address: str) -> AsyncGenerator[Actions]:
    """A program by an expert in aiohttp, which needs only a dict."""
    import aiohttp

    async with aiohttp.ClientSession(
        headers=LAUNCH, connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def get(url: str) -> object:
            async with session.get(url) as answer:
                answer.raise_for_status()
                return json.loads(await answer.read())

        yield {
            "get": lambda: get(f"{address}/projects/{UID}"),
            "list": lambda: get(f"{address}/projects?limit=100"),
        }


@contextlib.asynccontextmanager
async def aiohttp_with_defaults(address: str) -> AsyncGenerator[Actions]:
    """A typical program: a session with the default settings, and `await answer.json()`."""
    import aiohttp

    async with aiohttp.ClientSession(headers=LAUNCH) as session:

        async def get(url: str) -> object:
            async with session.get(url) as answer:
                return await answer.json()

        yield {
            "get": lambda: get(f"{address}/projects/{UID}"),
            "list": lambda: get(f"{address}/projects?limit=100"),
        }


@contextlib.asynccontextmanager
async def launch_async_client(address: str) -> AsyncGenerator[Actions]:
    """This SDK, without a rate limit, with the standard library's json."""
    sys.modules["orjson"] = None  # type: ignore[assignment]  # as if it were not installed
    async with launch_async_fast(address) as actions:
        yield actions


@contextlib.asynccontextmanager
async def launch_async_fast(address: str) -> AsyncGenerator[Actions]:
    """This SDK, without a rate limit, with the extra `speed` (orjson)."""
    from launch_async import Authtoken, LaunchClient
    from launch_async.rate_limit import UnlimitedRateLimiter

    async with LaunchClient(
        Authtoken(LAUNCH["authtoken"]),
        base_url=address,
        organization_uid=ORGANIZATION,
        limiter=UnlimitedRateLimiter(),
        proxy="",
    ) as client:
        yield {"get": lambda: client.projects.get(UID), "list": lambda: client.projects.list(limit=100).page()}


@contextlib.asynccontextmanager
async def httpx_async(address: str) -> AsyncGenerator[Actions]:
    """A program with httpx: dicts, no models."""
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(headers=LAUNCH, limits=limits, trust_env=False) as client:

        async def get(url: str) -> object:
            answer = await client.get(url)
            answer.raise_for_status()
            return answer.json()

        yield {
            "get": lambda: get(f"{address}/projects/{UID}"),
            "list": lambda: get(f"{address}/projects?limit=100"),
        }


@contextlib.asynccontextmanager
async def cloudflare_aiohttp(address: str) -> AsyncGenerator[Actions]:
    """The generated client of another service, with its faster backend."""
    from cloudflare import AsyncCloudflare, DefaultAioHttpClient

    async with AsyncCloudflare(api_token="token", base_url=address, http_client=DefaultAioHttpClient()) as client:
        projects = client.pages.projects

        async def page() -> object:
            return await projects.list(account_id="a" * 32)

        yield {"get": lambda: projects.get("site-0", account_id="a" * 32), "list": page}


@contextlib.asynccontextmanager
async def cloudflare_async(address: str) -> AsyncGenerator[Actions]:
    """The generated client of another service, with its default backend (httpx)."""
    from cloudflare import AsyncCloudflare

    async with AsyncCloudflare(api_token="token", base_url=address) as client:
        projects = client.pages.projects

        async def page() -> object:
            return await projects.list(account_id="a" * 32)

        yield {"get": lambda: projects.get("site-0", account_id="a" * 32), "list": page}


@contextlib.contextmanager
def launch_sync_client(address: str) -> Generator[PlainActions]:
    """This SDK without await, without a rate limit."""
    sys.modules["orjson"] = None  # type: ignore[assignment]  # as if it were not installed
    from launch_sync import Authtoken, LaunchClient
    from launch_sync.rate_limit import UnlimitedRateLimiter

    with LaunchClient(
        Authtoken(LAUNCH["authtoken"]),
        base_url=address,
        organization_uid=ORGANIZATION,
        limiter=UnlimitedRateLimiter(),
        proxy="",
    ) as client:
        yield {"get": lambda: client.projects.get(UID), "list": lambda: client.projects.list(limit=100).page()}


@contextlib.contextmanager
def aiohttp_in_a_thread(address: str) -> Generator[PlainActions]:
    """A program with aiohttp on a loop in a separate thread, called with the functions of asyncio."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(call: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await call

        return asyncio.run_coroutine_threadsafe(awaited(), loop).result()

    opened = aiohttp_by_hand(address)
    actions = run(opened.__aenter__())
    try:
        yield {"get": lambda: run(actions["get"]()), "list": lambda: run(actions["list"]())}
    finally:
        run(opened.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def httpx_sync(address: str) -> Generator[PlainActions]:
    """A program with httpx.Client: dicts, no models."""
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    with httpx.Client(headers=LAUNCH, limits=limits, trust_env=False) as client:

        def get(url: str) -> object:
            return client.get(url).raise_for_status().json()

        yield {
            "get": lambda: get(f"{address}/projects/{UID}"),
            "list": lambda: get(f"{address}/projects?limit=100"),
        }


@contextlib.contextmanager
def requests_session(address: str) -> Generator[PlainActions]:
    """A program with one requests.Session: dicts, no models."""
    import requests
    from requests.adapters import HTTPAdapter

    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(LAUNCH)
        session.mount("http://", HTTPAdapter(pool_maxsize=64))

        def get(url: str) -> object:
            answer = session.get(url)
            answer.raise_for_status()
            return answer.json()

        yield {
            "get": lambda: get(f"{address}/projects/{UID}"),
            "list": lambda: get(f"{address}/projects?limit=100"),
        }


@contextlib.contextmanager
def cloudflare_sync(address: str) -> Generator[PlainActions]:
    """The generated client of another service."""
    from cloudflare import Cloudflare

    with Cloudflare(api_token="token", base_url=address) as client:
        projects = client.pages.projects
        yield {
            "get": lambda: projects.get("site-0", account_id="a" * 32),
            "list": lambda: projects.list(account_id="a" * 32),
        }


@contextlib.contextmanager
def management_client(address: str) -> Generator[PlainActions]:
    """Contentstack's own SDK of the CMS, for one stack: the same GET with the same headers, parsed to a dict."""
    import contentstack_management

    client = contentstack_management.Client(authtoken=LAUNCH["authtoken"])
    client.client.endpoint = f"{address}/"
    stack = client.stack("blt5f6a7b8c9d0e1f2a")
    yield {"get": lambda: stack.fetch().json()}


ASYNC: dict[str, Callable[[str], AbstractAsyncContextManager[Actions]]] = {
    "aiohttp + json by hand": aiohttp_by_hand,
    "aiohttp with defaults": aiohttp_with_defaults,
    "launch_async": launch_async_client,
    "launch_async + orjson": launch_async_fast,
    "httpx by hand": httpx_async,
    "cloudflare (aiohttp)": cloudflare_aiohttp,
    "cloudflare (httpx)": cloudflare_async,
}
SYNC: dict[str, Callable[[str], AbstractContextManager[PlainActions]]] = {
    "launch_sync": launch_sync_client,
    "aiohttp by hand in a thread": aiohttp_in_a_thread,
    "httpx.Client by hand": httpx_sync,
    "requests by hand": requests_session,
    "cloudflare (sync)": cloudflare_sync,
    "contentstack-management": management_client,
}
