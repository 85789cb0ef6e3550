"""The credentials of an app get tokens in the format of the platform, and errors explain what went wrong."""

from __future__ import annotations

import copy
import pickle

import pytest
from auth_support import ORGANIZATION, TokenIssuer, Wall, bound_to, refusal, token_answer, token_of

from launch_async import (
    AppCredentials,
    ConfigurationError,
    ConnectError,
    DecodeError,
    LaunchClient,
    MissingScopeError,
    ResponseLost,
    ServiceUnavailableError,
    TokenRequestError,
)
from launch_async.auth.token_cache import read_token_answer
from launch_async.emulator import LaunchEmulator
from launch_async.http import Response
from tests.support.core import retry_without_delay

CLIENT, SECRET = "66c0ffee0000000000000abc", "secret-of-the-app"


def app(**options: object) -> AppCredentials:
    return AppCredentials(CLIENT, SECRET, **options)  # type: ignore[arg-type]


async def test_an_app_works_with_only_its_organization(emulator: LaunchEmulator) -> None:
    credentials = AppCredentials(emulator.client_id, emulator.client_secret)

    async with LaunchClient(credentials, base_url=emulator.url) as launch:
        names = [project.name async for project in launch.projects.list()]

    assert names == ["landing"]
    assert credentials.organization_uid == emulator.organization_uid


async def test_the_token_request_is_a_form_with_plural_scopes() -> None:
    issuer = TokenIssuer()

    await token_of(bound_to(app(scopes={"launch.projects:write", "launch.projects:read"}), issuer))

    assert issuer.requests[0].headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert issuer.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "client_secret": SECRET,
            "scopes": "launch.projects:read launch.projects:write",
        }
    ]


async def test_the_second_path_is_used_only_if_the_first_does_not_exist() -> None:
    issuer = TokenIssuer(refusal(404))

    await token_of(bound_to(app(), issuer))

    assert issuer.paths == ["/apps-api/apps/token", "/apps-api/token"]


async def test_another_refusal_does_not_lead_to_the_second_path() -> None:
    issuer = TokenIssuer(refusal(401))

    with pytest.raises(TokenRequestError):
        await token_of(bound_to(app(), issuer))

    assert issuer.paths == ["/apps-api/apps/token"]


async def test_a_custom_path_is_the_only_path_used() -> None:
    issuer = TokenIssuer(refusal(404))

    with pytest.raises(TokenRequestError, match="Pass the right app_url= or token_path="):
        await token_of(bound_to(app(token_path="/token"), issuer))

    assert issuer.paths == ["/token"]


async def test_a_standard_app_gets_an_error_with_advice(emulator: LaunchEmulator) -> None:
    client_id, client_secret = emulator.add_app(machine_to_machine=False)

    async with LaunchClient(AppCredentials(client_id, client_secret), base_url=emulator.url) as launch:
        with pytest.raises(TokenRequestError, match="Create an M2M app in Developer Hub") as caught:
            await launch.usage.cache_revalidations()

    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (
            refusal(401, {"error": "invalid_client", "error_description": "no"}),
            "Check the client id, the client secret",
        ),
        (refusal(400, {"error": "invalid_scope"}), "request fewer scopes"),
        (refusal(403, {"message": "Forbidden"}), "https://app.contentstack.com"),
    ],
)
async def test_a_refusal_says_what_to_do(answer: Response, advice: str) -> None:
    with pytest.raises(TokenRequestError, match=advice) as caught:
        await token_of(bound_to(app(), TokenIssuer(answer)))

    assert caught.value.operation == "oauthToken"


@pytest.mark.parametrize("failure", [ResponseLost("lost"), ConnectError("down"), refusal(503), refusal(429)])
async def test_a_temporary_failure_is_retried(failure: Response | Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    retry_without_delay(monkeypatch)
    issuer = TokenIssuer(failure)

    assert await token_of(bound_to(app(), issuer)) == "token-1"
    assert len(issuer.requests) == 2


async def test_a_lasting_failure_ends_after_three_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    retry_without_delay(monkeypatch)
    issuer = TokenIssuer(*[refusal(503)] * 9)

    with pytest.raises(ServiceUnavailableError) as caught:
        await token_of(bound_to(app(), issuer))

    assert caught.value.attempts == len(issuer.requests) == 3


async def test_an_error_of_the_token_endpoint_keeps_its_own_attempts_in_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    retry_without_delay(monkeypatch)
    issuer = TokenIssuer(*[refusal(503)] * 9)

    async with LaunchClient(app(), transport=issuer) as launch:
        with pytest.raises(ServiceUnavailableError) as caught:
            await launch.projects.list().page()

    assert (caught.value.operation, caught.value.attempts) == ("oauthToken", 3)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"access_token": ""}',
        b'{"access_token": "a b"}',
        b'{"access_token":"a","token_type":"mac"}',
    ],
)
async def test_an_answer_without_a_bearer_token_is_refused_without_repeating_it(body: bytes) -> None:
    with pytest.raises(DecodeError, match="contains no bearer token") as caught:
        await token_of(bound_to(app(), TokenIssuer(Response(200, {}, body))))

    assert body.decode() not in str(caught.value)


@pytest.mark.parametrize("life", [3600, "3600", None, "soon", 86400, -1])
async def test_a_token_is_renewed_a_minute_before_its_hour_is_over(life: object) -> None:
    wall, issuer = Wall(), TokenIssuer(expires_in=life)
    credentials = app()
    credentials.state.clock = wall
    view = bound_to(credentials, issuer)

    assert await token_of(view) == "token-1"
    wall.now += 3539
    assert await token_of(view) == "token-1"
    wall.now += 1
    assert await token_of(view) == "token-2"


async def test_a_short_lived_token_is_used_for_half_of_its_life() -> None:
    wall, issuer = Wall(), TokenIssuer(expires_in=60)
    credentials = app()
    credentials.state.clock = wall
    view = bound_to(credentials, issuer)

    assert [await token_of(view), await token_of(view)] == ["token-1", "token-1"]
    wall.now += 30
    assert await token_of(view) == "token-2"


async def test_a_revoked_token_is_replaced_and_the_call_repeated_once(emulator: LaunchEmulator) -> None:
    credentials = AppCredentials(emulator.client_id, emulator.client_secret)

    async with LaunchClient(credentials, base_url=emulator.url) as launch:
        await launch.usage.cache_revalidations()
        emulator.revoke_token(credentials.state.tokens.access_token)  # type: ignore[union-attr]
        await launch.usage.cache_revalidations()

    assert emulator.ledger.count("oauthToken") == 2
    assert emulator.ledger.count(status=401) == 1


async def test_a_call_without_permission_is_refused_before_a_token_is_fetched() -> None:
    issuer = TokenIssuer()
    reader = app(scopes="launch.projects:read")

    async with LaunchClient(reader, transport=issuer) as launch:
        with pytest.raises(MissingScopeError, match=r"launch\.projects:read"):
            await launch.projects.delete("66c0ffee00000000000000a1")

    assert issuer.requests == []


async def test_a_git_creation_is_refused_locally_because_it_needs_a_user() -> None:
    issuer = TokenIssuer()

    async with LaunchClient(app(), transport=issuer) as launch:
        with pytest.raises(MissingScopeError, match="user's token"):
            await launch.deployments.create(
                "66c0ffee00000000000000a1", "66c0ffee00000000000000b1", commit_hash="abcdef1"
            )

    assert issuer.requests == []


async def test_granted_scopes_are_checked_when_they_are_known() -> None:
    credentials = app()

    assert credentials.scopes == {"launch:manage"}
    await token_of(bound_to(credentials, TokenIssuer(scope="launch.projects:read")))
    assert credentials.scopes == {"launch.projects:read"}


async def test_a_secret_is_sent_to_only_one_token_endpoint() -> None:
    credentials = app()
    bound_to(credentials, TokenIssuer())

    with pytest.raises(ConfigurationError, match="sends a secret to only one host"):
        LaunchClient(credentials, region="eu")


async def test_credentials_without_a_client_raise_an_error() -> None:
    with pytest.raises(ConfigurationError, match="LaunchClient"):
        await app().headers()


@pytest.mark.parametrize(("client_id", "secret"), [("", "x"), ("x", ""), ("x", None), (None, "x")])
def test_an_absent_id_or_secret_is_refused_immediately(client_id: str, secret: str) -> None:
    with pytest.raises(ConfigurationError, match="must be a string that is not empty"):
        AppCredentials(client_id, secret)


@pytest.mark.parametrize(("client_id", "secret"), [(f'"{CLIENT}"', SECRET), (CLIENT, f" '{SECRET}'")])
def test_quotes_around_an_id_or_secret_are_found_before_the_token_endpoint_refuses_them(
    client_id: str, secret: str
) -> None:
    with pytest.raises(
        ConfigurationError, match=r"has quotes around it\. Pass the argument without the quotes"
    ) as caught:
        AppCredentials(client_id, secret)

    assert SECRET not in str(caught.value)


def test_white_space_around_an_id_or_secret_is_ignored() -> None:
    assert AppCredentials(f" {CLIENT}\n", f"\t{SECRET}\r\n") == app()


def test_credentials_compare_by_their_arguments_and_pickle_without_tokens() -> None:
    credentials = app()
    credentials.state.keep(_tokens())

    twin = pickle.loads(pickle.dumps(credentials))

    assert twin == credentials == copy.copy(credentials)
    assert twin.state.tokens is None
    assert SECRET not in repr(credentials)


def _tokens():
    return read_token_answer(token_answer(1, organization_uid=ORGANIZATION).body, None, 0.0)
