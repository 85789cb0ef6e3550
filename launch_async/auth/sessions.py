"""Log in with e-mail and password, log out, and ask what a token is good for (FACTS §3).

`login` gives an `Authtoken`. It does not end by time, but a user has at most 20 of them, and the next login silently
drops the oldest: log in once and keep the token, or `logout` when done. Users of single sign-on (SSO) get none; for
them, as for programs without a user, there is `launch_async.auth.oauth`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

import attrs

from launch_async.auth.auth_request import AuthRequest, form_request, known_secrets, refusal
from launch_async.auth.tokens import AccessToken, Authtoken, scope_set
from launch_async.errors import (
    APIError,
    ConfigurationError,
    DecodeError,
    InvalidTokenError,
    SecondFactorRequired,
    TokenRequestError,
)
from launch_async.http.aiohttp_transport import borrowed
from launch_async.http.base import USER_AGENT, Request, Response, Transport
from launch_async.models.base import JSONValue
from launch_async.settings import resolve_app_url, resolve_login_url
from launch_async.wire.json_body import dump_json, load_json
from launch_async.wire.secret import Secret, hidden_json, kind_of

__all__ = ["Introspection", "Session", "introspect", "login", "logout", "request_sms"]

_SECOND_FACTOR: Final = "294"
_REFUSALS: Final = frozenset({400, 401, 403, 422})


@attrs.frozen(kw_only=True)
class Session:
    """A user who is logged in.

    Attributes:
        credentials: What `LaunchClient` takes, with one of the organizations beside it.
        user_uid: UID of the user; None if the service did not say.
        organization_uids: The organizations that the user belongs to, as far as the service says.
    """

    credentials: Authtoken
    user_uid: str | None = None
    organization_uids: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Introspection:
    """What the service says of a token.

    Attributes:
        active: Whether it is good.
        scopes: What it may do; None if the service does not say.
    """

    active: bool
    scopes: frozenset[str] | None = None


async def login(
    email: str,
    password: str,
    *,
    second_factor: str | None = None,
    region: str = "na",
    base_url: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = None,
    transport: Transport | None = None,
    timeout: float = 30.0,
) -> Session:
    """Log in; each login makes a new token, and a user's twenty-first silently drops the oldest (FACTS §3).

    Args:
        email: The user's e-mail address.
        password: The user's password; never shown.
        second_factor: The code of the authenticator app, or of the message that `request_sms` has sent.
        region: Where the user's account lives.
        base_url: Address of the login service instead of the region's, such as an emulator's.
        ssl_context: How to verify the service.
        proxy: Proxy URL; by default what the environment says, empty for none.
        transport: Performs the exchange instead of aiohttp; it stays yours to close.
        timeout: Seconds for everything together.

    Raises:
        SecondFactorRequired: A code is wanted, or the given one is wrong (error code 294); `method` says which.
        TokenRequestError: The e-mail address or the password is wrong, or the user has to use SSO.
        ConfigurationError: The e-mail address or the password is empty, or the region is unknown.

    API: `POST /v3/user-session` of the content management API.
    """
    # Rebound: a traceback with local variables must not show them.
    password = Secret(password or "")
    second_factor = Secret(second_factor) if second_factor else None
    user = _user(email, password, second_factor)
    way = _Way(resolve_login_url(region, base_url), borrowed(transport, ssl_context, proxy), timeout)
    request = way.json_request("POST", "/v3/user-session", {"user": user}, "login")
    try:
        # A lost answer may have made a session: another one is not made on a guess.
        response = await way.send(request, (password, second_factor), repeatable=False)
    except APIError as error:
        raise _refused(error, region) from None
    # A login service of one's own may stand in any region.
    session = _session(response, region if base_url is None else None)
    if session is None:
        raise _unexpected(way.host, "login", response)
    return session


async def request_sms(
    email: str,
    password: str,
    *,
    region: str = "na",
    base_url: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = None,
    transport: Transport | None = None,
    timeout: float = 30.0,
) -> None:
    """Have the code of the second factor sent to the user's telephone; then call `login` with it.

    Args:
        email: The user's e-mail address.
        password: The user's password; never shown.
        region: Where the user's account lives.
        base_url: Address of the login service instead of the region's.
        ssl_context: How to verify the service.
        proxy: Proxy URL; by default what the environment says, empty for none.
        transport: Performs the exchange instead of aiohttp; it stays yours to close.
        timeout: Seconds for everything together.

    Raises:
        TokenRequestError: The e-mail address or the password is wrong, or the user has no telephone there.

    API: `POST /v3/user/request_token_sms` of the content management API.
    """
    password = Secret(password or "")
    user = _user(email, password, None)
    way = _Way(resolve_login_url(region, base_url), borrowed(transport, ssl_context, proxy), timeout)
    request = way.json_request("POST", "/v3/user/request_token_sms", {"user": user}, "requestSms")
    try:
        await way.send(request, (password,), repeatable=False)
    except APIError as error:
        raise _refused(error, region) from None


async def logout(
    credentials: Authtoken,
    *,
    region: str = "na",
    base_url: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = None,
    transport: Transport | None = None,
    timeout: float = 30.0,
) -> None:
    """End a session; its token is worthless from then on. Where an answer is lost, it is sent again.

    Args:
        credentials: What `login` gave.
        region: Where the user's account lives.
        base_url: Address of the login service instead of the region's.
        ssl_context: How to verify the service.
        proxy: Proxy URL; by default what the environment says, empty for none.
        transport: Performs the exchange instead of aiohttp; it stays yours to close.
        timeout: Seconds for everything together.

    Raises:
        InvalidTokenError: There was no such session before the first attempt.

    API: `DELETE /v3/user-session` of the content management API.
    """
    # Rebound: a traceback with local variables must not show a bare token.
    credentials = hidden_json(credentials)
    _check_kind(credentials, Authtoken)
    way = _Way(resolve_login_url(region, base_url), borrowed(transport, ssl_context, proxy), timeout)
    headers = {"authtoken": credentials.token, "Accept": "application/json", "User-Agent": USER_AGENT}
    request = Request("DELETE", f"{way.host}/v3/user-session", headers, operation="logout")
    try:
        await way.send(request, (credentials.token,), repeatable=True)
    except InvalidTokenError as error:
        # After a lost answer this is its echo: an earlier attempt has ended the session.
        if not error.ambiguous:
            raise


async def introspect(
    credentials: AccessToken,
    *,
    region: str = "na",
    app_url: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = None,
    transport: Transport | None = None,
    timeout: float = 30.0,
) -> Introspection:
    """Return whether an access token is good, and for what; it is sent in the body, and in no header.

    Args:
        credentials: The token.
        region: Where it was issued.
        app_url: Address of the app host instead of the region's, such as an emulator's.
        ssl_context: How to verify the service.
        proxy: Proxy URL; by default what the environment says, empty for none.
        transport: Performs the exchange instead of aiohttp; it stays yours to close.
        timeout: Seconds for everything together.

    Raises:
        ConfigurationError: The region is unknown, or `app_url` is not an address.

    API: `POST /apps-api/introspect` of the app host (FACTS §3).
    """
    # Rebound: a traceback with local variables must not show a bare token.
    credentials = hidden_json(credentials)
    _check_kind(credentials, AccessToken)
    way = _Way(resolve_app_url(region, None, app_url), borrowed(transport, ssl_context, proxy), timeout)
    fields = {"token": credentials.token, "token_type_hint": "access_token"}
    request = form_request(f"{way.host}/apps-api/introspect", fields, "introspect")
    response = await way.send(request, (credentials.token,), repeatable=True)
    said = _introspection(_parsed(response.body))
    if said is None:
        raise _unexpected(way.host, "introspect", response)
    return said


@attrs.frozen
class _Way:
    """The way to one host, for one call."""

    host: str
    transport: AbstractAsyncContextManager[Transport]
    timeout: float

    def json_request(self, method: str, path: str, document: JSONValue, operation: str) -> Request:
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT, "Content-Type": "application/json"}
        return Request(method, f"{self.host}{path}", headers, dump_json(document), operation=operation)

    async def send(self, request: Request, secrets: tuple[str | None, ...], *, repeatable: bool) -> Response:
        async with self.transport as transport:
            call = AuthRequest(
                transport=transport, secrets=known_secrets(secrets), repeatable=repeatable, timeout=self.timeout
            )
            return await call.send(request)


def _check_kind(credentials: object, kind: type) -> None:
    if not isinstance(credentials, kind):
        raise ConfigurationError(f"credentials must be {kind.__name__}(...), not a {kind_of(credentials)}")


def _user(email: str, password: str, second_factor: str | None) -> dict[str, JSONValue]:
    missing = [name for name, text in {"email": email, "password": password}.items() if not text]
    if missing:
        raise ConfigurationError(f"login: {' and '.join(missing)} missing")
    return {"email": email, "password": password, **({"tfa_token": second_factor} if second_factor else {})}


def _refused(error: APIError, region: str) -> APIError:
    """Return what a refused login means; the error code decides, its status varies (FACTS §3)."""
    if _SECOND_FACTOR in error.codes:
        wanted = refusal(SecondFactorRequired, error, "Log in again with second_factor='the code'")
        method = _parsed(error.body.encode()).get("tfa_type")
        wanted.method = method if isinstance(method, str) else None
        return wanted
    if error.status in _REFUSALS:
        return refusal(
            TokenRequestError,
            error,
            f"Check the e-mail address, the password and the region ({region}). Users of single sign-on get no "
            "authtoken: let them authorize an app (begin_authorization)",
        )
    return error


def _session(response: Response, region: str | None) -> Session | None:
    user = _parsed(response.body).get("user")
    token = user.get("authtoken") if isinstance(user, dict) else None
    if not isinstance(user, dict) or not isinstance(token, str):
        return None
    try:
        credentials = Authtoken(Secret(token), location=region)
    except ConfigurationError:
        return None
    uid, organizations = user.get("uid"), user.get("org_uid")
    return Session(
        credentials=credentials,
        user_uid=uid if isinstance(uid, str) else None,
        organization_uids=tuple(one for one in organizations if isinstance(one, str))
        if isinstance(organizations, list)
        else (),
    )


def _introspection(document: Mapping[str, JSONValue]) -> Introspection | None:
    active, scope = document.get("active"), document.get("scope")
    if not isinstance(active, bool):
        return None
    return Introspection(active=active, scopes=scope_set(scope) if isinstance(scope, str) else None)


def _parsed(body: bytes) -> Mapping[str, JSONValue]:
    try:
        document = load_json(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _unexpected(host: str, operation: str, response: Response) -> DecodeError:
    return DecodeError(
        f"the answer of {host} does not have the promised shape. Check the address and proxies: something else may "
        "have answered",
        operation=operation,
        status=response.status,
    )
