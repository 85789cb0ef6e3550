"""Helpers for the tests of credentials: a transport that issues tokens from a script, and shortcuts to use it."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from launch_async.http import Request, Response
from launch_async.http.credentials import Issuer

APP = "https://app.contentstack.com"
ORGANIZATION = "blt0123456789abcdef"


def token_answer(number: int, **more: Any) -> Response:
    """Return an answer of the token endpoint with the access token of the given number."""
    document = {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": 3600, **more}
    return Response(200, {}, json.dumps(document).encode())


def refusal(status: int, document: object = None) -> Response:
    return Response(status, {}, json.dumps(document or {}).encode())


class TokenIssuer:
    """A transport that answers with a new token each time, after the answers of a script."""

    def __init__(self, *script: Response | Exception, gate: asyncio.Event | None = None, **more: Any) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.gate = gate
        self.more = more
        self.issued = 0

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        if self.gate is not None:
            await self.gate.wait()
        else:
            await asyncio.sleep(0)
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if step is not None:
            return step
        self.issued += 1
        return token_answer(self.issued, **self.more)

    async def close(self) -> None:
        pass

    @property
    def paths(self) -> list[str]:
        return [urlsplit(request.url).path for request in self.requests]

    @property
    def forms(self) -> list[dict[str, str]]:
        bodies = [request.body for request in self.requests if isinstance(request.body, bytes)]
        return [{name: values[0] for name, values in parse_qs(body.decode()).items()} for body in bodies]


class Wall:
    """A clock that moves only when the test moves it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def bound_to(credentials: Any, transport: Any, app_url: str = APP) -> Any:
    """Return the credentials as bound to a client."""
    return credentials.bound(Issuer(app_url, transport))


async def token_of(credentials: Any) -> str:
    headers = await credentials.headers()
    return headers["Authorization"].removeprefix("Bearer ")
