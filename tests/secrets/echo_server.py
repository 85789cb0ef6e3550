"""A server that repeats every request in its errors, as the worst possible service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from aiohttp import web

Answer = Callable[[web.BaseRequest, str], web.StreamResponse | None]


def _json(document: object, status: int) -> web.Response:
    return web.Response(status=status, text=json.dumps(document), content_type="application/json")


def envelopes(status: int) -> Mapping[str, Answer]:
    """Return every documented error envelope. Each text in an envelope repeats the request."""
    return {
        "A": lambda _, repeated: _json(
            {"errors": [{"code": "launch.X", "message": repeated}], "status": status}, status
        ),
        "B": lambda _, repeated: _json(
            {"errors": [{"environmentVariables.0.value": {"code": repeated, "message": repeated}}]}, status
        ),
        "C": lambda _, repeated: _json({"errors": [{"code": repeated, "message": repeated}]}, status),
        "D": lambda _, repeated: _json(
            {"error_message": repeated, "error_code": 105, "errors": {"x": [repeated]}}, status
        ),
        "E": lambda _, repeated: web.Response(
            status=status, text=f"<Error><Message>{escape(repeated)}</Message></Error>"
        ),
        "F": lambda _, repeated: _json({"error": repeated, "error_description": repeated}, status),
        "text": lambda _, repeated: web.Response(status=status, text=repeated),
    }


def redirect(request: web.BaseRequest, repeated: str) -> web.Response:
    """Return a redirect to another host, with the whole request in its address."""
    return web.Response(status=307, headers={"Location": f"https://elsewhere.example.com{request.path_qs}"})


def wrong_shape(_: web.BaseRequest, repeated: str) -> web.Response:
    """Return a success with an undocumented format, full of secrets."""
    inner = {"value": repeated, "uid": [repeated], "key": repeated}
    names = ("project", "environment", "deployment", "uploadUrl", "user", "access_token", "environments", "projects")
    return _json({**dict.fromkeys(names, inner), "uploadUid": repeated, "method": [repeated]}, 200)


def no_json(_: web.BaseRequest, repeated: str) -> web.Response:
    """Return a success that is not JSON."""
    return web.Response(text=repeated)


def dropped(request: web.BaseRequest, _: str) -> web.Response:
    """Drop the connection instead of an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def echoing(answer: Answer) -> AsyncIterator[str]:
    """Serve the same answer to every request, or no answer. Yield the address of the server."""

    gone = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = (await request.read()).decode("utf-8", "replace")
        headers = " ".join(f"{name}: {value}" for name, value in request.headers.items())
        answered = answer(request, f"{request.path_qs} {headers} {body} {unquote_plus(body)} {_values(body)}")
        if answered is None:
            await gone.wait()
        return answered or web.Response()

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        gone.set()
        await asyncio.wait_for(runner.cleanup(), 5)


def _values(body: str) -> str:
    """Return the values of a JSON body, without the escapes of JSON."""
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    found: list[str] = []

    def walk(node: object) -> None:
        if isinstance(node, str):
            found.append(node)
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            walk(child)

    walk(document)
    return " ".join(found)
