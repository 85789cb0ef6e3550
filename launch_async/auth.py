"""Credentials: what a request carries so that Launch knows who sends it.

`Authtoken` is a user's session and needs the organization beside it; `AccessToken` is an OAuth bearer token, which
knows its organization by itself (FACTS §3).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Final, Literal, Protocol, TypeAlias

import attrs

from launch_async.errors import ConfigurationError

__all__ = ["AccessToken", "Authtoken", "Credentials"]

TokenKind: TypeAlias = Literal["user", "app"]
"""Who is behind a token: an app (M2M) may do everything but the Git variants of creation (FACTS §3)."""

_UNSAFE_IN_HEADER: Final = re.compile(r"[^\x21-\x7e]")
_SCHEME: Final = re.compile(r"^\s*bearer(\s+|$)", re.IGNORECASE)


class Credentials(Protocol):
    """What the pipeline asks of credentials; subclass it to bring your own, only `headers` has no default."""

    @property
    def needs_organization(self) -> bool:
        """Whether requests are refused without an organization UID."""
        return False

    @property
    def organization_uid(self) -> str | None:
        """The organization that the credentials belong to, once it is known."""
        return None

    @property
    def identity(self) -> str:
        """Names the budget while the organization is not known; holds no secret."""
        return ""

    @property
    def kind(self) -> TokenKind | None:
        """Whether a user or an app is behind them; None if that is not known."""
        return None

    @property
    def scopes(self) -> frozenset[str] | None:
        """OAuth scopes that were granted; None if they are not known, or everything is allowed."""
        return None

    async def headers(self) -> Mapping[str, str]:
        """Return the headers that authenticate a request, refreshed beforehand if they are about to expire."""
        ...

    async def refresh(self) -> bool:
        """Replace what the service has just refused (401); return False if there is nothing to replace it with."""
        return False


def _checked_token(token: str, name: str) -> str:
    """Return a token that may stand in a header, without ever repeating it in an error."""
    stripped = _checked_type(token, name).strip()
    if not stripped:
        raise ConfigurationError(f"{name}: the token is empty")
    if _UNSAFE_IN_HEADER.search(stripped):
        raise ConfigurationError(f"{name}: the token contains white space, control or non-ASCII characters")
    return stripped


def _checked_type(token: str, name: str) -> str:
    # What comes from an environment variable that is not set is None, whatever the annotation says.
    if not isinstance(token, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{name}: the token is missing, got {type(token).__name__} instead of a string")
    return token


def _authtoken(token: str) -> str:
    return _checked_token(token, "Authtoken")


def _access_token(token: str) -> str:
    bare = _SCHEME.sub("", _checked_type(token, "AccessToken"))
    return _checked_token(bare, "AccessToken")


@attrs.frozen
class Authtoken(Credentials):
    """A user's session token, from logging in; `LaunchClient` needs `organization_uid` beside it (FACTS §3).

    Attributes:
        token: The token; never shown.

    Raises:
        ConfigurationError: The token is empty or would break a header.
    """

    token: str = attrs.field(repr=False, converter=_authtoken)

    @property
    def needs_organization(self) -> bool:
        """Always true: Launch refuses an authtoken without `organization_uid`."""
        return True

    @property
    def kind(self) -> TokenKind | None:
        """Always a user."""
        return "user"

    async def headers(self) -> Mapping[str, str]:
        """Return the `authtoken` header."""
        return {"authtoken": self.token}


@attrs.frozen
class AccessToken(Credentials):
    """An OAuth bearer token of a user or an app, sent as `Authorization: Bearer` (FACTS §3).

    Attributes:
        token: The token, with or without `Bearer ` before it; never shown.
        issued_to: Whether a user or an app is behind it, if you know: what it cannot do is then refused at once.
        granted: The scopes it was issued for, if you know, to the same end.

    Raises:
        ConfigurationError: The token is empty or would break a header.
    """

    token: str = attrs.field(repr=False, converter=_access_token)
    issued_to: TokenKind | None = attrs.field(default=None, kw_only=True)
    granted: Collection[str] | None = attrs.field(default=None, kw_only=True)

    @property
    def identity(self) -> str:
        """A digest of the token: clients with the same one share a budget."""
        return f"token-{hashlib.sha256(self.token.encode()).hexdigest()[:16]}"

    @property
    def kind(self) -> TokenKind | None:
        """Who is behind the token, if that was said."""
        return self.issued_to

    @property
    def scopes(self) -> frozenset[str] | None:
        """OAuth scopes that were granted, if that was said."""
        return None if self.granted is None else frozenset(self.granted)

    async def headers(self) -> Mapping[str, str]:
        """Return the `Authorization` header."""
        return {"Authorization": f"Bearer {self.token}"}
