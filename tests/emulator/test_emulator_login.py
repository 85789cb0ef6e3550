"""The emulator issues and checks credentials like the platform."""

import base64
import hashlib

import pytest

TOKEN_PATHS = ("/apps-api/apps/token", "/apps-api/token", "/token")
REDIRECT = "http://localhost:8184"
VERIFIER = "v" * 43


def challenge(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


async def token(api, path=TOKEN_PATHS[0], **form):
    return await api.with_headers({}).call("POST", path, data=form)


def machine_request(api, **more):
    emulator = api.emulator
    return {
        "grant_type": "client_credentials",
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
        **more,
    }


@pytest.mark.parametrize("path", TOKEN_PATHS)
async def test_an_app_gets_a_token_under_every_path_and_no_refresh_token(api, path):
    answer = (await token(api, path, **machine_request(api, scopes="launch:manage"))).json

    assert (answer["token_type"], answer["expires_in"], answer["authorization_type"]) == ("Bearer", 3600, "app")
    assert answer["organization_uid"] == api.emulator.organization_uid
    assert "refresh_token" not in answer
    assert (await api.bearer(answer["access_token"]).get("/projects")).status == 200


@pytest.mark.parametrize("name", ["scopes", "scope"])
async def test_scopes_can_be_requested_under_both_names(api, name):
    answer = (await token(api, **machine_request(api, **{name: "launch.projects:read"}))).json
    caller = api.bearer(answer["access_token"])

    assert (await caller.get("/projects")).status == 200
    assert (await caller.get("/projects/upload/signed_url")).status == 403


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"client_id": "unknown"}, 401),
        ({"client_secret": "wrong"}, 401),
        ({"grant_type": "password"}, 400),
        ({"scopes": "launch:everything"}, 400),
    ],
)
async def test_a_wrong_token_request_is_refused_in_error_format_f(api, change, status):
    reply = await token(api, **machine_request(api, **change))

    assert reply.status == status
    assert set(reply.json) == {"error", "error_description"}


async def test_an_app_for_users_gets_no_machine_token(api):
    client_id, secret = api.emulator.add_app()

    reply = await token(api, grant_type="client_credentials", client_id=client_id, client_secret=secret)

    assert (reply.status, reply.json["error_description"]) == (400, "invalid grant_type")


async def test_a_token_request_in_json_is_refused(api):
    as_json = await api.call("POST", "/token", json=machine_request(api))

    assert (as_json.status, as_json.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["S256", "plain"])
async def test_a_code_and_its_verifier_give_a_token_of_the_user(api, method):
    client_id, _ = api.emulator.add_app()
    shown = challenge(VERIFIER) if method == "S256" else VERIFIER
    codes = [
        api.emulator.authorize(client_id, REDIRECT, code_challenge=shown, code_challenge_method=method)
        for _ in range(3)
    ]
    form = {"grant_type": "authorization_code", "client_id": client_id, "redirect_uri": REDIRECT}

    good = await token(api, **form, code=codes[0], code_verifier=VERIFIER)
    again = await token(api, **form, code=codes[0], code_verifier=VERIFIER)
    wrong = await token(api, **form, code=codes[1], code_verifier="w" * 43)
    without = await token(api, **form, code=codes[2])

    assert [reply.status for reply in (good, again, wrong, without)] == [200, 400, 400, 400]
    assert good.json["authorization_type"] == "user"
    assert (await api.bearer(good.json["access_token"]).get("/projects")).status == 200


async def test_a_code_without_pkce_needs_the_secret_and_expires_after_a_minute(api):
    client_id, secret = api.emulator.add_app()
    form = {"grant_type": "authorization_code", "client_id": client_id, "redirect_uri": REDIRECT}
    codes = [api.emulator.authorize(client_id, REDIRECT) for _ in range(4)]

    good = await token(api, **form, code=codes[0], client_secret=secret)
    without = await token(api, **form, code=codes[1])
    elsewhere = await token(api, **{**form, "redirect_uri": "http://x"}, code=codes[2], client_secret=secret)
    api.emulator.advance(60)
    late = await token(api, **form, code=codes[3], client_secret=secret)

    assert [reply.status for reply in (good, without, elsewhere, late)] == [200, 401, 400, 400]


async def test_a_refresh_token_can_be_used_once_after_the_access_token_expires(api):
    client_id, secret = api.emulator.add_app()
    code = api.emulator.authorize(client_id, REDIRECT, scopes=["launch.projects:read"])
    form = {"client_id": client_id, "redirect_uri": REDIRECT}
    first = (await token(api, **form, grant_type="authorization_code", code=code, client_secret=secret)).json
    api.emulator.advance(3600)
    expired = await api.bearer(first["access_token"]).get("/projects")
    refresh = {**form, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

    wrong_secret = await token(api, **refresh, client_secret="wrong")
    renewed = await token(api, **refresh)
    again = await token(api, **refresh)
    of_another = await token(api, **{**refresh, "client_id": api.emulator.client_id})

    assert expired.status == 401
    assert [reply.status for reply in (wrong_secret, renewed, again, of_another)] == [401, 200, 400, 400]
    assert renewed.json["refresh_token"] != first["refresh_token"]
    assert (await api.bearer(renewed.json["access_token"]).get("/projects")).status == 200


async def test_introspection_shows_whether_a_token_is_active(api):
    good = await token(api, "/apps-api/introspect", token=api.emulator.access_token, token_type_hint="access_token")
    bad = await token(api, "/apps-api/introspect", token="x")

    assert (good.json["active"], good.json["scope"]) == (True, "launch:manage")
    assert bad.json == {"active": False}


def user(credentials, **more):
    return {"user": {"email": credentials.email, "password": credentials.password, **more}}


async def test_a_password_gives_an_authtoken_until_logout(api):
    answer = (await api.with_headers({}).post("/v3/user-session", user(api.emulator))).json
    caller = api.with_headers(
        {"authtoken": answer["user"]["authtoken"], "organization_uid": answer["user"]["org_uid"][0]}
    )
    before = (await caller.get("/projects")).status
    out = await caller.delete("/v3/user-session")
    twice = await caller.delete("/v3/user-session")

    assert (before, out.status, twice.status) == (200, 200, 401)
    assert (await caller.get("/projects")).status == 401


async def test_a_wrong_password_is_a_422(api):
    reply = await api.post("/v3/user-session", {"user": {"email": api.emulator.email, "password": "wrong"}})

    assert (reply.status, reply.json["error_code"]) == (422, 104)


@pytest.mark.parametrize("status", [422, 401])
async def test_a_missing_second_factor_is_error_294(start, status):
    async with start(second_factor_status=status) as api:
        guarded = api.emulator.add_organization(second_factor="123456")
        without = await api.post("/v3/user-session", user(guarded))
        wrong = await api.post("/v3/user-session", user(guarded, tfa_token="000000"))
        right = await api.post("/v3/user-session", user(guarded, tfa_token="123456"))

    assert [(reply.status, reply.json["error_code"]) for reply in (without, wrong)] == [(status, 294)] * 2
    assert without.json["tfa_type"] == "totp_authenticator"
    assert right.status == 200


async def test_a_user_keeps_twenty_sessions(api):
    for _ in range(20):
        await api.post("/v3/user-session", user(api.emulator))

    assert (await api.get("/projects")).status == 401


async def test_organizations_are_listed_for_both_kinds_of_credentials(api):
    path = "/v3/organizations?limit=100&asc=name&include_count=true&skip=0"

    by_session = (await api.get(path)).json
    by_token = (await api.bearer(api.emulator.access_token).get("/v3/organizations")).json
    refused = [await caller.get(path) for caller in (api.bearer("x"), api.with_headers({}))]

    assert (by_session["count"], by_session["organizations"][0]["uid"]) == (1, api.emulator.organization_uid)
    assert by_token == {"organizations": by_session["organizations"]}
    assert [reply.json["error_code"] for reply in refused] == [105, 105]
