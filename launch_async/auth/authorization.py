"""Let a user authorize an app in the browser: authorization code with PKCE (S256) and `state`.

`begin_authorization` returns the address to open in the browser. Launch then redirects the browser to the redirect URI
of your program. `finish_authorization` exchanges the code in the redirect address for `OAuthCredentials`. Your program
opens the browser and receives the redirect.
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
    """A running authorization. Keep the object until the browser returns. Its `repr` does not show the secrets.

    Attributes:
        url: The address to open in the user's browser.
        client_id: The app's client id.
        redirect_uri: The address to which Launch redirects the browser.
        app_url: The address of the app host.
        state: A random string that the redirect address must contain.
        code_verifier: The PKCE secret. It proves that the program that exchanges the code started the authorization.
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
    """Return the address at which a user authorizes an app, and the data that `finish_authorization` needs.

    Args:
        app_uid: The app's UID, from Developer Hub.
        client_id: The app's client id.
        redirect_uri: One of the app's redirect URIs. Launch redirects the browser to this address.
        scopes: OAuth scopes to request from the user; `launch:manage` by default.
        region: The region of the organization, by any alias, such as `eu`.
        app_url: Address of the app host. The default is the region's address.

    Raises:
        ConfigurationError: The region is unknown, or `app_url` is not a valid address.
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
    """Exchange the code in the redirect address for tokens, and return credentials for clients of the same region.

    The code is valid for 60 s.

    Args:
        request: The return value of `begin_authorization`.
        redirected_to: The complete address to which Launch redirected the browser.
        store: Storage for the tokens; by default only in memory.
        client_secret: The app's client secret; None for a public app.
        token_path: Path of the token endpoint; by default as for `OAuthCredentials`.
        ssl_context: TLS settings for the connection to the app host.
        proxy: Proxy URL; an empty string for no proxy. By default, the environment variables decide.
        transport: Transport to use instead of aiohttp. You must close it.

    Raises:
        AuthorizationError: The user refused the authorization, or the redirect address belongs to another request (it
            has another `state`).
        TokenRequestError: The code was used before, has expired, or belongs to another app.
    """
    # Rebind the names, so that a traceback with local variables does not show the secrets.
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
    credentials.state.bind_to(request.app_url)
    fields = {
        "grant_type": "authorization_code",
        "client_id": request.client_id,
        "redirect_uri": request.redirect_uri,
        "code": code,
        "code_verifier": request.code_verifier,
        **secret_field(client_secret),
    }
    async with borrowed(transport, ssl_context, proxy) as opened:
        issuer = Issuer(request.app_url, opened)
        tokens = await fetch_tokens(issuer, token_path, fields, None, credentials.state)
    credentials.state.keep(tokens)
    await credentials.store.save(tokens)
    return credentials


def _code_of(address: str, state: str) -> Secret:
    """Return the code from the redirect address."""
    found = {name: Secret(values[-1]) for name, values in parse_qs(urlsplit(address).query).items()}
    if not hmac.compare_digest(found.get("state", "").encode(), state.encode()):
        raise AuthorizationError(
            "The redirect address does not belong to this authorization, because its state differs. Another person or "
            "program may have created the address. Call begin_authorization(...) again"
        )
    if "error" in found:
        reason = " ".join(str(found.get("error_description", found["error"])).split())[:200]
        raise AuthorizationError(f"The app was not authorized: {reason}")
    if not found.get("code"):
        raise AuthorizationError("The redirect address contains no code. Call begin_authorization(...) again")
    return found["code"]
