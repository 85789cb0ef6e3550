"""Run a webhook that collects published entries, and purges them from the cache with few requests.

    python examples/revalidate_after_publish.py PROJECT_UID ENVIRONMENT_UID [--port 8080]

Create a webhook in your stack for publishing and unpublishing entries, with the address of this program. Your site must
tag its responses with the content type and the UID of the entries in them. An organization has 500 or 2000
revalidations a day, depending on its plan. Each revalidation takes up to 100 tags, so entries that are published within
a few seconds share a revalidation. Without arguments, the program uses an emulator and sends itself three events.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from cloud import is_real, open_cloud

from launch_async import LaunchClient, LaunchError
from launch_async.emulator import LaunchEmulator

MOST_TAGS = 100


class Purges:
    """Collects tags, and purges all of them some seconds after the first one."""

    def __init__(self, launch: LaunchClient, project_uid: str, environment_uid: str, *, gather: float) -> None:
        self._launch = launch
        self._environment = project_uid, environment_uid
        self._gather = gather
        self._tags: dict[str, None] = {}
        self._wanted = asyncio.Event()

    def want(self, *tags: str) -> None:
        """Purge these tags soon."""
        self._tags.update(dict.fromkeys(tags))
        self._wanted.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._purge()

    async def _run(self) -> None:
        while await self._wanted.wait():
            await asyncio.sleep(self._gather)
            await self._purge()

    async def _purge(self) -> None:
        self._wanted.clear()
        while self._tags:
            batch = list(self._tags)[:MOST_TAGS]
            try:
                await self._launch.environments.revalidate_cache(*self._environment, cache_tags=batch)
            except LaunchError as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                return
            for tag in batch:
                del self._tags[tag]
            print(f"Purged {', '.join(batch)}")


def webhook(purges: Purges) -> web.Application:
    async def published(request: web.Request) -> web.Response:
        data = (await request.json()).get("data", {})
        entry, content_type = data.get("entry", {}).get("uid"), data.get("content_type", {}).get("uid")
        purges.want(*(tag for tag in (content_type, entry) if tag))
        return web.Response(status=202)

    application = web.Application()
    application.router.add_post("/published", published)
    return application


async def send_some(port: int) -> None:
    async with aiohttp.ClientSession() as session:
        for entry in ("moonrise", "eclipse", "moonrise"):
            event = {"data": {"entry": {"uid": entry}, "content_type": {"uid": "article"}}}
            async with session.post(f"http://127.0.0.1:{port}/published", json=event) as answer:
                answer.raise_for_status()


async def main() -> None:
    parser = argparse.ArgumentParser(description="Purge published entries from the CDN cache.")
    parser.add_argument("project_uid", nargs="?")
    parser.add_argument("environment_uid", nargs="?")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--gather", type=float, default=5.0, help="seconds to collect tags (default: %(default)s)")
    options = parser.parse_args()
    made: dict[str, str] = {}

    def prepare(emulator: LaunchEmulator) -> None:
        project = emulator.add_project("night-sky", deployments=1)
        made.update(project_uid=project.uid, environment_uid=next(iter(project.environments)))

    async with open_cloud(prepare) as launch:
        project_uid, environment_uid = (
            options.project_uid or made.get("project_uid"),
            options.environment_uid or made.get("environment_uid"),
        )
        if not project_uid or not environment_uid:
            sys.exit("Pass the UIDs of the project and the environment.")
        async with Purges(launch, project_uid, environment_uid, gather=options.gather) as purges:
            runner = web.AppRunner(webhook(purges))
            await runner.setup()
            try:
                site = web.TCPSite(runner, "127.0.0.1", options.port)
                await site.start()
                print(f"Listening on port {site.port}")
                await (asyncio.Event().wait() if is_real() else send_some(site.port))
            finally:
                await runner.cleanup()
        usage = await launch.usage.cache_revalidations()
        print(f"{usage.current_cache_revalidations} revalidations today, {usage.remaining} left")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("Stopped.")
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
