"""What the pipeline asks of credentials; `launch_async.auth` has those that come with the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

import attrs

from launch_async.errors import ConfigurationError
from launch_async.http.base import Transport

__all__ = ["Credentials", "Issuer", "TokenKind", "check_organization"]

TokenKind: TypeAlias = Literal["user", "app"]
"""Who is behind a token: an app (M2M) may do everything but the Git variants of creation (FACTS §3)."""


@attrs.frozen
class Issuer:
    """Where one client gets tokens, and the way there.

    Attributes:
        app_url: Address of the app host, without a slash at the end.
        transport: The client's transport; its connections are the client's to close.
    """

    app_url: str
    transport: Transport = attrs.field(repr=False)


class Credentials(Protocol):
    """What a client asks of credentials. Subclass it for your own: only `headers` has no default."""

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
        """`"user"` or `"app"`, by who is behind them; None if that is not known."""
        return None

    @property
    def scopes(self) -> frozenset[str] | None:
        """OAuth scopes that were granted; None if they are not known, or everything is allowed."""
        return None

    @property
    def location(self) -> str | None:
        """The region that issued the token, in any spelling of its name; None if that is not known."""
        return None

    def bound(self, issuer: Issuer) -> Credentials:  # noqa: ARG002, RUF100
        """Return what one client uses; credentials that fetch tokens learn here from where."""
        return self

    async def headers(self) -> Mapping[str, str]:
        """Return the headers that authenticate a request, refreshed beforehand if they are about to expire."""
        ...

    async def refresh(self) -> bool:
        """Replace what the service has just refused (401); return False if there is nothing to replace it with."""
        return False


def check_organization(
    credentials: Credentials | None, organization_uid: str | None, *, operation: str | None = None
) -> None:
    """Check that the organization is given where the credentials need it (FACTS §3).

    Raises:
        ConfigurationError: It is missing.
    """
    if credentials is not None and credentials.needs_organization and organization_uid is None:
        raise ConfigurationError(
            "organization_uid is missing: Launch refuses an authtoken without it. Pass organization_uid='blt...' to "
            "the client; the console shows it in the organization's settings",
            operation=operation,
        )
