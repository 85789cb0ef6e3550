"""The endpoints for credentials: password login, token endpoints, introspection, the list of organizations."""

from collections.abc import Mapping

from aiohttp import web

from launch_async.emulator import errors
from launch_async.emulator.auth.credentials import MANAGE, SCOPES, App, TokenKind, User
from launch_async.emulator.service import Call, JsonResponse
from launch_async.emulator.shapes import as_object
from launch_async.emulator.state import Organization, Record

SECOND_FACTOR = 294
BAD_LOGIN = 104


async def log_in(call: Call) -> JsonResponse:
    """Return an authtoken for a password. Error 294 means that the login requires the second factor."""
    given = await _user(call)
    user = call.service.credentials.issued.users.get(str(given.get("email")))
    if user is None or given.get("password") != user.password:
        raise _bad_login()
    if user.second_factor is not None and given.get("tfa_token") != user.second_factor:
        status = call.service.options.second_factor_status
        raise errors.platform(
            status, SECOND_FACTOR, "Please login using the Two-Factor verification Token", tfa_type="totp_authenticator"
        )
    authtoken = call.service.credentials.log_in(user)
    organizations = [organization.uid for organization in user.organizations]
    shown = {"uid": user.uid, "email": user.email, "authtoken": authtoken, "org_uid": organizations}
    return JsonResponse(200, {"notice": "Login Successful.", "user": shown})


async def log_out(call: Call) -> JsonResponse:
    """End the session of the authtoken."""
    if not call.service.credentials.log_out(call.request.headers.get("authtoken", "")):
        raise errors.invalid_token()
    return JsonResponse(200, {"notice": "You've logged out successfully."})


async def list_organizations(call: Call) -> JsonResponse:
    """Return the organizations of the caller."""
    organizations = _organizations(call)
    skip, limit = _number(call, "skip", 0), _number(call, "limit", 100)
    if "asc" in call.request.query:
        organizations = sorted(organizations, key=lambda organization: organization.name)
    shown: Record = {
        "organizations": [
            {"uid": organization.uid, "name": organization.name} for organization in organizations[skip : skip + limit]
        ]
    }
    if call.request.query.get("include_count") == "true":
        shown["count"] = len(organizations)
    return JsonResponse(200, shown)


async def issue_tokens(call: Call) -> JsonResponse:
    """Handle a request to the token endpoint, under any of its three paths."""
    form = await _form(call)
    app = call.service.credentials.issued.apps.get(form.get("client_id", ""))
    if app is None:
        raise errors.oauth(401, "invalid_client", "Wrong client id or secret.")
    match form.get("grant_type"):
        case "client_credentials":
            return _machine_token(call, app, form)
        case "authorization_code":
            return _redeem(call, app, form)
        case "refresh_token":
            return _refresh(call, app, form)
        case _:
            raise errors.oauth(400, "invalid_request", "invalid grant_type")


async def introspect(call: Call) -> JsonResponse:
    """Return whether a token is valid, and its scopes."""
    form = await _form(call)
    credentials, value = call.service.credentials, form.get("token", "")
    token = credentials.access(value) or credentials.refresh(value)
    if token is None:
        return JsonResponse(200, {"active": False})
    return JsonResponse(200, {"active": True, "scope": " ".join(sorted(token.scopes)), "client_id": token.client_id})


async def _user(call: Call) -> Record:
    """Return the user object of the body.

    Raises:
        Refusal: 422, the only status that the login host documents.
    """
    try:
        return as_object((await call.json()).get("user")) or {}
    except errors.Refusal:
        raise _bad_login() from None


def _bad_login() -> errors.Refusal:
    return errors.platform(422, BAD_LOGIN, "Looks like your email or password is invalid. Please try again.")


def _machine_token(call: Call, app: App, form: Mapping[str, str]) -> JsonResponse:
    """Return a token for client_credentials, for M2M apps only. An option adds a refresh token."""
    if form.get("client_secret") != app.client_secret:
        raise errors.oauth(401, "invalid_client", "Wrong client id or secret.")
    if not app.machine_to_machine:
        raise errors.oauth(400, "invalid_request", "invalid grant_type")
    asked = _asked_scopes(call, form)
    if not set(asked) <= set(SCOPES):
        raise errors.oauth(400, "invalid_scope", "The app does not have that scope.")
    life = call.service.options.token_seconds
    credentials = call.service.credentials
    access = credentials.issue_access(app.organization, "app", asked, life, app.client_id)
    refresh = None
    if call.service.options.machine_refresh_token:
        refresh = credentials.issue_refresh(app.organization, frozenset(asked), app.client_id, "app")
    return _token_response(call, app, access, refresh, "app")


def _asked_scopes(call: Call, form: Mapping[str, str]) -> list[str]:
    """Return the scopes that a form requests, by default launch:manage."""
    chosen = call.service.options.scope_parameter
    names = ("scopes", "scope") if chosen == "either" else (chosen,)
    return next((form[name] for name in names if name in form), MANAGE).split()


def _redeem(call: Call, app: App, form: Mapping[str, str]) -> JsonResponse:
    """Return tokens for an authorization code: once, for the same redirect_uri, with the verifier or the secret."""
    grant = call.service.credentials.redeem(form.get("code", ""))
    if grant is None or grant.app is not app or form.get("redirect_uri") != grant.redirect_uri:
        raise errors.oauth(400, "invalid_grant", "The code is invalid or expired.")
    if not grant.matches_challenge(form.get("code_verifier")):
        raise errors.oauth(400, "invalid_grant", "The code_verifier does not match.")
    if grant.challenge is None and form.get("client_secret") != app.client_secret:
        raise errors.oauth(401, "invalid_client", "Wrong client id or secret.")
    return _renewable_tokens(call, app, grant.scopes, "user")


def _refresh(call: Call, app: App, form: Mapping[str, str]) -> JsonResponse:
    """Return tokens for a refresh token: revoke the old token, and issue a new pair."""
    value = form.get("refresh_token", "")
    token = call.service.credentials.refresh(value)
    if token is None or token.client_id != app.client_id:
        raise errors.oauth(400, "invalid_grant", "The refresh token is invalid or revoked.")
    if "client_secret" in form and form["client_secret"] != app.client_secret:
        raise errors.oauth(401, "invalid_client", "Wrong client id or secret.")
    call.service.credentials.revoke(value)
    return _renewable_tokens(call, app, token.scopes, token.kind)


def _renewable_tokens(call: Call, app: App, scopes: frozenset[str], kind: TokenKind) -> JsonResponse:
    credentials, life = call.service.credentials, call.service.options.token_seconds
    access = credentials.issue_access(app.organization, kind, scopes, life, app.client_id)
    refresh = credentials.issue_refresh(app.organization, scopes, app.client_id, kind)
    return _token_response(call, app, access, refresh, kind)


def _token_response(call: Call, app: App, access: str, refresh: str | None, kind: TokenKind) -> JsonResponse:
    shown: Record = {
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": int(call.service.options.token_seconds),
        "location": "NA",
        "organization_uid": app.organization.uid,
        "authorization_type": kind,
    }
    if refresh is not None:
        shown["refresh_token"] = refresh
    if kind == "user":
        shown["user_uid"] = app.organization.user_uid
    return JsonResponse(200, shown)


def _organizations(call: Call) -> list[Organization]:
    headers = call.request.headers
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        token = call.service.credentials.access(value.strip())
        if token is None:
            raise errors.invalid_token()
        return [token.organization]
    user: User | None = call.service.credentials.session(headers.get("authtoken", ""))
    if user is None:
        raise errors.invalid_token()
    return user.organizations


def _number(call: Call, name: str, default: int) -> int:
    text = call.request.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else default


async def _form(call: Call) -> dict[str, str]:
    """Return the fields of an urlencoded body.

    Raises:
        Refusal: 400, envelope F, for another media type and for a body that cannot be decoded.
    """
    if call.request.content_type != "application/x-www-form-urlencoded":
        raise errors.oauth(400, "invalid_request", "The body must be application/x-www-form-urlencoded.")
    try:
        return {name: value for name, value in (await call.request.post()).items() if isinstance(value, str)}
    except web.HTTPRequestEntityTooLarge:
        raise errors.oauth(400, "invalid_request", "The body is too large.") from None
    except (ValueError, LookupError):
        raise errors.oauth(400, "invalid_request", "The body is not well-formed.") from None
