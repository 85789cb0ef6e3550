"""Against servers that answer strangely, the probe decides nothing, and does not fail."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from launch_async import Authtoken, LaunchClient, LaunchError
from launch_async.probe import probe
from launch_async.rate_limit import UnlimitedRateLimiter

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
UIDS = [f"{number:024x}" for number in (5, 3, 9, 1, 7, 2)]


@asynccontextmanager
async def served(handler: Handler) -> AsyncGenerator[LaunchClient]:
    """Serve all paths with one handler, and yield a client of the server."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with LaunchClient(
            Authtoken("a-token"),
            organization_uid="blt0123456789abcdef",
            base_url=f"http://127.0.0.1:{port}",
            limiter=UnlimitedRateLimiter(),
        ) as client:
            yield client
    finally:
        await runner.cleanup()


def _strange(path: str, query: Any) -> Any:
    """Return answers that look like those of the service, but decide no question."""
    words = path.strip("/").split("/")
    if path == "/openapi":
        return {"swagger": "2.0", "paths": {"/pets": {"get": {}}}}
    if words[-1] == "deployment-logs":
        # This log ignores `timestamp`.
        return {"deploymentLogs": [{"message": f"{n}", "timestamp": f"2026-01-01T00:00:0{n}Z"} for n in range(5)]}
    if words[-1] == "server-logs":
        return {"logs": [], "serverLogs": []}
    if words[-1] == "live":
        return "event: session\ndata: soon\n\n: a comment\n\nevent: ping\ndata: {}\n\n"
    if words[-2:] == ["download", "signed_url"]:
        return {"downloadUrl": "https://a.example/", "url": "https://b.example/"}
    if words[0] == "usage-analytics":
        return {"usageReset": "tomorrow"}
    if words[-1] == "domains":
        return web.Response(status=418)
    kind = words[-1] if words[-1] in ("projects", "environments", "deployments") else ""
    if not kind:
        return {"nothing": True}
    items = [
        {
            "uid": uid,
            "name": f"name {index * 7 % 5}",
            "status": ["LIVE", "ARCHIVED", "DEPLOYED", "SERVING", None, "LIVE"][index],
            "deploymentNumber": [4, 1, 9, 2, 8, 3][index],
            "projectType": "FILEUPLOAD",
            "frameworkPreset": "NUXT",
            "createdAt": f"2026-01-0{[4, 1, 9, 2, 8, 3][index]}",
            "description": None if index else "text",
        }
        for index, uid in enumerate(UIDS)
    ]
    return {"pagination": {"count": "many", "skip": None, "limit": 10}, kind: items}


async def strange(request: web.Request) -> web.StreamResponse:
    answer = _strange(request.path, request.query)
    if isinstance(answer, web.Response):
        return answer
    if isinstance(answer, str):
        return web.Response(text=answer, content_type="text/event-stream")
    return web.json_response(answer, headers={"Date": "yesterday"})


async def html(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Welcome</html>", content_type="text/html")


async def a_list(_: web.Request) -> web.StreamResponse:
    return web.json_response([1, None, "x"])


async def broken(_: web.Request) -> web.StreamResponse:
    return web.json_response({"errors": 7}, status=500)


async def numbers(_: web.Request) -> web.StreamResponse:
    return web.json_response({"projects": [1, {"uid": 5}, {"uid": "../../x"}], "pagination": 3})


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


ODD = [strange, html, a_list, broken, numbers, cut]


@pytest.mark.parametrize(
    ("handler", "arguments"),
    [*((handler, {}) for handler in ODD), (strange, {"write": True, "project": "scratch"})],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
async def test_an_odd_server_leaves_every_question_undecided(handler: Handler, arguments: dict[str, Any]) -> None:
    async with served(handler) as client:
        report = await probe(client, daring=True, **arguments)

    assert [str(row) for row in report.decided] == []
    assert all(row.reason for row in report.undecided)
    assert report.requests <= 60
    assert report.openapi == ()
    assert report.openapi_problem
    assert report.leftover == ""


@pytest.mark.parametrize("handler", [html, a_list, broken, numbers])
async def test_a_probe_writes_nothing_if_the_name_cannot_be_checked(handler: Handler) -> None:
    methods: set[str] = set()

    async def noting(request: web.Request) -> web.StreamResponse:
        methods.add(request.method)
        return await handler(request)

    async with served(noting) as client:
        with pytest.raises(LaunchError):
            await probe(client, write=True, project="scratch")

    assert methods == {"GET"}
