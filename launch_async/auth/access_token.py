"""Credentials with an OAuth bearer token. The token belongs to one organization."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import attrs

from launch_async.auth.tokens import bare, check_token, scope_set
from launch_async.http.credentials import Credentials, TokenKind
from launch_async.wire.secret import Secret

__all__ = ["AccessToken"]


@attrs.frozen(init=False)
class AccessToken(Credentials):
    """An OAuth bearer token of a user or an app. The SDK sends it as `Authorization: Bearer`.

    Attributes:
        token: The token, with or without the prefix `Bearer `. The SDK never shows it.
        kind: `"user"` or `"app"`, if known. An operation that an app cannot do then raises `MissingScopeError`, and the
            SDK sends no request.
        scopes: The OAuth scopes of the token, if known. An operation that the scopes do not allow then raises
            `MissingScopeError`, and the SDK sends no request.

    Raises:
        ConfigurationError: The token is empty, or contains characters that a header cannot contain.
    """

    token: str = attrs.field(repr=False)
    kind: TokenKind | None  # pyright: ignore[reportIncompatibleMethodOverride]
    scopes: frozenset[str] | None  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(self, token: str, *, kind: TokenKind | None = None, scopes: Collection[str] | None = None) -> None:
        # Rebind the name before any check, so that a traceback with local variables does not show the token.
        given, token = type(token), bare(token, "AccessToken")
        object.__setattr__(self, "token", token)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "scopes", None)
        object.__setattr__(self, "scopes", scope_set(scopes))
        check_token(token, given, "AccessToken")

    @property
    def identity(self) -> str:
        """A digest of the token. Clients with the same digest share a rate limit."""
        return f"token-{hashlib.sha256(self.token.encode()).hexdigest()[:16]}"

    async def headers(self) -> Mapping[str, str]:
        """Return the `Authorization` header."""
        return {"Authorization": Secret(f"Bearer {self.token}")}
