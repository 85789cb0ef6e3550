"""A user's authorization: an attacker cannot forge the browser step, and the SDK renews and stores the tokens."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys
from urllib.parse import parse_qs, urlsplit

import keyring
import pytest
from auth_support import TokenIssuer, Wall, bound_to, refusal, token_of
from keyring.backend import KeyringBackend
from keyring.backends import fail

from launch_async import (
    AuthorizationError,
    AuthorizationRequest,
    ConfigurationError,
    KeyringTokenStore,
    LaunchClient,
    MemoryTokenStore,
    MissingScopeError,
    OAuthCredentials,
    TokenRequestError,
    TokenSet,
    begin_authorization,
    finish_authorization,
)
from launch_async.emulator import LaunchEmulator
from tests.support.passing_time import until

REDIRECT = "http://localhost:8184"
OLD = TokenSet(access_token="old", refresh_token="refresh-old", issued_at=0.0, expires_at=3600.0)


def begun(emulator: LaunchEmulator, client_id: str) -> AuthorizationRequest:
    return begin_authorization("66c0ffee0000000000000app", client_id, REDIRECT, app_url=emulator.url)


def challenge_of(request: AuthorizationRequest) -> str:
    return parse_qs(request.url.partition("?")[2])["code_challenge"][0]


def come_back(emulator: LaunchEmulator, request: AuthorizationRequest, **more: str) -> str:
    """Return the redirect address after the user has agreed."""
    code = emulator.authorize(request.client_id, REDIRECT, code_challenge=challenge_of(request))
    query = "".join(f"&{name}={value}" for name, value in {"state": request.state, **more}.items())
    return f"{REDIRECT}/?code={code}{query}&location=NA"


def user(store: MemoryTokenStore | None = None, **options: object) -> OAuthCredentials:
    return OAuthCredentials("client", redirect_uri=REDIRECT, store=store or MemoryTokenStore(OLD), **options)  # type: ignore[arg-type]


async def test_a_user_authorizes_an_app_in_the_browser_and_the_client_works(emulator: LaunchEmulator) -> None:
    client_id, _ = emulator.add_app()
    request = begun(emulator, client_id)

    credentials = await finish_authorization(request, come_back(emulator, request))

    async with LaunchClient(credentials, base_url=emulator.url) as launch:
        assert [project.name async for project in launch.projects.list()] == ["landing"]
    assert credentials.organization_uid == emulator.organization_uid
    assert credentials.kind == "user"


def test_the_authorization_url_requests_a_code_with_pkce() -> None:
    request = begin_authorization("the-app", "the-client", REDIRECT, scopes=["launch.projects:read"], region="AZURE_EU")
    query = parse_qs(request.url.partition("?")[2])
    digest = hashlib.sha256(request.code_verifier.encode()).digest()

    assert request.url.startswith("https://azure-eu-app.contentstack.com/#!/apps/the-app/authorize?")
    assert query["response_type"] == ["code"]
    assert query["client_id"] == ["the-client"]
    assert query["redirect_uri"] == [REDIRECT]
    assert query["scope"] == ["launch.projects:read"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["code_challenge"] == [base64.urlsafe_b64encode(digest).rstrip(b"=").decode()]
    assert query["state"] == [request.state]
    assert 43 <= len(request.code_verifier) <= 128


def test_no_two_requests_share_their_secrets_and_none_shows_them() -> None:
    one, other = (begin_authorization("app", "client", REDIRECT) for _ in range(2))

    assert one.state != other.state
    assert one.code_verifier != other.code_verifier
    assert one.state not in repr(one)
    assert one.code_verifier not in repr(one)


@pytest.mark.parametrize("state", ["", "&state=", "&state=forged"])
async def test_an_address_with_another_state_is_not_redeemed(emulator: LaunchEmulator, state: str) -> None:
    request = begun(emulator, emulator.add_app()[0])
    address = come_back(emulator, request).replace(f"&state={request.state}", state)

    with pytest.raises(AuthorizationError, match="does not belong to this authorization"):
        await finish_authorization(request, address)

    assert emulator.ledger.count("oauthToken") == 0


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("error=access_denied&error_description=The+user+said+no", "The user said no"),
        ("error=access_denied", "access_denied"),
        ("x=1", "no code"),
    ],
)
async def test_a_refusal_in_the_browser_is_passed_on(emulator: LaunchEmulator, query: str, text: str) -> None:
    request = begun(emulator, "client")

    with pytest.raises(AuthorizationError, match=text):
        await finish_authorization(request, f"{REDIRECT}/?{query}&state={request.state}")


async def test_a_code_works_once(emulator: LaunchEmulator) -> None:
    request = begun(emulator, emulator.add_app()[0])
    address = come_back(emulator, request)
    await finish_authorization(request, address)

    with pytest.raises(TokenRequestError, match="works only once and for 60 s"):
        await finish_authorization(request, address)


async def test_a_code_is_not_redeemed_twice_after_a_lost_answer(emulator: LaunchEmulator) -> None:
    request = begun(emulator, emulator.add_app()[0])
    emulator.faults.add("reset_after", operation="oauthToken", times=1)

    with pytest.raises(ConnectionError):
        await finish_authorization(request, come_back(emulator, request))

    assert emulator.ledger.count("oauthToken") == 1


async def test_an_authorization_without_pkce_of_a_secret_app_sends_its_secret(emulator: LaunchEmulator) -> None:
    client_id, secret = emulator.add_app()
    request = begun(emulator, client_id)

    credentials = await finish_authorization(request, come_back(emulator, request), client_secret=secret)

    assert credentials.client_secret == secret
    assert secret not in repr(credentials)


async def test_an_authorization_is_valid_only_for_its_region(emulator: LaunchEmulator) -> None:
    request = begun(emulator, emulator.add_app()[0])
    credentials = await finish_authorization(request, come_back(emulator, request))

    with pytest.raises(ConfigurationError, match="only one host"):
        LaunchClient(credentials, region="eu")


async def test_old_tokens_are_renewed_by_the_refresh_token_and_saved() -> None:
    store, issuer = MemoryTokenStore(OLD), TokenIssuer(refresh_token="refresh-new", scope="launch.projects:read")
    credentials = user(store)

    assert await token_of(bound_to(credentials, issuer)) == "token-1"

    assert issuer.forms == [
        {
            "grant_type": "refresh_token",
            "client_id": "client",
            "redirect_uri": REDIRECT,
            "refresh_token": "refresh-old",
        }
    ]
    saved = await store.load()
    assert saved is not None
    assert (saved.access_token, saved.refresh_token) == ("token-1", "refresh-new")
    assert credentials.scopes == {"launch.projects:read"}


async def test_the_refresh_token_stays_if_the_answer_has_no_new_one() -> None:
    store = MemoryTokenStore(OLD)

    await token_of(bound_to(user(store), TokenIssuer()))

    saved = await store.load()
    assert saved is not None
    assert saved.refresh_token == "refresh-old"


async def test_valid_stored_tokens_are_used_without_a_request() -> None:
    wall, issuer = Wall(), TokenIssuer()
    stored = TokenSet(access_token="stored", issued_at=wall.now, expires_at=wall.now + 3600)
    credentials = user(MemoryTokenStore(stored))
    credentials.state.clock = wall

    assert await token_of(bound_to(credentials, issuer)) == "stored"
    assert issuer.requests == []


async def test_tokens_that_another_process_renewed_are_used() -> None:
    wall, issuer, store = Wall(), TokenIssuer(), MemoryTokenStore(OLD)
    credentials = user(store)
    credentials.state.clock = wall
    view = bound_to(credentials, issuer)
    await view.headers()
    await store.save(TokenSet(access_token="theirs", issued_at=wall.now, expires_at=wall.now + 3600))

    assert await view.refresh()

    assert await token_of(view) == "theirs"
    assert issuer.issued == 1


async def test_a_lost_race_with_another_process_is_no_failure() -> None:
    wall, store = Wall(), MemoryTokenStore(OLD)
    theirs = TokenSet(access_token="theirs", issued_at=wall.now, expires_at=wall.now + 3600)
    gate = asyncio.Event()
    issuer = TokenIssuer(refusal(400, {"error": "invalid_grant"}), gate=gate)
    credentials = user(store)
    credentials.state.clock = wall
    call = asyncio.ensure_future(token_of(bound_to(credentials, issuer)))
    await until(lambda: len(issuer.requests) == 1)

    await store.save(theirs)
    gate.set()

    assert await call == "theirs"


async def test_an_invalid_refresh_token_advises_to_authorize_again() -> None:
    issuer = TokenIssuer(refusal(400, {"error": "invalid_grant", "error_description": "revoked"}))

    with pytest.raises(TokenRequestError, match="Authorize the app again"):
        await token_of(bound_to(user(), issuer))


@pytest.mark.parametrize("stored", [None, TokenSet(access_token="old", issued_at=0.0, expires_at=1.0)])
async def test_without_a_refresh_token_the_user_must_authorize_again(stored: TokenSet | None) -> None:
    issuer = TokenIssuer()

    with pytest.raises(AuthorizationError, match="begin_authorization"):
        await token_of(bound_to(user(MemoryTokenStore(stored)), issuer))

    assert issuer.requests == []


async def test_a_cancelled_caller_does_not_lose_the_new_refresh_token() -> None:
    gate, store = asyncio.Event(), MemoryTokenStore(OLD)
    issuer = TokenIssuer(gate=gate, refresh_token="refresh-new")
    call = asyncio.ensure_future(token_of(bound_to(user(store), issuer)))
    await until(lambda: len(issuer.requests) == 1)

    call.cancel()
    await asyncio.sleep(0)
    gate.set()

    with pytest.raises(asyncio.CancelledError):
        await call
    saved = await store.load()
    assert saved is not None
    assert saved.refresh_token == "refresh-new"


async def test_a_renewal_that_hangs_is_ended_after_a_grace_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launch_async.auth.oauth._RENEWAL_GRACE_S", 0.0)
    issuer = TokenIssuer(gate=asyncio.Event())
    call = asyncio.ensure_future(token_of(bound_to(user(), issuer)))
    await until(lambda: len(issuer.requests) == 1)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_scopes_that_the_user_did_not_grant_are_refused_before_a_request() -> None:
    issuer, credentials = TokenIssuer(), user()
    credentials.state.keep(TokenSet(access_token="a", issued_at=0.0, expires_at=1.0, scopes=frozenset({"other"})))

    async with LaunchClient(credentials, transport=issuer) as launch:
        with pytest.raises(MissingScopeError, match="the token has other"):
            await launch.projects.delete("66c0ffee00000000000000a1")


@pytest.mark.parametrize(("client_id", "redirect_uri"), [("", REDIRECT), ("client", "")])
def test_an_absent_id_or_redirect_is_refused_immediately(client_id: str, redirect_uri: str) -> None:
    with pytest.raises(ConfigurationError, match="must be a string that is not empty"):
        OAuthCredentials(client_id, redirect_uri=redirect_uri, store=MemoryTokenStore())


class Drawer(KeyringBackend):
    """A keyring in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


async def test_tokens_are_stored_in_the_keyring_until_they_are_deleted() -> None:
    drawer = Drawer()
    store = KeyringTokenStore("client", backend=drawer)

    assert await store.load() is None
    await store.save(OLD)
    assert await KeyringTokenStore("client", backend=drawer).load() == OLD
    assert await KeyringTokenStore("another", backend=drawer).load() is None
    await store.forget()
    await store.forget()
    assert drawer.entries == {}


async def test_the_systems_keyring_is_used_by_default() -> None:
    before, drawer = keyring.get_keyring(), Drawer()
    keyring.set_keyring(drawer)
    try:
        await KeyringTokenStore("client").save(OLD)
    finally:
        keyring.set_keyring(before)

    assert list(drawer.entries) == [("contentstack-launch", "client")]


async def test_a_machine_without_a_keyring_gets_advice_to_use_another_store() -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    try:
        with pytest.raises(ConfigurationError, match="no keyring"):
            await KeyringTokenStore("client").load()
    finally:
        keyring.set_keyring(before)


async def test_the_error_without_the_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(ConfigurationError, match=r"contentstack-launch\[keyring\]"):
        await KeyringTokenStore("client").load()


def test_a_keyring_store_shows_its_entry_and_no_token() -> None:
    assert repr(KeyringTokenStore("client")) == "KeyringTokenStore('client', service='contentstack-launch')"


def test_the_redirect_is_part_of_the_address() -> None:
    assert urlsplit(begin_authorization("app", "client", REDIRECT).url).netloc == "app.contentstack.com"
