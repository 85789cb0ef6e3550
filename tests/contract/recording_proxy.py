"""A proxy in front of the emulator that records every exchange, so that the tests can check the bytes on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import attrs
from aiohttp import web
from yarl import URL

from contract.api_document import Exchange

# These headers belong to one connection, or the proxy sets them again for the next connection.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@attrs.define
class RecordingProxy:
    """Forwards requests to `target`, and the answers back.

    Attributes:
        target: Address of the emulator.
        url: Address of the proxy.
        exchanges: All requests with their answers, in order.
    """

    target: str
    session: aiohttp.ClientSession
    url: str = ""
    exchanges: list[Exchange] = attrs.field(factory=list)

    async def pass_on(self, request: web.BaseRequest) -> web.Response:
        """Answer a request with the target's answer."""
        body = await request.read()
        async with self.session.request(
            request.method,
            URL(self.target + request.raw_path, encoded=True),
            headers=_without(HOP_BY_HOP, request.headers),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            data=body or None,
            allow_redirects=False,
        ) as answer:
            content = await answer.read()
        path, _, query = request.raw_path.partition("?")
        self.exchanges.append(
            Exchange(
                method=request.method,
                path=path,
                query=query,
                headers=_without({"connection"}, request.headers),
                body=body,
                status=answer.status,
                answer_headers=_without(set(), answer.headers),
                answer=content,
            )
        )
        return web.Response(status=answer.status, body=content, headers=_without(HOP_BY_HOP, answer.headers))


@asynccontextmanager
async def recording_proxy(target: str) -> AsyncIterator[RecordingProxy]:
    """Run a proxy on a free port of this machine."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        proxy = RecordingProxy(target, session)
        runner = web.ServerRunner(web.Server(proxy.pass_on, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            proxy.url = f"http://127.0.0.1:{site.port}"
            yield proxy
        finally:
            await runner.cleanup()


def _without(names: set[str], headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower() not in names}
