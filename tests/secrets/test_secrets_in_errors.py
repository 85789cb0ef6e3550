"""The error, the log and the hooks of a failed call contain no secret, for any kind of failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from canaries import found_in, texts_of, texts_of_log, texts_of_result
from echo_server import Answer, dropped, echoing, envelopes, no_json, redirect, wrong_shape
from secret_calls import BY_CLIENT, BY_URL, client

from launch_async import Hooks, LaunchError

ANSWERS: dict[str, Answer] = {
    **{f"400-{name}": answer for name, answer in envelopes(400).items()},
    "401-D": envelopes(401)["D"],
    "403-A": envelopes(403)["A"],
    "404-B": envelopes(404)["B"],
    "409-C": envelopes(409)["C"],
    "422-D": envelopes(422)["D"],
    "429-A": envelopes(429)["A"],
    "500-text": envelopes(500)["text"],
    "503-E": envelopes(503)["E"],
    "redirect": redirect,
    "wrong_shape": wrong_shape,
    "no_json": no_json,
    "dropped": dropped,
}


class Recording(Hooks):
    """Record the events of an observer."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def request_started(self, event: object) -> None:
        self.seen.append(repr(event))

    request_retried = request_finished = waited_for_budget = request_started  # type: ignore[assignment]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("call", BY_CLIENT.values(), ids=BY_CLIENT.keys())
async def test_no_failing_call_of_a_client_shows_a_secret(
    call: Callable[[Any], Awaitable[object]], answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = Recording()
    async with echoing(answer) as url, client(url, hooks=hooks) as launch:
        with caplog.at_level(logging.DEBUG):
            texts = await _outcome(call(launch))

    assert found_in([*texts, *texts_of_log(caplog.records), *hooks.seen]) == []


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("call", BY_URL.values(), ids=BY_URL.keys())
async def test_no_failing_exchange_of_secrets_shows_them(
    call: Callable[[str], Awaitable[object]], answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    async with echoing(answer) as url:
        with caplog.at_level(logging.DEBUG):
            texts = await _outcome(call(url))

    assert found_in([*texts, *texts_of_log(caplog.records)]) == []


# Leave out runs of the fleet, because a cancelled run finishes its current requests.
@pytest.mark.parametrize("name", [*BY_CLIENT, *(name for name in BY_URL if name != "fleet")])
async def test_no_cancelled_call_shows_a_secret(name: str, caplog: pytest.LogCaptureFixture) -> None:
    reached = asyncio.Event()
    async with echoing(lambda *_: reached.set()) as url, client(url) as launch:
        with caplog.at_level(logging.DEBUG):
            call = asyncio.ensure_future(BY_CLIENT[name](launch) if name in BY_CLIENT else BY_URL[name](url))
            async with asyncio.timeout(10):
                await reached.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await call

    assert found_in([*texts_of(caught.value), *texts_of_log(caplog.records)]) == []


async def _outcome(call: Awaitable[object]) -> list[str]:
    """Return the texts of the error, or of the result if the answer is a success."""
    try:
        result = await call
    except LaunchError as error:
        return [*texts_of(error)]
    return [] if isinstance(result, dict | str | list) else [*texts_of_result(result)]
