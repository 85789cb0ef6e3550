"""Credentials that fetch and renew the tokens of an app (client credentials) or of a user (refresh token).

You can pass the credentials to any number of clients, in any threads and on any event loops. The clients share the
tokens. The SDK renews the tokens once for all clients, 60 s before they expire. The token endpoint is on the app host
of the client's region. The SDK never sends a secret to a second token endpoint. `launch_async.auth.authorization` gets
the first tokens of a user.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Final, Protocol, TypeVar

import attrs

from launch_async.auth.token_cache import TokenSet, TokenState
from launch_async.auth.token_endpoint import fetch_tokens, secret_field
from launch_async.auth.tokens import is_quoted, scope_set
from launch_async.errors import AuthorizationError, ConfigurationError, TokenRequestError
from launch_async.http.credentials import Credentials, Issuer, TokenKind
from launch_async.wire.secret import Secret

__all__ = ["AppCredentials", "MemoryTokenStore", "OAuthCredentials", "TokenSet", "TokenStore"]

_MANAGE: Final = ("launch:manage",)
_RENEWAL_GRACE_S: Final = 5.0
"""How long a renewal may continue after its caller was cancelled, because the new tokens must not be lost."""
T = TypeVar("T")


class TokenStore(Protocol):
    """Storage for a user's tokens between two runs of a program. The SDK calls it on the client's event loop."""

    async def load(self) -> TokenSet | None:
        """Return the tokens of the last `save`; None if there are none."""
        ...

    async def save(self, tokens: TokenSet) -> None:
        """Store new tokens. The previous refresh token may no longer work."""
        ...


class MemoryTokenStore:
    """A token store in memory. The tokens are lost when the program ends.

    Args:
        tokens: The initial tokens; None for an empty store.
    """

    def __init__(self, tokens: TokenSet | None = None) -> None:
        self._tokens = tokens

    async def load(self) -> TokenSet | None:
        """Return the tokens of the last `save`; None if there are none."""
        return self._tokens

    async def save(self, tokens: TokenSet) -> None:
        """Store new tokens until the program ends."""
        self._tokens = tokens


@attrs.frozen
class _Renewing(Credentials):
    """The common part of both kinds: a shared token state, and a view of the state for each client."""

    client_id: str
    token_path: str | None
    state: TokenState = attrs.field(repr=False, eq=False)

    @property
    def identity(self) -> str:
        """A digest of the client id.

        Until the organization is known, clients with the same digest share a rate limit.
        """
        return f"app-{hashlib.sha256(self.client_id.encode()).hexdigest()[:16]}"

    @property
    def organization_uid(self) -> str | None:
        """The organization of the current tokens; None before the first tokens."""
        tokens = self.state.tokens
        return tokens.organization_uid if tokens else None

    @property
    def location(self) -> str | None:
        """The region that issued the current tokens; None before the first tokens."""
        tokens = self.state.tokens
        return tokens.location if tokens else None

    def bound(self, issuer: Issuer) -> Credentials:
        """Return a view for one client, with the token endpoint of this client.

        Raises:
            ConfigurationError: The credentials are already in use with another token endpoint.
        """
        self.state.bind_to(issuer.app_url)
        return _View(self, issuer)

    async def headers(self) -> Mapping[str, str]:
        """Raise an error, because only a client knows the token endpoint.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            f"{type(self).__name__} objects fetch tokens only for a client. Pass the object to LaunchClient(...)"
        )

    async def renewed(self, issuer: Issuer, tokens: TokenSet | None, refused: str | None) -> TokenSet:
        """Fetch new tokens."""
        raise NotImplementedError


@attrs.define(eq=False)
class _View(Credentials):
    """One client's view of credentials that renew their tokens."""

    _owner: _Renewing
    _issuer: Issuer
    _last_token: str | None = attrs.field(default=None, init=False, repr=False)
    """The last access token that this client received."""

    @property
    def organization_uid(self) -> str | None:
        return self._owner.organization_uid

    @property
    def identity(self) -> str:
        return self._owner.identity

    @property
    def kind(self) -> TokenKind | None:
        return self._owner.kind

    @property
    def scopes(self) -> frozenset[str] | None:
        return self._owner.scopes

    @property
    def location(self) -> str | None:
        return self._owner.location

    async def headers(self) -> Mapping[str, str]:
        tokens = await self._owner.state.current(self._renew)
        self._last_token = tokens.access_token
        return {"Authorization": Secret(f"Bearer {tokens.access_token}")}

    async def refresh(self) -> bool:
        tokens = await self._owner.state.current(self._renew, refused=self._last_token)
        return tokens.access_token != self._last_token

    async def _renew(self, tokens: TokenSet | None, refused: str | None) -> TokenSet:
        return await self._owner.renewed(self._issuer, tokens, refused)


@attrs.frozen(init=False)
class AppCredentials(_Renewing):
    """Credentials of an M2M app (machine to machine), for programs without a user. Your plan must include M2M.

    An app may do everything that its scopes allow, except create projects, environments and deployments from Git
    repositories.

    Attributes:
        client_id: The app's client id, from Developer Hub.
        client_secret: The app's client secret. The SDK never shows it.
        requested_scopes: The OAuth scopes to request (the argument `scopes`): `launch:manage` by default, or some of
            `launch.projects:read`, `launch.projects:write` and `launch.projects:delete`. If the scopes do not allow an
            operation, the call raises `MissingScopeError` and sends no request.
        token_path: Path of the token endpoint. By default the SDK uses `/apps-api/apps/token`, and `/apps-api/token`
            if the first path does not exist.

    Raises:
        ConfigurationError: The client id or the client secret is empty.
    """

    client_secret: str = attrs.field(repr=False)
    requested_scopes: frozenset[str]

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        scopes: Collection[str] = _MANAGE,
        token_path: str | None = None,
    ) -> None:
        client_id, client_secret = _stripped(client_id), Secret(_stripped(client_secret) or "")
        _set(
            self,
            client_id=client_id,
            client_secret=client_secret,
            requested_scopes=scope_set(scopes),
            token_path=token_path,
            state=TokenState(),
        )
        _check(AppCredentials, client_id=client_id, client_secret=client_secret)

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (
            AppCredentials,
            (self.client_id, self.client_secret),
            {"scopes": self.requested_scopes, "token_path": self.token_path},
        )

    @property
    def kind(self) -> TokenKind | None:
        """Always `"app"`."""
        return "app"

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes that the token endpoint granted; the requested scopes until then."""
        tokens = self.state.tokens
        return tokens.scopes if tokens and tokens.scopes is not None else self.requested_scopes

    async def renewed(self, issuer: Issuer, tokens: TokenSet | None, refused: str | None) -> TokenSet:
        """Request a new token with the client secret, because apps have no refresh token."""
        fields = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "scopes": " ".join(sorted(self.requested_scopes)),
        }
        return await fetch_tokens(issuer, self.token_path, fields, tokens, self.state)


@attrs.frozen(init=False)
class OAuthCredentials(_Renewing):
    """A user's authorization of an app. The SDK renews the tokens with the refresh token.

    `finish_authorization` returns credentials with the first tokens. Later runs of a program can create the credentials
    from a store.

    Attributes:
        client_id: The app's client id, from Developer Hub.
        redirect_uri: The redirect URI of the authorization.
        store: The storage for the tokens. The SDK saves each renewal in the store.
        client_secret: The app's client secret; None for a public app. The SDK never shows it.
        token_path: Path of the token endpoint. By default the SDK uses `/apps-api/apps/token`, and `/apps-api/token`
            if the first path does not exist.

    Raises:
        ConfigurationError: The client id or the redirect URI is empty.
    """

    redirect_uri: str
    store: TokenStore = attrs.field(repr=False)
    client_secret: str | None = attrs.field(repr=False)

    def __init__(
        self,
        client_id: str,
        *,
        redirect_uri: str,
        store: TokenStore,
        client_secret: str | None = None,
        token_path: str | None = None,
    ) -> None:
        client_id, client_secret = _stripped(client_id), Secret(_stripped(client_secret)) if client_secret else None
        _set(
            self,
            client_id=client_id,
            redirect_uri=redirect_uri,
            store=store,
            client_secret=client_secret,
            token_path=token_path,
            state=TokenState(),
        )
        _check(OAuthCredentials, client_id=client_id, redirect_uri=redirect_uri)

    def __reduce__(self) -> tuple[object, ...]:
        options = {
            "redirect_uri": self.redirect_uri,
            "store": self.store,
            "client_secret": self.client_secret,
            "token_path": self.token_path,
        }
        return _restored, (OAuthCredentials, (self.client_id,), options)

    @property
    def kind(self) -> TokenKind | None:
        """`"user"`, unless the token endpoint reports another owner."""
        tokens = self.state.tokens
        return tokens.kind if tokens and tokens.kind is not None else "user"

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes that the user granted; None if the token endpoint did not report them."""
        tokens = self.state.tokens
        return tokens.scopes if tokens else None

    async def renewed(self, issuer: Issuer, tokens: TokenSet | None, refused: str | None) -> TokenSet:
        """Return the tokens that another process has renewed and stored, or renew them with the refresh token."""
        stored = await self.store.load() or tokens
        if (usable := self._usable(stored, refused)) is not None:
            return usable
        if stored is None or stored.refresh_token is None:
            raise AuthorizationError(
                f"The token store contains no refresh token for the app {self.client_id}. Authorize the app again with "
                "begin_authorization(...)"
            )
        try:
            # Finish the request even if the caller is cancelled: the old refresh token may no longer work.
            return await _finished(self._refreshed(issuer, stored))
        except TokenRequestError:
            if (usable := self._usable(await self.store.load(), refused)) is not None:
                return usable
            raise

    def _usable(self, tokens: TokenSet | None, refused: str | None) -> TokenSet | None:
        if tokens is None or tokens.access_token == refused or not tokens.is_fresh(self.state.clock()):
            return None
        return tokens

    async def _refreshed(self, issuer: Issuer, tokens: TokenSet) -> TokenSet:
        fields = {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "refresh_token": tokens.refresh_token or "",
            **secret_field(self.client_secret),
        }
        fetched = await fetch_tokens(issuer, self.token_path, fields, tokens, self.state)
        self.state.keep(fetched)
        await self.store.save(fetched)
        return fetched


async def _finished(work: Coroutine[object, object, T]) -> T:
    """Return the result of the work. If the caller is cancelled, wait a few seconds for the work before raising."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_RENEWAL_GRACE_S)
        if not task.cancel():
            task.exception()
        raise


def _stripped(text: str) -> str:
    """Return a string without the white space around it. `_check` refuses any other value."""
    return text.strip() if isinstance(text, str) else text  # pyright: ignore[reportUnnecessaryIsInstance]


def _check(kind: type, **texts: str) -> None:
    for name in texts:
        if not isinstance(texts[name], str) or not texts[name].strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"The argument {name} of {kind.__name__} must be a string that is not empty")
        if is_quoted(texts[name]):
            raise ConfigurationError(
                f"The argument {name} of {kind.__name__} has quotes around it. Pass the argument without the quotes"
            )


def _set(frozen: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


def _restored(kind: Callable[..., T], args: tuple[object, ...], options: Mapping[str, object]) -> T:
    return kind(*args, **options)
