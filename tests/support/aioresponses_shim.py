"""aioresponses, made to work with aiohttp 3.14.

aioresponses 0.7.9 builds aiohttp's response without the `stream_writer` that 3.14 wants, and feeds the body into a
reader that asks its parser to pause above 128 KiB, where there is no parser (pnuckowski/aioresponses#289). Both are
given here. `tests/test_aioresponses_shim.py` fails as soon as upstream does not need it any more.

It replaces `ClientSession._request`, and so bypasses connections, time-outs, redirects and tracing: use it for scripted
answers at the edge of the transport, and the emulator for everything else.
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
    """Answer every request of aiohttp's client from a script; URLs that start with `passthrough` reach the network.

    A request without a scripted answer raises aiohttp's `ClientConnectionError`, which a retry policy will repeat:
    assert on `answers.requests` where that could hide a mistake.
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
