"""Requests to the token endpoint, for every kind of grant."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from launch_async.auth.auth_request import AuthRequest, form_request, known_secrets, refusal
from launch_async.auth.token_cache import TokenSet, TokenState, read_token_answer
from launch_async.errors import APIError, DecodeError, NotFoundError, TokenRequestError
from launch_async.http.base import Response
from launch_async.http.credentials import Issuer

__all__ = ["fetch_tokens", "secret_field"]

_LOG: Final = logging.getLogger(__name__)
_PATHS: Final = ("/apps-api/apps/token", "/apps-api/token")
"""Both paths are documented. The SDK uses the second path if the first one does not exist."""
_OPERATION: Final = "oauthToken"
_SECRETS: Final = ("client_secret", "refresh_token", "code", "code_verifier")
_REFUSALS: Final = frozenset({400, 401, 403, 404})


async def fetch_tokens(
    issuer: Issuer, token_path: str | None, fields: Mapping[str, str], previous: TokenSet | None, state: TokenState
) -> TokenSet:
    """Request tokens at each path of the token endpoint, until a path exists."""
    call = AuthRequest(
        transport=issuer.transport,
        secrets=known_secrets(fields.get(name) for name in _SECRETS),
        # A code works only once. The other grants can be requested again after a lost response.
        repeatable="code" not in fields,
    )
    paths = (token_path,) if token_path else _PATHS
    try:
        response = await _first_answer(call, issuer.app_url, paths, fields)
    except APIError as error:
        if error.status in _REFUSALS:
            raise refusal(TokenRequestError, error, _advice(error, fields, issuer.app_url)) from None
        raise
    tokens = read_token_answer(response.body, previous, state.clock())
    if tokens is None:
        raise DecodeError(
            f"The response from {issuer.app_url} contains no bearer token. Check app_url and the proxies: another "
            "server may have answered",
            operation=_OPERATION,
            status=response.status,
        )
    lifetime = tokens.expires_at - tokens.issued_at
    _LOG.debug("Received a token that is valid for %.0f s", lifetime, extra={"operation": _OPERATION})
    return tokens


async def _first_answer(call: AuthRequest, app_url: str, paths: Sequence[str], fields: Mapping[str, str]) -> Response:
    """Send the request to each path in turn, until a path exists."""
    *others, last = paths
    for path in others:
        with contextlib.suppress(NotFoundError):
            return await call.send(form_request(f"{app_url}/{path.lstrip('/')}", fields, _OPERATION))
    return await call.send(form_request(f"{app_url}/{last.lstrip('/')}", fields, _OPERATION))


def _advice(error: APIError, fields: Mapping[str, str], app_url: str) -> str:
    """Return advice on how to fix a refusal."""
    if error.status == 404:
        return f"There is no token endpoint at {app_url}. Pass the right app_url= or token_path="
    if "invalid grant_type" in error.body and fields["grant_type"] == "client_credentials":
        return (
            "The app is a standard app, not a machine-to-machine (M2M) app. Create an M2M app in Developer Hub (your "
            "plan must include M2M), or let a user authorize this app with begin_authorization(...)"
        )
    if "code" in fields:
        return "A code works only once and for 60 s. Call begin_authorization(...) again"
    if "refresh_token" in fields and error.status == 400:
        return "The refresh token was used or revoked. Authorize the app again with begin_authorization(...)"
    if "invalid_scope" in error.body:
        return "Add these scopes to the app in Developer Hub, or request fewer scopes with scopes="
    return f"Check the client id, the client secret and the region. The request was sent to {app_url}"


def secret_field(client_secret: str | None) -> dict[str, str]:
    """Return the form field of the client secret; empty without a client secret."""
    return {"client_secret": client_secret} if client_secret else {}
