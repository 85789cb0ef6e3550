"""Domains are listed unchanged, changed once, and get only certificates that will work."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from launch_async import (
    AccessToken,
    AmbiguousOutcome,
    BadRequestError,
    ConfigurationError,
    Domain,
    InvalidArgumentError,
    LaunchClient,
    NotFoundError,
    RetryPolicy,
    SslMethod,
)
from launch_async.emulator import LaunchEmulator
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.certificates import DAY, NOW, Issued, issued
from tests.support.clients import client_of
from tests.support.core import ENVIRONMENT, PROJECT, TOKEN, FakeTransport, answer, client_on

HOST = "www.example.com"
DOMAIN = "66c0ffee00000000000000e1"
AUTHORITY = issued()
SITE = issued(HOST, by=AUTHORITY)
OTHER = issued(HOST, by=AUTHORITY)
QUICK = RetryPolicy(look_up_delays=(0.001, 0.001))


class Place:
    """An environment with a domain, and a client that updates it."""

    def __init__(self, emulator: LaunchEmulator, launch: LaunchClient) -> None:
        project = emulator.add_project("shop")
        self.emulator = emulator
        self.launch = launch
        self.project = project.uid
        self.environment = next(iter(project.environments))
        self.domain = emulator.add_domain(self.environment, HOST)

    async def update(self, *, url: str = HOST, **change: Any) -> Domain:
        return await self.launch.domains.update(self.project, self.environment, self.domain, url=url, **change)

    async def shown(self) -> Domain:
        domains = await self.launch.domains.list(self.project, self.environment)
        return next(domain for domain in domains if domain.uid == self.domain)

    @property
    def updates(self) -> int:
        return self.emulator.ledger.count("updateDomain")


@pytest.fixture
async def emulator() -> AsyncIterator[LaunchEmulator]:
    async with LaunchEmulator(rate_limit=None) as started:
        yield started


@pytest.fixture
async def place(emulator: LaunchEmulator) -> AsyncIterator[Place]:
    async with client_of(emulator, retry=QUICK) as opened:
        yield Place(emulator, opened)


async def test_a_certificate_is_set_and_then_managed_by_launch_again(place: Place) -> None:
    before = await place.shown()
    custom = await place.update(certificate=SITE.certificate, private_key=SITE.key, chain=AUTHORITY.certificate)
    automatic = await place.update(ssl_method="AUTOMATIC")

    assert (before.ssl_method, before.custom_certificate_expires_at) == (None, None)
    assert (custom.ssl_method, custom.custom_certificate_expires_at) == (SslMethod.CUSTOM, NOW + 90 * DAY)
    assert (automatic.ssl_method, automatic.custom_certificate_expires_at) == (SslMethod.AUTOMATIC, None)
    assert (custom.url, custom.uid, place.updates) == (HOST, place.domain, 2)


async def test_a_full_chain_in_one_file_is_sent_as_certificate_and_chain() -> None:
    transport = _service()
    async with client_on(transport) as launch:
        await launch.domains.update(
            PROJECT,
            ENVIRONMENT,
            DOMAIN,
            url=HOST,
            certificate=SITE.certificate + AUTHORITY.certificate,
            private_key=SITE.key,
        )

    assert transport.bodies[0] == {
        "url": HOST,
        "sslMethod": "CUSTOM",
        "customCertificate": SITE.certificate,
        "customPrivateKey": SITE.key,
        "intermediateCertificates": AUTHORITY.certificate,
    }
    assert [request.headers["x-project-uid"] for request in transport.requests] == [PROJECT] * len(transport.requests)


async def test_unknown_fields_of_a_domain_are_kept() -> None:
    info = {"status": "pending", "novelRecords": [{"type": "CNAME", "value": "launch.example.com"}]}
    transport = FakeTransport(answer(200, {"domains": [{"uid": DOMAIN, "url": HOST, "domainInfo": info, "more": 1}]}))
    async with client_on(transport) as launch:
        (domain,) = await launch.domains.list(PROJECT, ENVIRONMENT)

    assert domain.domain_info is not None
    assert domain.domain_info.extra == {"novelRecords": info["novelRecords"]}
    assert domain.extra == {"more": 1}


async def test_domains_without_a_uid_are_all_listed() -> None:
    listed = {"domains": [{"url": "a.example.com"}, {"url": "b.example.com"}], "pagination": {"count": 2}}
    async with client_on(FakeTransport(answer(200, listed))) as launch:
        domains = await launch.domains.list(PROJECT, ENVIRONMENT)

    assert [domain.url for domain in domains] == ["a.example.com", "b.example.com"]


# Read before write


@pytest.mark.parametrize("url", ["shop.example.com", "example.com", "www.example.com.evil.example"])
async def test_a_url_that_would_rename_the_domain_is_refused(place: Place, url: str) -> None:
    with pytest.raises(InvalidArgumentError, match="Another URL would rename the domain"):
        await place.update(url=url, ssl_method=SslMethod.AUTOMATIC)

    assert place.updates == 0
    assert (await place.shown()).url == HOST


@pytest.mark.parametrize("url", ["https://www.example.com/", "WWW.example.com", "www.example.com."])
async def test_a_url_in_another_spelling_is_sent_in_the_spelling_of_the_service(place: Place, url: str) -> None:
    await place.update(url=url, ssl_method="AUTOMATIC")

    assert (await place.shown()).url == HOST


async def test_a_domain_of_another_environment_is_not_found(place: Place) -> None:
    place.domain = "0" * 24

    with pytest.raises(NotFoundError, match=r"has no domain 0{24}.*domains\.list"):
        await place.update(ssl_method="AUTOMATIC")
    assert place.updates == 0


async def test_a_domain_without_a_url_is_not_changed() -> None:
    transport = FakeTransport(answer(200, {"domains": [{"uid": DOMAIN}]}))
    async with client_on(transport) as launch:
        with pytest.raises(InvalidArgumentError, match="which is None"):
            await launch.domains.update(PROJECT, ENVIRONMENT, DOMAIN, url=HOST, ssl_method="AUTOMATIC")

    assert [request.method for request in transport.requests] == ["GET"]


# Changes are never repeated without a check


@pytest.mark.parametrize("kind", ["status_after", "reset_after", "truncate"])
async def test_a_change_whose_answer_is_lost_is_read_back_and_not_repeated(place: Place, kind: Any) -> None:
    place.emulator.faults.add(kind, operation="updateDomain", status=502)

    changed = await place.update(certificate=SITE.certificate, private_key=SITE.key)

    assert (changed.ssl_method, changed.custom_certificate_expires_at) == (SslMethod.CUSTOM, NOW + 90 * DAY)
    assert place.updates == 1


@pytest.mark.parametrize("kind", ["status_before", "reset_before"])
async def test_a_change_that_the_domain_does_not_show_is_ambiguous(place: Place, kind: Any) -> None:
    place.emulator.faults.add(kind, operation="updateDomain", status=504)

    with pytest.raises(
        AmbiguousOutcome, match="the domain does not show whether the service made the change"
    ) as caught:
        await place.update(certificate=SITE.certificate, private_key=SITE.key)

    assert (caught.value.candidates, caught.value.operation) == ((place.domain,), "updateDomain")
    assert place.updates == 1


async def test_setting_the_same_certificate_again_is_ambiguous_after_a_lost_answer(place: Place) -> None:
    await place.update(certificate=SITE.certificate, private_key=SITE.key)
    place.emulator.faults.add("status_after", operation="updateDomain", status=500)

    with pytest.raises(AmbiguousOutcome):
        await place.update(certificate=OTHER.certificate, private_key=OTHER.key)
    assert place.updates == 2


async def test_reading_back_is_repeated_after_a_failure(place: Place) -> None:
    place.emulator.faults.add("reset_after", operation="updateDomain")
    place.emulator.faults.add("status_before", operation="listDomains", status=500, nth=2, times=1)

    assert (await place.update(ssl_method="AUTOMATIC")).ssl_method is SslMethod.AUTOMATIC


async def test_a_refusal_of_a_change_is_raised(place: Place) -> None:
    place.emulator.faults.add("status_before", operation="updateDomain", status=400, times=1)

    with pytest.raises(BadRequestError):
        await place.update(ssl_method="AUTOMATIC")
    assert place.emulator.ledger.count("listDomains") == 1


async def test_an_answer_that_shows_the_domain_saves_reading_back(place: Place) -> None:
    place.emulator.change(domain_update_body="domain")

    shown = await place.update(ssl_method="AUTOMATIC")

    assert (shown.uid, shown.ssl_method) == (place.domain, SslMethod.AUTOMATIC)
    assert place.emulator.ledger.count("listDomains") == 1


async def test_a_change_is_not_sent_again_when_a_kept_alive_connection_breaks() -> None:
    # aiohttp repeats a PUT automatically when a kept-alive connection breaks before the answer.
    arrived: list[str] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        arrived.append(request.method)
        if request.method == "PUT" and request.transport is not None:
            request.transport.abort()
        return web.json_response({"domains": [{"uid": DOMAIN, "url": HOST, "sslMethod": "CUSTOM"}]})

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with LaunchClient(
            AccessToken(TOKEN), base_url=f"http://127.0.0.1:{site.port}", limiter=UnlimitedRateLimiter(), retry=QUICK
        ) as launch:
            with pytest.raises(AmbiguousOutcome):
                await launch.domains.update(PROJECT, ENVIRONMENT, DOMAIN, url=HOST, ssl_method="AUTOMATIC")
    finally:
        await runner.cleanup()

    assert arrived.count("PUT") == 1


# Checks before a request


WRONG: Mapping[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "ssl_method: there is nothing to change"),
    "unknown method": ({"ssl_method": "MANUAL"}, "must be one of AUTOMATIC, CUSTOM, not 'MANUAL'"),
    "no certificate": ({"ssl_method": "CUSTOM"}, "certificate: is required"),
    "no key": ({"certificate": SITE.certificate}, "private_key: is required"),
    "key only": ({"private_key": SITE.key}, "certificate: is required"),
    "chain only": ({"chain": AUTHORITY.certificate}, "certificate: is required"),
    "ignored": (
        {"ssl_method": "AUTOMATIC", "certificate": SITE.certificate, "private_key": SITE.key},
        "certificate: has no effect if ssl_method is AUTOMATIC",
    ),
}


def _pair(certificate: object = SITE.certificate, key: object = SITE.key, chain: object = None) -> dict[str, Any]:
    return {"certificate": certificate, "private_key": key, "chain": chain}


def _own(one: Issued) -> dict[str, Any]:
    return _pair(one.certificate, one.key)


UNUSABLE: Mapping[str, tuple[dict[str, Any], str]] = {
    "path": (_pair("fullchain.pem"), "certificate: must be a PEM that contains only certificates, but has no line"),
    "bytes": (_pair(SITE.certificate.encode()), "certificate: must be the text of a PEM, not bytes"),
    "damaged": (_pair(SITE.certificate[:100] + SITE.certificate[140:]), "certificate: cannot be read"),
    "cut off": (_pair(SITE.certificate[:-40]), "certificate: is damaged or truncated"),
    "key as certificate": (_pair(SITE.key), "certificate: must not contain a private key"),
    "key in chain": (_pair(chain=AUTHORITY.certificate + AUTHORITY.key), "chain: must not contain a private key"),
    "request": (
        _pair(SITE.certificate.replace("CERTIFICATE", "CERTIFICATE REQUEST")),
        "but contains CERTIFICATE REQUEST",
    ),
    "certificate as key": (_pair(key=SITE.certificate), "private_key: must be the PEM text of exactly one private key"),
    "bytes as key": (_pair(key=SITE.key.encode()), "private_key: must be the PEM text of exactly one private key"),
    "two keys": (_pair(key=SITE.key + OTHER.key), "private_key: must be the PEM text of exactly one private key"),
    "damaged key": (_pair(key=SITE.key[:60] + SITE.key[100:]), "private_key: cannot be read"),
    "passphrase": (
        _own(issued(HOST, passphrase=b"secret")),
        "private_key: must not be protected by a passphrase",
    ),
    "other key": (_pair(key=OTHER.key), "private_key: does not belong to the certificate"),
    "expired": (_own(issued(HOST, ends=NOW - timedelta(hours=1))), "certificate: CN=www.example.com expired on"),
    "too early": (
        _own(issued(HOST, begins=NOW + DAY)),
        "certificate: CN=www.example.com is not valid yet. It becomes valid on",
    ),
    "other host": (_own(issued("shop.example.com")), "does not cover www.example.com. It covers shop.example.com"),
    "deep wildcard": (_own(issued("*.com")), r"does not cover www.example.com. It covers \*.com"),
    "no host": (_own(issued()), "It covers no host name"),
    "other chain": (_pair(chain=issued("x").certificate), "chain: must contain the issuer of the certificate"),
    "two chains": (
        _pair(SITE.certificate + AUTHORITY.certificate, chain=AUTHORITY.certificate),
        "chain: must not be set, because the PEM of the certificate already contains a chain",
    ),
    "large": (_pair(chain=AUTHORITY.certificate * 90), "chain: must have at most 32,768 bytes"),
}


@pytest.mark.parametrize(("change", "problem"), [*WRONG.values(), *UNUSABLE.values()], ids=[*WRONG, *UNUSABLE])
async def test_an_unusable_certificate_is_refused_before_a_request(change: dict[str, Any], problem: str) -> None:
    transport = FakeTransport()
    async with client_on(transport) as launch:
        with pytest.raises(InvalidArgumentError, match=problem):
            await launch.domains.update(PROJECT, ENVIRONMENT, DOMAIN, url=HOST, **change)

    assert transport.requests == []


@pytest.mark.parametrize("host", ["*.example.com", "WWW.example.com"])
async def test_a_wildcard_covers_one_label_and_case_does_not_matter(host: str) -> None:
    one = issued(host)
    transport = _service()
    async with client_on(transport) as launch:
        await launch.domains.update(PROJECT, ENVIRONMENT, DOMAIN, url=HOST, **_own(one))

    assert transport.bodies[0]["customCertificate"] == one.certificate


async def test_a_host_name_in_any_script_is_compared_in_the_form_of_certificates() -> None:
    one = issued("xn--bcher-kva.example.com")
    transport = _service(url="bücher.example.com")
    async with client_on(transport) as launch:
        await launch.domains.update(PROJECT, ENVIRONMENT, DOMAIN, url="bücher.example.com", **_own(one))

    assert transport.bodies[0]["url"] == "bücher.example.com"


async def test_a_certificate_is_compared_with_the_clock_of_the_service() -> None:
    late = {"Date": (NOW + 200 * DAY).strftime("%a, %d %b %Y %H:%M:%S GMT")}
    transport = FakeTransport(answer(200, {"domains": []}, late))
    async with client_on(transport) as launch:
        await launch.domains.list(PROJECT, ENVIRONMENT).page()
        with pytest.raises(InvalidArgumentError, match="expired on"):
            await launch.domains.update(PROJECT, ENVIRONMENT, DOMAIN, url=HOST, **_own(SITE))


async def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    async with client_on(FakeTransport()) as launch:
        with pytest.raises(ConfigurationError, match=r"pip install 'contentstack-launch\[certificates\]'"):
            await launch.domains.update(PROJECT, ENVIRONMENT, DOMAIN, url=HOST, **_own(SITE))


def _service(url: str = HOST) -> FakeTransport:
    """Return a service with a domain of this name."""
    listed = answer(200, {"domains": [{"uid": DOMAIN, "url": url}]})
    return FakeTransport(listed, answer(200, {}), listed)
