"""Adapt aioresponses to aiohttp 3.14.

aioresponses 0.7.9 builds aiohttp's response without the `stream_writer` that 3.14 needs. It also feeds the body into a
reader that asks a missing parser to pause above 128 KiB (pnuckowski/aioresponses#289). This module fixes both.
`tests/http/test_aioresponses_shim.py` fails as soon as aioresponses works without this module.

aioresponses replaces `ClientSession._request`, and so bypasses connections, timeouts, redirects and tracing. Use it for
scripted answers at the edge of the transport, and the emulator for all other tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from aiohttp import ClientResponse, StreamReader
from aiohttp.client_proto import ResponseHandler
from aioresponses import aioresponses, core

_NOTHING_SENT = SimpleNamespace(output_size=0)
_ENDLESS = 2**62


@contextmanager
def scripted_answers(*, passthrough: tuple[str, ...] = ()) -> Generator[aioresponses, None, None]:
    """Answer every request of aiohttp's client from a script, except for URLs that start with `passthrough`.

    A request without a scripted answer raises aiohttp's `ClientConnectionError`, and a retry policy repeats the
    request. Assert on `answers.requests` if a retry could hide a mistake.
    """
    with (
        patch.object(core, "ClientResponse", _Response),
        patch.object(core, "stream_reader_factory", _reader),
        aioresponses(passthrough=list(passthrough)) as answers,
    ):
        yield answers


class _Response(ClientResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"stream_writer": _NOTHING_SENT, **kwargs})


def _reader(loop: asyncio.AbstractEventLoop) -> StreamReader:
    return StreamReader(ResponseHandler(loop=loop), limit=_ENDLESS, loop=loop)
