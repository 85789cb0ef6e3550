"""The shim makes aioresponses work with the installed aiohttp, and a test fails when the shim is not needed."""

from __future__ import annotations

import aiohttp
import pytest
from aioresponses import aioresponses

from tests.support.aioresponses_shim import scripted_answers

URL = "http://launch.test/projects"
ABOVE_THE_READERS_LIMIT = b"x" * (256 * 1024)


async def test_a_scripted_answer_arrives_whole() -> None:
    with scripted_answers() as answers:
        answers.get(URL, status=201, body=ABOVE_THE_READERS_LIMIT, headers={"Retry-After": "3"})
        async with aiohttp.ClientSession() as session, session.get(URL) as answer:
            body = await answer.read()

    assert (answer.status, answer.headers["Retry-After"], body) == (201, "3", ABOVE_THE_READERS_LIMIT)


async def test_a_request_without_a_scripted_answer_is_refused() -> None:
    with scripted_answers():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get(URL)


async def test_upstream_still_needs_the_shim() -> None:
    with aioresponses() as answers:
        answers.get(URL, payload={})
        async with aiohttp.ClientSession() as session:
            # If this no longer raises, remove tests/support/aioresponses_shim.py and use aioresponses directly.
            with pytest.raises(TypeError, match="stream_writer"):
                await session.get(URL)
