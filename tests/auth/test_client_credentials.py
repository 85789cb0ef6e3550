"""A client binds its credentials to one token endpoint, derives other credentials, and cannot be pickled."""

from __future__ import annotations

import copy
import pickle
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from auth_support import ORGANIZATION, TokenIssuer

from launch_async import (
    AccessToken,
    AppCredentials,
    Authtoken,
    ClosedError,
    ConfigurationError,
    ConnectError,
    DeadlineExceeded,
    Hooks,
    InvalidTokenError,
    LaunchClient,
    RateLimit,
    RequestStarted,
    RetryPolicy,
    login,
)
from launch_async.emulator import LaunchEmulator
from launch_async.http import Request, Response
from launch_async.rate_limit import UnlimitedRateLimiter
from launch_async.settings import REGIONS, region_advice, resolve_app_url
from tests.support.gates import needs_ipv6
from tests.support.passing_time import let_pass

DENIED = Response(401, {}, b'{"error_message": "The access token is invalid", "error_code": 105}')


@pytest.mark.parametrize(
    ("region", "base_url", "app_url", "expected"),
    [
        ("eu", None, None, "https://eu-app.contentstack.com"),
        ("AWS_NA", None, None, "https://app.contentstack.com"),
        ("na", "http://127.0.0.1:8000/x", None, "http://127.0.0.1:8000"),
        ("na", "http://[::1]:8000", None, "http://[::1]:8000"),
        ("na", "https://localhost:8000", None, "https://localhost:8000"),
        ("na", "https://gcp-eu-launch-api.contentstack.com", None, "https://gcp-eu-app.contentstack.com"),
        ("au", "https://proxy.example.com/launch", None, "https://au-app.contentstack.com"),
        ("au", "https://proxy.example.com/launch", "https://tokens.example.com/", "https://tokens.example.com"),
    ],
)
def test_tokens_are_requested_from_the_right_host(
    region: str, base_url: str | None, app_url: str | None, expected: str
) -> None:
    assert resolve_app_url(region, base_url, app_url) == expected


def test_tokens_are_not_requested_unencrypted_from_another_host() -> None:
    with pytest.raises(ConfigurationError, match="app_url would send unencrypted credentials"):
        LaunchClient(AppCredentials("client", "secret"), app_url="http://tokens.example.com")


async def test_token_calls_do_not_use_the_budget(emulator: LaunchEmulator) -> None:
    limiter = UnlimitedRateLimiter()

    async with LaunchClient(
        AppCredentials(emulator.client_id, emulator.client_secret), base_url=emulator.url, limiter=limiter
    ) as launch:
        await launch.usage.cache_revalidations()

    assert limiter.status().sent == 1


async def test_an_app_uses_the_budget_of_its_organization(emulator: LaunchEmulator) -> None:
    asked: list[str] = []

    class Noting(TokenIssuer):
        async def send(self, request: Request) -> Response:
            if request.url.endswith("/token"):
                return await super().send(request)
            asked.append(request.headers["organization_uid"])
            return Response(200, {}, b"{}")

    async with LaunchClient(
        AppCredentials("client", "secret"), transport=Noting(organization_uid=ORGANIZATION)
    ) as launch:
        await launch.request("GET", "/anything")

    assert asked == [ORGANIZATION]


class Refusing(TokenIssuer):
    """A transport that issues tokens of a region, and refuses all of them."""

    async def send(self, request: Request) -> Response:
        return await super().send(request) if request.url.endswith("/token") else DENIED


@pytest.mark.parametrize(
    ("location", "advice"),
    [
        ("EU", r"uses region na, but the token was issued in region eu\. Use region='eu'"),
        ("NA", "uses region na, which issued the token"),
        ("MARS", r"uses region na\. The other regions are eu, au"),
    ],
)
async def test_a_refused_fresh_token_is_diagnosed_by_its_location(location: str, advice: str) -> None:
    async with LaunchClient(AppCredentials("client", "secret"), transport=Refusing(location=location)) as launch:
        with pytest.raises(InvalidTokenError, match=advice):
            await launch.usage.cache_revalidations()


async def test_a_token_of_a_login_in_another_region_is_diagnosed(
    emulator: LaunchEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch_async.auth.sessions.resolve_login_url", lambda *_: emulator.url)
    session = await login(emulator.email, emulator.password, region="AWS_EU")
    async with LaunchClient(session.credentials, organization_uid=ORGANIZATION, transport=Refusing()) as launch:
        with pytest.raises(
            InvalidTokenError, match=r"region na, but the token was issued in region eu\. Use region='eu'"
        ):
            await launch.usage.cache_revalidations()


async def test_a_refused_token_of_unknown_origin_names_the_region_that_was_used() -> None:
    async with LaunchClient(AccessToken("token"), region="azure_eu", transport=Refusing()) as launch:
        with pytest.raises(InvalidTokenError, match=r"uses region azure-eu\. The other regions are na"):
            await launch.usage.cache_revalidations()


def test_the_advice_for_a_custom_host_names_only_the_region_of_the_token() -> None:
    assert region_advice("127.0.0.1:80", "EU").endswith("the token was issued in region eu")


async def test_a_derived_client_shares_connections_credentials_and_budget(emulator: LaunchEmulator) -> None:
    limiter, credentials = UnlimitedRateLimiter(), AppCredentials(emulator.client_id, emulator.client_secret)

    async with LaunchClient(credentials, base_url=emulator.url, limiter=limiter) as launch:
        await launch.usage.cache_revalidations()
        derived = launch.with_options(timeout=5.0, attempt_timeout=None, retry=RetryPolicy(attempts=1))
        await derived.usage.cache_revalidations()
        status = (launch.budget.sent, derived.budget.sent)

    assert status == (2, 2)
    assert emulator.ledger.count("oauthToken") == 1


async def test_closing_a_derived_client_leaves_the_other_one_open(emulator: LaunchEmulator) -> None:
    async with LaunchClient(AccessToken(emulator.access_token), base_url=emulator.url) as launch:
        async with launch.with_options() as derived:
            await derived.usage.cache_revalidations()
        await launch.usage.cache_revalidations()
        with pytest.raises(ClosedError):
            await derived.usage.cache_revalidations()


async def test_a_derived_client_is_closed_with_its_parent(emulator: LaunchEmulator) -> None:
    async with LaunchClient(AccessToken(emulator.access_token), base_url=emulator.url) as launch:
        derived = launch.with_options()

    with pytest.raises(ClosedError):
        await derived.usage.cache_revalidations()


async def test_only_the_options_that_are_given_change(emulator: LaunchEmulator) -> None:
    started: list[str] = []

    class Watching(Hooks):
        def request_started(self, event: RequestStarted) -> None:
            started.append(event.operation)

    async def layer(request: Request, send: Any) -> Response:
        started.append("layer")
        let_pass(60.0)
        return await send(request)  # type: ignore[no-any-return]

    emulator.faults.add("delay", operation="getCacheRevalidationUsage", delay=3.0)
    async with LaunchClient(
        AccessToken(emulator.access_token), base_url=emulator.url, hooks=Watching(), middleware=[layer]
    ) as launch:
        with pytest.raises(DeadlineExceeded):
            await launch.with_options(timeout=30.0).request("GET", "/usage-analytics/revalidate-cdn-cache")
        quiet = launch.with_options(hooks=None, middleware=())
        _ = [project async for project in quiet.projects.list()]

    assert started == ["GET /usage-analytics/revalidate-cdn-cache", "layer"]


@pytest.mark.parametrize("option", ["timeout", "attempt_timeout"])
async def test_an_impossible_option_is_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match=option):
        LaunchClient().with_options(**{option: 0.0})  # type: ignore[arg-type]


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_pickling_a_client_names_the_alternative(duplicate: Any) -> None:
    client = LaunchClient(Authtoken("token"), organization_uid=ORGANIZATION)

    with pytest.raises(TypeError, match=r"cannot be pickled.*DeploymentRef.*from_env"):
        duplicate(client)


@pytest.mark.parametrize("part", ["projects", "fleet", "variables"])
@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.deepcopy])
def test_pickling_a_part_of_a_client_names_the_alternative(part: str, duplicate: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot be pickled.*DeploymentRef.*from_env"):
        duplicate(getattr(LaunchClient(), part))


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (RateLimit(10), RateLimit(10, per=1.0), RateLimit(5)),
        (RetryPolicy(), RetryPolicy(attempts=4), RetryPolicy(attempts=1)),
        (REGIONS["na"], copy.deepcopy(REGIONS["na"]), REGIONS["eu"]),
        (Authtoken("a"), Authtoken(" a "), Authtoken("b")),
        (AccessToken("a", scopes=["x"]), AccessToken("Bearer a", scopes="x"), AccessToken("a")),
        (AppCredentials("a", "b"), AppCredentials("a", "b"), AppCredentials("a", "c")),
    ],
)
def test_configuration_compares_by_value_and_cannot_be_changed(one: Any, same: Any, other: Any) -> None:
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    with pytest.raises(AttributeError):
        one.token = one.client_id = one.requests = one.name = one.attempts = "changed"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "::1").configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tokens_and_calls_use_the_given_certificates(authority: trustme.CA) -> None:
    async with LaunchEmulator(tls=server_context(authority)) as emulator:
        credentials = AppCredentials(emulator.client_id, emulator.client_secret)
        async with LaunchClient(credentials, base_url=emulator.url, ssl_context=client_context(authority)) as launch:
            usage = await launch.usage.cache_revalidations()

    assert usage.current_cache_revalidations == 0


async def test_an_untrusted_token_endpoint_gets_no_secret(authority: trustme.CA) -> None:
    async with LaunchEmulator(tls=server_context(authority)) as emulator:
        credentials = AppCredentials(emulator.client_id, emulator.client_secret)
        async with LaunchClient(credentials, base_url=emulator.url) as launch:
            with pytest.raises(ConnectError, match="ssl_context="):
                await launch.usage.cache_revalidations()

        assert emulator.ledger.requests == []


async def usage(_: web.BaseRequest) -> web.Response:
    return web.json_response({"currentCacheRevalidations": 1})


@pytest.fixture
async def exacting(authority: trustme.CA) -> AsyncIterator[str]:
    """A server that requires a client certificate."""
    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    app = web.Application()
    app.router.add_get("/usage-analytics/revalidate-cdn-cache", usage)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    yield f"https://localhost:{server.port}"
    await server.close()


async def test_a_client_certificate_is_sent_to_a_server_that_requires_it(exacting: str, authority: trustme.CA) -> None:
    context = client_context(authority)
    authority.issue_cert("client@example.com").configure_cert(context)

    async with LaunchClient(AccessToken("token"), base_url=exacting, ssl_context=context) as launch:
        assert (await launch.usage.cache_revalidations()).current_cache_revalidations == 1


async def test_without_the_client_certificate_there_is_no_answer(exacting: str, authority: trustme.CA) -> None:
    context, once = client_context(authority), RetryPolicy(attempts=1)

    async with LaunchClient(AccessToken("token"), base_url=exacting, ssl_context=context, retry=once) as launch:
        with pytest.raises(ConnectionError):
            await launch.usage.cache_revalidations()


@needs_ipv6
async def test_an_address_may_be_ipv6() -> None:
    app = web.Application()
    app.router.add_get("/usage-analytics/revalidate-cdn-cache", usage)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "::1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with LaunchClient(AccessToken("token"), base_url=f"http://[::1]:{port}") as launch:
            assert (await launch.usage.cache_revalidations()).current_cache_revalidations == 1
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("context", [False, True, "ca.pem"])
async def test_no_option_turns_verification_off(context: Any) -> None:
    with pytest.raises(ConfigurationError, match="The SDK always verifies certificates"):
        LaunchClient(AccessToken("token"), ssl_context=context)
    with pytest.raises(ConfigurationError, match="The SDK always verifies certificates"):
        await login("e@example.com", "password", base_url="https://127.0.0.1:1", ssl_context=context)
