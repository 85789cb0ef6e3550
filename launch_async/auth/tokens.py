"""Credentials: what a request carries so that Launch knows who sends it.

`Authtoken` is a user's session and needs the organization beside it; `AccessToken` is an OAuth bearer token, which
knows its organization by itself (FACTS §3). `launch_async.auth.oauth` has those that renew themselves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Final

import attrs

from launch_async.errors import ConfigurationError
from launch_async.http.credentials import Credentials, TokenKind
from launch_async.wire.secret import Secret, kind_of

__all__ = ["AccessToken", "Authtoken"]

_UNSAFE_IN_HEADER: Final = re.compile(r"[^\x21-\x7e]")
_SCHEME: Final = re.compile(r"^\s*bearer(\s+|$)", re.IGNORECASE)


def scope_set(scopes: Collection[str] | None) -> frozenset[str] | None:
    """Return scopes as a set, also where they are one text with blanks between, as OAuth writes them."""
    if scopes is None:
        return None
    if not isinstance(scopes, Collection):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"scopes are a list or one text with blanks between, not a {type(scopes).__name__}")
    return frozenset(scopes.split() if isinstance(scopes, str) else scopes)


def check_credentials(credentials: object) -> None:
    """Check that what a caller passes as credentials can be asked for headers, and is not the bare token."""
    if credentials is not None and (isinstance(credentials, type) or not hasattr(credentials, "bound")):
        # Never itself: it may be the token.
        kind = "class" if isinstance(credentials, type) else kind_of(credentials)
        raise ConfigurationError(f"credentials must be AccessToken(...), Authtoken(...) or the like, not a {kind}")


def is_quoted(text: str) -> bool:
    """Return whether a text still has the quotes around it that a shell or a settings file should have taken away."""
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"


def _bare(token: str, name: str) -> Secret:
    """Return a token without its scheme and the white space around it, marked as a secret; empty for what is none."""
    if not isinstance(token, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        return Secret()
    return Secret((_SCHEME.sub("", token) if name == "AccessToken" else token).strip())


def _check_token(token: str, given: type, name: str) -> None:
    """Check that a token may stand in a header, without ever repeating it in an error."""
    if not issubclass(given, str):
        # What comes from an environment variable that is not set is None, whatever the annotation says.
        raise ConfigurationError(f"{name}: the token is missing, got {given.__name__} instead of a string")
    if not token:
        raise ConfigurationError(f"{name}: the token is empty")
    if _UNSAFE_IN_HEADER.search(token):
        raise ConfigurationError(f"{name}: the token contains white space, control or non-ASCII characters")
    if is_quoted(token):
        raise ConfigurationError(f"{name}: the token has quotes around it; give it without them")


@attrs.frozen(init=False)
class Authtoken(Credentials):
    """A user's session token, from logging in; `LaunchClient` needs `organization_uid` beside it (FACTS §3).

    Attributes:
        token: The token; never shown.
        location: The region where the user logged in, if you know: an error about the wrong region then names it.

    Raises:
        ConfigurationError: The token is empty or would break a header.
    """

    token: str = attrs.field(repr=False)
    # An attribute where the protocol has a property: reading it is the same.
    location: str | None = attrs.field(eq=False)  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(self, token: str, *, location: str | None = None) -> None:
        # Rebound and set before any check: a traceback that shows local variables shows this frame, too.
        given, token = type(token), _bare(token, "Authtoken")
        object.__setattr__(self, "token", token)
        object.__setattr__(self, "location", location)
        _check_token(token, given, "Authtoken")

    @property
    def needs_organization(self) -> bool:
        """Always true: Launch refuses an authtoken without `organization_uid`."""
        return True

    @property
    def kind(self) -> TokenKind | None:
        """Always `"user"`."""
        return "user"

    async def headers(self) -> Mapping[str, str]:
        """Return the `authtoken` header."""
        return {"authtoken": self.token}


@attrs.frozen(init=False)
class AccessToken(Credentials):
    """An OAuth bearer token of a user or an app, sent as `Authorization: Bearer` (FACTS §3).

    Attributes:
        token: The token, with or without `Bearer ` before it; never shown.
        kind: `"user"` or `"app"`, if you know who is behind it: what an app cannot do is then refused before a
            request.
        scopes: The OAuth scopes it was issued for, if you know: what they do not allow is then refused before a
            request.

    Raises:
        ConfigurationError: The token is empty or would break a header.
    """

    token: str = attrs.field(repr=False)
    kind: TokenKind | None  # pyright: ignore[reportIncompatibleMethodOverride]
    scopes: frozenset[str] | None  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(self, token: str, *, kind: TokenKind | None = None, scopes: Collection[str] | None = None) -> None:
        # Rebound and set before any check: a traceback that shows local variables shows this frame, too.
        given, token = type(token), _bare(token, "AccessToken")
        object.__setattr__(self, "token", token)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "scopes", None)
        object.__setattr__(self, "scopes", scope_set(scopes))
        _check_token(token, given, "AccessToken")

    @property
    def identity(self) -> str:
        """A digest of the token: clients with the same one share a budget."""
        return f"token-{hashlib.sha256(self.token.encode()).hexdigest()[:16]}"

    async def headers(self) -> Mapping[str, str]:
        """Return the `Authorization` header."""
        return {"Authorization": Secret(f"Bearer {self.token}")}
