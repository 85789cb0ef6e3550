"""A user logs in with a password, with a second factor if the account requires one, and logs out."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from launch_async import (
    AccessToken,
    Authtoken,
    ConfigurationError,
    DecodeError,
    InvalidTokenError,
    LaunchClient,
    SecondFactorRequired,
    ServerError,
    TokenRequestError,
    introspect,
    login,
    logout,
    request_sms,
)
from launch_async.emulator import FaultKind, LaunchEmulator
from tests.support.core import retry_without_delay


async def answering(document: object, status: int = 200, seen: list[object] | None = None) -> TestServer:
    """A server that answers every request with the same document."""

    async def answer(request: web.Request) -> web.Response:
        if seen is not None:
            seen.append((request.method, request.path, json.loads(await request.read() or b"null")))
        return web.json_response(document, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    return server


async def test_a_login_returns_the_values_that_a_client_needs(emulator: LaunchEmulator) -> None:
    session = await login(emulator.email, emulator.password, base_url=emulator.url)

    assert session.organization_uids == (emulator.organization_uid,)
    organization_uid = session.organization_uids[0]
    async with LaunchClient(session.credentials, base_url=emulator.url, organization_uid=organization_uid) as launch:
        assert [project.name async for project in launch.projects.list()] == ["landing"]


async def test_a_logged_out_token_is_invalid(emulator: LaunchEmulator) -> None:
    session = await login(emulator.email, emulator.password, base_url=emulator.url)

    await logout(session.credentials, base_url=emulator.url)

    with pytest.raises(InvalidTokenError):
        await logout(session.credentials, base_url=emulator.url)


@pytest.mark.parametrize("kind", ["reset_after", "status_after"])
async def test_a_logout_whose_answer_is_lost_ends_the_session(
    emulator: LaunchEmulator, kind: FaultKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    retry_without_delay(monkeypatch)
    session = await login(emulator.email, emulator.password, base_url=emulator.url)
    emulator.faults.add(kind, operation="logout", times=1)

    await logout(session.credentials, base_url=emulator.url)

    sent = [entry.operation for entry in emulator.ledger.requests]
    assert sent.count("logout") == 2
    with pytest.raises(InvalidTokenError):
        await logout(session.credentials, base_url=emulator.url)


@pytest.mark.parametrize("status", [400, 401, 422])
async def test_a_second_factor_is_requested_at_any_status(status: int) -> None:
    async with LaunchEmulator(second_factor_status=status) as emulator:
        person = emulator.add_organization(second_factor="123456")

        with pytest.raises(SecondFactorRequired) as caught:
            await login(person.email, person.password, base_url=emulator.url)
        with pytest.raises(SecondFactorRequired):
            await login(person.email, person.password, second_factor="654321", base_url=emulator.url)
        session = await login(person.email, person.password, second_factor="123456", base_url=emulator.url)

    assert caught.value.method == "totp_authenticator"
    assert caught.value.status == status
    assert session.organization_uids == (person.organization_uid,)


async def test_a_wrong_password_is_refused_with_advice(emulator: LaunchEmulator) -> None:
    with pytest.raises(TokenRequestError, match="single sign-on") as caught:
        await login(emulator.email, "wrong-word", base_url=emulator.url)

    assert caught.value.codes == ("104",)
    assert "wrong-word" not in str(caught.value)


async def test_a_login_whose_answer_is_lost_is_not_repeated(emulator: LaunchEmulator) -> None:
    emulator.faults.add("reset_after", operation="login")

    with pytest.raises(ConnectionError):
        await login(emulator.email, emulator.password, base_url=emulator.url)

    assert emulator.ledger.count("login") == 1


async def test_a_failing_service_is_no_wrong_password(emulator: LaunchEmulator) -> None:
    emulator.faults.add("status_before", operation="login", status=500)

    with pytest.raises(ServerError):
        await login(emulator.email, emulator.password, base_url=emulator.url)


async def test_a_slow_service_ends_in_the_deadline(emulator: LaunchEmulator) -> None:
    emulator.faults.add("delay", operation="login", delay=5.0)

    with pytest.raises(TimeoutError):
        await login(emulator.email, emulator.password, base_url=emulator.url, timeout=0.05)


@pytest.mark.parametrize(("email", "password"), [("", "x"), ("x", ""), ("x", None)])
async def test_an_absent_name_or_password_is_refused_before_a_request(email: str, password: str) -> None:
    with pytest.raises(ConfigurationError, match="Missing: "):
        await login(email, password)


async def test_a_text_message_with_the_code_can_be_requested() -> None:
    seen: list[object] = []
    server = await answering({"notice": "sent"}, seen=seen)
    try:
        await request_sms("user@example.com", "a password", base_url=str(server.make_url("")))
    finally:
        await server.close()

    user = {"email": "user@example.com", "password": "a password"}
    assert seen == [("POST", "/v3/user/request_token_sms", {"user": user})]


async def test_a_text_message_without_a_user_is_refused() -> None:
    server = await answering({"error_message": "no", "error_code": 104}, status=422)
    try:
        with pytest.raises(TokenRequestError):
            await request_sms("user@example.com", "a password", base_url=str(server.make_url("")))
    finally:
        await server.close()


@pytest.mark.parametrize("document", [[], {}, {"user": {}}, {"user": {"authtoken": 1}}, {"user": {"authtoken": "a b"}}])
async def test_an_answer_that_is_no_session_is_refused(document: object) -> None:
    server = await answering(document)
    try:
        with pytest.raises(DecodeError, match="documented format"):
            await login("user@example.com", "a password", base_url=str(server.make_url("")))
    finally:
        await server.close()


async def test_a_session_without_organizations_is_valid() -> None:
    server = await answering({"user": {"authtoken": "the-token", "uid": None}})
    try:
        session = await login("user@example.com", "a password", base_url=str(server.make_url("")))
    finally:
        await server.close()

    assert (session.credentials, session.user_uid, session.organization_uids) == (Authtoken("the-token"), None, ())


async def test_a_token_can_be_introspected(emulator: LaunchEmulator) -> None:
    token = AccessToken(emulator.issue_token(scopes=["launch.projects:read"]))

    good = await introspect(token, app_url=emulator.url)
    emulator.revoke_token(token.token)
    ended = await introspect(token, app_url=emulator.url)

    assert (good.active, good.scopes) == (True, {"launch.projects:read"})
    assert (ended.active, ended.scopes) == (False, None)


async def test_an_introspected_token_is_sent_only_in_the_form() -> None:
    headers: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        headers.extend(name.lower() for name in request.headers)
        return web.json_response({"active": (await request.post())["token"] == "a-token"})

    app = web.Application()
    app.router.add_post("/apps-api/introspect", answer)
    async with TestServer(app) as server:
        introspection = await introspect(AccessToken("a-token"), app_url=str(server.make_url("")))

    assert introspection.active
    assert not {"authorization", "authtoken"} & set(headers)


async def test_an_introspection_without_active_is_refused() -> None:
    server = await answering("hello")
    try:
        with pytest.raises(DecodeError):
            await introspect(AccessToken("a-token"), app_url=str(server.make_url("")))
    finally:
        await server.close()
