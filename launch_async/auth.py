"""Credentials: what a request carries so that Launch knows who sends it.

`Authtoken` is a user's session and needs the organization beside it; `AccessToken` is an OAuth bearer token, which
knows its organization by itself (FACTS §3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Protocol

import attrs

from launch_async.errors import ConfigurationError

__all__ = ["AccessToken", "Authtoken", "Credentials"]

_UNSAFE_IN_HEADER: Final = re.compile(r"[^\x21-\x7e]")


class Credentials(Protocol):
    """What the pipeline asks of credentials; implement it to bring your own.

    Attributes:
        needs_organization: Whether requests are refused without an organization UID.
    """

    @property
    def needs_organization(self) -> bool:
        """Whether requests are refused without an organization UID."""
        ...

    async def headers(self) -> Mapping[str, str]:
        """Return the headers that authenticate a request, refreshed beforehand if they are about to expire."""
        ...

    async def refresh(self) -> bool:
        """Replace what the service has just refused (401); return False if there is nothing to replace it with."""
        ...


def _checked_token(token: str, name: str) -> str:
    """Return a token that may stand in a header, without ever repeating it in an error."""
    stripped = token.strip()
    if not stripped:
        raise ConfigurationError(f"{name}: the token is empty")
    if _UNSAFE_IN_HEADER.search(stripped):
        raise ConfigurationError(f"{name}: the token contains white space, control or non-ASCII characters")
    return stripped


def _authtoken(token: str) -> str:
    return _checked_token(token, "Authtoken")


def _access_token(token: str) -> str:
    bare = token.strip()
    return _checked_token(bare[7:] if bare[:7].lower() == "bearer " else bare, "AccessToken")


@attrs.frozen
class Authtoken:
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

    async def headers(self) -> Mapping[str, str]:
        """Return the `authtoken` header."""
        return {"authtoken": self.token}

    async def refresh(self) -> bool:
        """Return False: a session token cannot be renewed."""
        return False


@attrs.frozen
class AccessToken:
    """An OAuth bearer token of a user or an app, sent as `Authorization: Bearer` (FACTS §3).

    Attributes:
        token: The token, with or without `Bearer ` before it; never shown.

    Raises:
        ConfigurationError: The token is empty or would break a header.
    """

    token: str = attrs.field(repr=False, converter=_access_token)

    @property
    def needs_organization(self) -> bool:
        """Always false: the token knows its organization."""
        return False

    async def headers(self) -> Mapping[str, str]:
        """Return the `Authorization` header."""
        return {"Authorization": f"Bearer {self.token}"}

    async def refresh(self) -> bool:
        """Return False: a bare token cannot be renewed."""
        return False
