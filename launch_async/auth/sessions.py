"""Log in with e-mail and password, log out, and check a token.

`login` returns an `Authtoken`. An authtoken does not expire, but a user has at most 20 authtokens. The next login
silently deletes the oldest one. Log in once and keep the token, or call `logout` when you are done. Users of single
sign-on (SSO) cannot get an authtoken. For these users, and for programs without a user, use `launch_async.auth.oauth`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

import attrs

from launch_async.auth.access_token import AccessToken
from launch_async.auth.auth_request import AuthRequest, form_request, known_secrets, refusal
from launch_async.auth.tokens import Authtoken, scope_set
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
        credentials: The credentials for `LaunchClient`. Pass one of the organizations as well.
        user_uid: UID of the user; None if the service did not report it.
        organization_uids: UIDs of the user's organizations; empty if the service did not report them.
    """

    credentials: Authtoken
    user_uid: str | None = None
    organization_uids: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Introspection:
    """The service's description of a token.

    Attributes:
        active: Whether the token is valid.
        scopes: The scopes of the token; None if the service did not report them.
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
    """Log in with e-mail and password, and return a new authtoken.

    A user has at most 20 authtokens. The 21st login silently deletes the oldest authtoken.

    Args:
        email: The user's e-mail address.
        password: The user's password. The SDK never shows it.
        second_factor: The code from the authenticator app, or from the SMS that you requested with `request_sms`.
        region: The region of the user's account.
        base_url: Address of the login service, for example of an emulator. The default is the region's address.
        ssl_context: TLS settings for the connection to the service.
        proxy: Proxy URL; an empty string for no proxy. By default, the environment variables decide.
        transport: Transport to use instead of aiohttp. You must close it.
        timeout: Total time for the call, including retries, in seconds.

    Raises:
        SecondFactorRequired: The account requires a code, or the code is wrong (error code 294). `method` is the kind
            of the code.
        TokenRequestError: The e-mail address or the password is wrong, or the user must use SSO.
        ConfigurationError: The e-mail address or the password is empty, or the region is unknown.

    API: `POST /v3/user-session` of the content management API.
    """
    # Rebind the names, so that a traceback with local variables does not show the secrets.
    password = Secret(password or "")
    second_factor = Secret(second_factor) if second_factor else None
    user = _user(email, password, second_factor)
    connection = _Connection(resolve_login_url(region, base_url), borrowed(transport, ssl_context, proxy), timeout)
    request = connection.json_request("POST", "/v3/user-session", {"user": user}, "login")
    try:
        # Do not retry: a request whose response was lost may have created a session.
        response = await connection.send(request, (password, second_factor), repeatable=False)
    except APIError as error:
        raise _refused(error, region) from None
    # The region of another login service is unknown.
    session = _session(response, region if base_url is None else None)
    if session is None:
        raise _unexpected(connection.host, "login", response)
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
    """Request an SMS with the code for `login(second_factor=...)`.

    Args:
        email: The user's e-mail address.
        password: The user's password. The SDK never shows it.
        region: The region of the user's account.
        base_url: Address of the login service. The default is the region's address.
        ssl_context: TLS settings for the connection to the service.
        proxy: Proxy URL; an empty string for no proxy. By default, the environment variables decide.
        transport: Transport to use instead of aiohttp. You must close it.
        timeout: Total time for the call, including retries, in seconds.

    Raises:
        TokenRequestError: The e-mail address or the password is wrong, or the account has no phone number.

    API: `POST /v3/user/request_token_sms` of the content management API.
    """
    password = Secret(password or "")
    user = _user(email, password, None)
    connection = _Connection(resolve_login_url(region, base_url), borrowed(transport, ssl_context, proxy), timeout)
    request = connection.json_request("POST", "/v3/user/request_token_sms", {"user": user}, "requestSms")
    try:
        await connection.send(request, (password,), repeatable=False)
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
    """Log out, and make the token invalid.

    The SDK retries the request if the response is lost.

    Args:
        credentials: The credentials that `login` returned.
        region: The region of the user's account.
        base_url: Address of the login service. The default is the region's address.
        ssl_context: TLS settings for the connection to the service.
        proxy: Proxy URL; an empty string for no proxy. By default, the environment variables decide.
        transport: Transport to use instead of aiohttp. You must close it.
        timeout: Total time for the call, including retries, in seconds.

    Raises:
        InvalidTokenError: The token was already invalid before the first attempt.

    API: `DELETE /v3/user-session` of the content management API.
    """
    # Rebind the name, so that a traceback with local variables does not show the token.
    credentials = hidden_json(credentials)
    _check_kind(credentials, Authtoken)
    connection = _Connection(resolve_login_url(region, base_url), borrowed(transport, ssl_context, proxy), timeout)
    headers = {"authtoken": credentials.token, "Accept": "application/json", "User-Agent": USER_AGENT}
    request = Request("DELETE", f"{connection.host}/v3/user-session", headers, operation="logout")
    try:
        await connection.send(request, (credentials.token,), repeatable=True)
    except InvalidTokenError as error:
        # After a lost response, this error means that an earlier attempt has ended the session.
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
    """Return whether an access token is valid, and which scopes it has.

    The SDK sends the token in the body of the request, not in a header.

    Args:
        credentials: The token to check.
        region: The region that issued the token.
        app_url: Address of the app host, for example of an emulator. The default is the region's address.
        ssl_context: TLS settings for the connection to the service.
        proxy: Proxy URL; an empty string for no proxy. By default, the environment variables decide.
        transport: Transport to use instead of aiohttp. You must close it.
        timeout: Total time for the call, including retries, in seconds.

    Raises:
        ConfigurationError: The region is unknown, or `app_url` is not a valid address.

    API: `POST /apps-api/introspect` of the app host.
    """
    # Rebind the name, so that a traceback with local variables does not show the token.
    credentials = hidden_json(credentials)
    _check_kind(credentials, AccessToken)
    connection = _Connection(resolve_app_url(region, None, app_url), borrowed(transport, ssl_context, proxy), timeout)
    fields = {"token": credentials.token, "token_type_hint": "access_token"}
    request = form_request(f"{connection.host}/apps-api/introspect", fields, "introspect")
    response = await connection.send(request, (credentials.token,), repeatable=True)
    introspection = _introspection(_parsed(response.body))
    if introspection is None:
        raise _unexpected(connection.host, "introspect", response)
    return introspection


@attrs.frozen
class _Connection:
    """The connection to one host, for one call."""

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
        raise ConfigurationError(f"The credentials must be {kind.__name__}(...), not {kind_of(credentials)}")


def _user(email: str, password: str, second_factor: str | None) -> dict[str, JSONValue]:
    missing = [name for name, text in {"email": email, "password": password}.items() if not text]
    if missing:
        raise ConfigurationError(f"The login needs an e-mail address and a password. Missing: {', '.join(missing)}")
    return {"email": email, "password": password, **({"tfa_token": second_factor} if second_factor else {})}


def _refused(error: APIError, region: str) -> APIError:
    """Return the error for a refused login. The error code decides, because the status varies."""
    if _SECOND_FACTOR in error.codes:
        refused = refusal(SecondFactorRequired, error, "Log in again with second_factor='the code'")
        method = _parsed(error.body.encode()).get("tfa_type")
        refused.method = method if isinstance(method, str) else None
        return refused
    if error.status in _REFUSALS:
        return refusal(
            TokenRequestError,
            error,
            f"Check the e-mail address, the password and the region ({region}). Users of single sign-on cannot get an "
            "authtoken. Let them authorize an app with begin_authorization(...)",
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
        f"The response from {host} does not have the documented format. Check the address and the proxies: another "
        "server may have answered",
        operation=operation,
        status=response.status,
    )
