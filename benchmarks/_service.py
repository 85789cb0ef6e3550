"""A server in a separate process that always answers immediately, so that a benchmark measures only the client.

The server supports GET requests on kept-alive connections. Launch's projects follow `openapi.yaml`. Cloudflare's Pages
projects have the same number of fields, so that all clients parse the same amount. The emulator is too slow for these
benchmarks: it needs about 100 microseconds of CPU time for an answer, and the fastest client needs 85 for a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Generator
from email.utils import formatdate
from typing import ClassVar

UID = "66c0f3a2b1d4e5f6a7b8c9d0"
ORGANIZATION = "blt0123456789abcdef"


@contextlib.contextmanager
def service() -> Generator[str]:
    """Run the server, and yield its address."""
    command = [sys.executable, "-m", "benchmarks._service"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def launch_project(number: int) -> dict[str, object]:
    """Return a project in the format of Launch."""
    return {
        "uid": f"{int(UID, 16) + number:024x}",
        "name": f"site-{number}",
        "description": "The public site, in two languages",
        "projectType": "GITPROVIDER",
        "organizationUid": ORGANIZATION,
        "repository": {
            "repositoryName": f"acme/site-{number}",
            "username": "acme",
            "repositoryUrl": f"https://github.com/acme/site-{number}",
            "gitProvider": "GitHub",
        },
        "cmsStackApiKey": "blt5f6a7b8c9d0e1f2a",
        "createdAt": "2026-03-01T08:15:30.123Z",
        "updatedAt": "2026-04-02T09:16:31.456Z",
        "createdBy": "blt1111111111111111",
        "updatedBy": "blt2222222222222222",
        "deletedAt": None,
        "deletedBy": None,
    }


def pages_project(number: int) -> dict[str, object]:
    """Return a project in the format of Cloudflare Pages."""
    return {
        "id": f"{number:032x}",
        "name": f"site-{number}",
        "framework": "astro",
        "framework_version": "4.5.1",
        "preview_script_name": "pages-worker--1-preview",
        "production_branch": "main",
        "production_script_name": "pages-worker--1-production",
        "subdomain": f"site-{number}.pages.dev",
        "domains": [f"site-{number}.pages.dev"],
        "source": {
            "type": "github",
            "config": {"owner": "acme", "repo_name": f"site-{number}", "deployments_enabled": True},
        },
        "created_on": "2026-03-01T08:15:30.123Z",
        "uses_functions": False,
        "latest_deployment": None,
        "canonical_deployment": None,
    }


def answers(moment: float) -> dict[bytes, bytes]:
    """Return the four answers for a time: one project and a hundred projects, in both formats."""
    hundred = range(100)
    cloudflare: dict[str, object] = {"success": True, "errors": [], "messages": []}
    info = {"page": 1, "per_page": 100, "count": 100, "total_count": 100}
    documents: dict[bytes, object] = {
        b"launch one": {"project": launch_project(0)},
        b"launch many": {
            "projects": [launch_project(number) for number in hundred],
            "pagination": {"count": 100, "limit": 100, "skip": None},
        },
        b"pages one": {**cloudflare, "result": pages_project(0)},
        b"pages many": {**cloudflare, "result": [pages_project(number) for number in hundred], "result_info": info},
    }
    return {
        name: _message(json.dumps(document, separators=(",", ":")).encode(), moment)
        for name, document in documents.items()
    }


def _message(body: bytes, moment: float) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nDate: %b\r\n"
        b"X-Request-Id: 5b8e2c\r\nContent-Length: %d\r\n\r\n%b"
        % (formatdate(moment, usegmt=True).encode(), len(body), body)
    )


class _Connection(asyncio.Protocol):
    known: ClassVar[dict[bytes, bytes]] = {}

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for head in heads:
            path = head.split(b" ", 2)[1]
            dialect = b"pages" if b"/pages/" in path else b"launch"
            many = path.partition(b"?")[0].endswith(b"/projects")
            self._transport.write(self.known[dialect + (b" many" if many else b" one")])


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=2048)
    _Connection.known = answers(time.time())
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    while True:
        # Send the true time, because a client may use the Date header.
        await asyncio.sleep(1.0)
        _Connection.known = answers(time.time())


if __name__ == "__main__":
    asyncio.run(_serve())
