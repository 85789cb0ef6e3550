"""The SDK sends the private key of a certificate to the service and never shows it, with any outcome of the update."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from aiohttp import web
from canaries import forms, texts_of, texts_of_log, texts_of_result
from echo_server import Answer, dropped, echoing, envelopes, no_json, redirect, wrong_shape
from secret_calls import ENVIRONMENT, FAST, ORGANIZATION, PROJECT, TOKEN, client

import launch_sync
from launch_async import LaunchClient, LaunchError
from launch_async.models.requests import UpdateDomainRequest
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.certificates import Issued, issued

HOST = "www.example.com"
DOMAIN = "66c0ffee00000000000000e1"
SITE = issued(HOST)
WRITTEN = {
    form
    for text in (SITE.key, *SITE.key.splitlines()[1:-1])
    for form in (*forms(text), text.replace("+", " "), repr(text.encode())[2:-1])
}
ANSWERS: dict[str, Answer] = {
    "success": lambda *_: web.json_response({}),
    **{f"400-{name}": answer for name, answer in envelopes(400).items()},
    "401-D": envelopes(401)["D"],
    "500-text": envelopes(500)["text"],
    "502-A": envelopes(502)["A"],
    "redirect": redirect,
    "wrong shape": wrong_shape,
    "no json": no_json,
    "dropped": dropped,
}


def update(launch: LaunchClient, **change: Any) -> Any:
    change = {"certificate": SITE.certificate, "private_key": SITE.key, **change}
    return launch.domains.update(PROJECT, ENVIRONMENT, DOMAIN, url=HOST, **change)


def listing_first(answer: Answer) -> Answer:
    """Answer a read with the list of domains, and an update with the given answer."""
    listing = {"domains": [{"uid": DOMAIN, "url": HOST}]}
    return lambda request, repeated: (
        web.json_response(listing) if request.method == "GET" else answer(request, repeated)
    )


def key_in(texts: Iterable[str]) -> list[str]:
    return [text[:200] for text in texts if any(form in text for form in WRITTEN)]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_no_update_shows_the_key(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    async with echoing(listing_first(answer)) as url, client(url) as launch:
        with caplog.at_level(logging.DEBUG):
            try:
                texts = [*texts_of_result(await update(launch))]
            except LaunchError as error:
                texts = [*texts_of(error)]

    assert key_in([*texts, *texts_of_log(caplog.records)]) == []


async def test_a_cancelled_update_shows_no_key() -> None:
    reached = asyncio.Event()
    async with echoing(listing_first(lambda *_: reached.set())) as url, client(url) as launch:
        call = asyncio.ensure_future(update(launch))
        async with asyncio.timeout(10):
            await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call

    assert key_in(texts_of(caught.value)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"certificate": SITE.key},
        {"certificate": issued(HOST).certificate},
        {"private_key": SITE.key[:-90]},
        {"private_key": SITE.key.encode()},
        {"chain": SITE.key},
        {"ssl_method": "AUTOMATIC"},
    ],
)
async def test_no_refusal_shows_the_key(wrong: dict[str, Any]) -> None:
    async with client("http://127.0.0.1:1") as launch:
        with pytest.raises(LaunchError) as caught:
            await update(launch, **wrong)

    assert key_in(texts_of(caught.value)) == []


async def test_launch_sync_shows_no_key() -> None:
    def call(url: str) -> list[str]:
        with launch_sync.LaunchClient(
            launch_sync.Authtoken(TOKEN),
            base_url=url,
            organization_uid=ORGANIZATION,
            limiter=UnlimitedRateLimiter(),
            retry=FAST,
        ) as launch:
            with pytest.raises(LaunchError) as caught:
                launch.domains.update(
                    PROJECT, ENVIRONMENT, DOMAIN, url=HOST, certificate=SITE.certificate, private_key=SITE.key
                )
            return [*texts_of(caught.value)]

    async with echoing(listing_first(envelopes(400)["text"])) as url:
        assert key_in(await asyncio.to_thread(call, url)) == []


def test_a_request_does_not_show_its_key() -> None:
    one: Issued = SITE
    body = UpdateDomainRequest(url=HOST, custom_certificate=one.certificate, custom_private_key=one.key)

    assert key_in([repr(body), str(body)]) == []
