"""The interface of credentials. The package `launch_async.auth` contains the credentials of the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol, TypeAlias

from launch_async.errors import ConfigurationError
from launch_async.http.base import Transport

__all__ = ["Credentials", "Issuer", "TokenKind", "check_organization"]

TokenKind: TypeAlias = Literal["user", "app"]
"""The owner of a token. An app (M2M) can do everything that a user can, except create from Git."""


class Issuer(NamedTuple):
    """The address from which a client gets tokens, and the transport for the requests.

    Attributes:
        app_url: Address of the app host, without a slash at the end.
        transport: The client's transport. The client closes its connections.
    """

    app_url: str
    transport: Transport


class Credentials(Protocol):
    """The interface of credentials. Subclass it for custom credentials: only `headers` has no default."""

    @property
    def needs_organization(self) -> bool:
        """Whether the service refuses requests without an organization UID."""
        return False

    @property
    def organization_uid(self) -> str | None:
        """The UID of the organization that the credentials belong to; None if it is not known yet."""
        return None

    @property
    def identity(self) -> str:
        """The name of the rate limit while the organization is not known. It must not contain a secret."""
        return ""

    @property
    def kind(self) -> TokenKind | None:
        """The owner of the credentials, `"user"` or `"app"`; None if the owner is not known."""
        return None

    @property
    def scopes(self) -> frozenset[str] | None:
        """The granted OAuth scopes; None if they are not known, or if everything is allowed."""
        return None

    @property
    def location(self) -> str | None:
        """The region that issued the token, by any of its names; None if the region is not known."""
        return None

    def bound(self, issuer: Issuer) -> Credentials:  # noqa: ARG002, RUF100
        """Return the credentials for one client. Credentials that fetch tokens get the address here."""
        return self

    async def headers(self) -> Mapping[str, str]:
        """Return the headers that authenticate a request. Refresh the token first if it is about to expire."""
        ...

    async def refresh(self) -> bool:
        """Replace a token that the service has refused (401); return False if there is no new token."""
        return False


def check_organization(
    credentials: Credentials | None, organization_uid: str | None, *, operation: str | None = None
) -> None:
    """Check that an organization UID is set if the credentials need it.

    Raises:
        ConfigurationError: The organization UID is missing.
    """
    if credentials is not None and credentials.needs_organization and organization_uid is None:
        raise ConfigurationError(
            "organization_uid is missing. Launch refuses an authtoken without an organization UID. Pass "
            "organization_uid='blt...' to the client. The console shows the UID in the organization's settings",
            operation=operation,
        )
