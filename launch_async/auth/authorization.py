"""A user authorizes an app in the browser: authorization code with PKCE (S256) and `state` (FACTS §3).

`begin_authorization` gives the address to open; `finish_authorization` turns the address that the browser is sent back
to into `OAuthCredentials`. How the browser is opened, and how that address is received, is the program's business.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import ssl
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import attrs

from launch_async.auth.oauth import MemoryTokenStore, OAuthCredentials, TokenStore
from launch_async.auth.token_endpoint import fetch_tokens, secret_field
from launch_async.auth.tokens import scope_set
from launch_async.errors import AuthorizationError
from launch_async.http.aiohttp_transport import borrowed
from launch_async.http.base import Transport
from launch_async.http.credentials import Issuer
from launch_async.settings import resolve_app_url
from launch_async.wire.secret import Secret

__all__ = ["AuthorizationRequest", "begin_authorization", "finish_authorization"]

_MANAGE: Final = ("launch:manage",)


@attrs.frozen(kw_only=True)
class AuthorizationRequest:
    """A browser step that is under way. Keep it until the browser comes back; it holds secrets that are never shown.

    Attributes:
        url: The address to open in the user's browser.
        client_id: The app's id.
        redirect_uri: Where the browser is sent afterwards.
        app_url: The app host that was asked.
        state: What must come back with the browser.
        code_verifier: Proves that whoever redeems the code has asked for it (PKCE).
    """

    url: str = attrs.field(repr=False)
    client_id: str
    redirect_uri: str
    app_url: str
    state: str = attrs.field(repr=False)
    code_verifier: str = attrs.field(repr=False)


def begin_authorization(
    app_uid: str,
    client_id: str,
    redirect_uri: str,
    *,
    scopes: Collection[str] = _MANAGE,
    region: str = "na",
    app_url: str | None = None,
) -> AuthorizationRequest:
    """Return the address where a user authorizes an app, with what is needed to finish (FACTS §3).

    Args:
        app_uid: The app's UID, from Developer Hub.
        client_id: Its client id.
        redirect_uri: One of the app's redirect URIs; the browser comes back there.
        scopes: OAuth scopes to ask the user for; `launch:manage` by default.
        region: Where the organization lives, by any alias, such as `eu`.
        app_url: Address of the app host instead of the region's.

    Raises:
        ConfigurationError: The region is unknown, or `app_url` is not an address.
    """
    host = resolve_app_url(region, None, app_url)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(sorted(scope_set(scopes) or ())),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return AuthorizationRequest(
        url=f"{host}/#!/apps/{quote(app_uid, safe='')}/authorize?{urlencode(query)}",
        client_id=client_id,
        redirect_uri=redirect_uri,
        app_url=host,
        state=state,
        code_verifier=Secret(verifier),
    )


async def finish_authorization(
    request: AuthorizationRequest,
    redirected_to: str,
    *,
    store: TokenStore | None = None,
    client_secret: str | None = None,
    token_path: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = None,
    transport: Transport | None = None,
) -> OAuthCredentials:
    """Redeem what the browser came back with, within 60 s, and return credentials for clients of the same region.

    Args:
        request: What `begin_authorization` returned.
        redirected_to: The whole address that the browser was sent to.
        store: Where the tokens shall live; only in memory by default.
        client_secret: The app's secret, unless it is a public app.
        token_path: Path of the token endpoint; by default as for `OAuthCredentials`.
        ssl_context: How to verify the app host.
        proxy: Proxy URL; by default what the environment says, empty for none.
        transport: Performs the exchange instead of aiohttp; it stays yours to close.

    Raises:
        AuthorizationError: The user refused, or the address does not belong to the request (`state`).
        TokenRequestError: The code is used, too old or another app's.
    """
    # Rebound: a traceback with local variables must not show them.
    redirected_to = Secret(redirected_to)
    client_secret = Secret(client_secret) if client_secret else None
    code = _code_of(redirected_to, request.state)
    credentials = OAuthCredentials(
        request.client_id,
        redirect_uri=request.redirect_uri,
        store=store or MemoryTokenStore(),
        client_secret=client_secret,
        token_path=token_path,
    )
    credentials.state.settle(request.app_url)
    fields = {
        "grant_type": "authorization_code",
        "client_id": request.client_id,
        "redirect_uri": request.redirect_uri,
        "code": code,
        "code_verifier": request.code_verifier,
        **secret_field(client_secret),
    }
    async with borrowed(transport, ssl_context, proxy) as way:
        issuer = Issuer(request.app_url, way)
        tokens = await fetch_tokens(issuer, token_path, fields, None, credentials.state)
    credentials.state.keep(tokens)
    await credentials.store.save(tokens)
    return credentials


def _code_of(address: str, state: str) -> Secret:
    """Return the code in the address that the browser was sent to."""
    found = {name: Secret(values[-1]) for name, values in parse_qs(urlsplit(address).query).items()}
    if not hmac.compare_digest(found.get("state", "").encode(), state.encode()):
        raise AuthorizationError(
            "the address that the browser came back with does not belong to this request (its state differs): somebody "
            "else may have made it. Begin again"
        )
    if "error" in found:
        said = " ".join(str(found.get("error_description", found["error"])).split())[:200]
        raise AuthorizationError(f"the app was not authorized: {said}")
    if not found.get("code"):
        raise AuthorizationError("the address that the browser came back with carries no code. Begin again")
    return found["code"]
