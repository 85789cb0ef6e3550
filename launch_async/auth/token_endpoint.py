"""The token endpoint: asks for tokens, of every grant, and explains its refusals (FACTS §3, §11 rows 9 to 11)."""

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
"""Both are current; the second is asked where the first one does not exist (FACTS §11 row 9)."""
_OPERATION: Final = "oauthToken"
_SECRETS: Final = ("client_secret", "refresh_token", "code", "code_verifier")
_REFUSALS: Final = frozenset({400, 401, 403, 404})


async def fetch_tokens(
    issuer: Issuer, token_path: str | None, fields: Mapping[str, str], previous: TokenSet | None, state: TokenState
) -> TokenSet:
    """Ask the token endpoint, at each of its paths until one exists."""
    call = AuthRequest(
        transport=issuer.transport,
        secrets=known_secrets(fields.get(name) for name in _SECRETS),
        # A code counts once; the other grants may be asked for again after a lost answer.
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
            f"the answer of {issuer.app_url} holds no bearer token. Check app_url and proxies: something else may have "
            "answered",
            operation=_OPERATION,
            status=response.status,
        )
    _LOG.debug("got a token for %.0f s", tokens.expires_at - tokens.issued_at, extra={"operation": _OPERATION})
    return tokens


async def _first_answer(call: AuthRequest, app_url: str, paths: Sequence[str], fields: Mapping[str, str]) -> Response:
    """Send to each path in turn; only where one does not exist is the next one tried."""
    *others, last = paths
    for path in others:
        with contextlib.suppress(NotFoundError):
            return await call.send(form_request(f"{app_url}/{path.lstrip('/')}", fields, _OPERATION))
    return await call.send(form_request(f"{app_url}/{last.lstrip('/')}", fields, _OPERATION))


def _advice(error: APIError, fields: Mapping[str, str], app_url: str) -> str:
    """Say what to do about a refusal (FACTS §3)."""
    if error.status == 404:
        return f"There is no token endpoint at {app_url}: give token_path= or app_url="
    if "invalid grant_type" in error.body and fields["grant_type"] == "client_credentials":
        return (
            "The app is a standard app and not a machine-to-machine one: make an M2M app in Developer Hub (the plan "
            "must include it), or let a user authorize this one (begin_authorization)"
        )
    if "code" in fields:
        return "A code counts once and for 60 s: begin the authorization again"
    if "refresh_token" in fields and error.status == 400:
        return "The refresh token was used or revoked: authorize the app again (begin_authorization)"
    if "invalid_scope" in error.body:
        return "Give the app these scopes in Developer Hub, or ask for fewer (scopes=)"
    return f"Check the client id, the secret and the region: the token was asked for at {app_url}"


def secret_field(client_secret: str | None) -> dict[str, str]:
    """Return the form field of a client secret, if there is one."""
    return {"client_secret": client_secret} if client_secret else {}
