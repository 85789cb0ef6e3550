"""Credentials that fetch and renew their own tokens: of an app (client credentials), or of a user (refresh token).

Give either to any number of clients, in any threads and on any event loops: they share its tokens, which are renewed
60 s before their end, once for all of them (FACTS §3). The token endpoint is the app host of the client's region; a
secret is never sent to a second one. `launch_async.auth.authorization` gets a user's first tokens.
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
_GRACE: Final = 5.0
"""Seconds that a renewal which must not be cut off may go on after its caller was cancelled."""
T = TypeVar("T")


class TokenStore(Protocol):
    """Where a user's tokens live between two runs of a program; it is called on the client's event loop."""

    async def load(self) -> TokenSet | None:
        """Return the tokens that were saved last; None if there are none."""
        ...

    async def save(self, tokens: TokenSet) -> None:
        """Keep new tokens. The refresh token before them may be worthless from now on."""
        ...


class MemoryTokenStore:
    """A store that forgets everything when the program ends.

    Args:
        tokens: What it holds at first.
    """

    def __init__(self, tokens: TokenSet | None = None) -> None:
        self._tokens = tokens

    async def load(self) -> TokenSet | None:
        """Return the tokens that were saved last."""
        return self._tokens

    async def save(self, tokens: TokenSet) -> None:
        """Keep new tokens until the program ends."""
        self._tokens = tokens


class _Renewing(Credentials):
    """What both kinds share: a state of their own, and a view of it for each client."""

    client_id: str
    token_path: str | None
    state: TokenState

    @property
    def identity(self) -> str:
        """A digest of the app's id: until the organization is known, its clients share a budget."""
        return f"app-{hashlib.sha256(self.client_id.encode()).hexdigest()[:16]}"

    @property
    def organization_uid(self) -> str | None:
        """The organization that the last tokens belong to; None before the first ones."""
        tokens = self.state.tokens
        return tokens.organization_uid if tokens else None

    @property
    def location(self) -> str | None:
        """The region that issued the last tokens; None before the first ones."""
        tokens = self.state.tokens
        return tokens.location if tokens else None

    def bound(self, issuer: Issuer) -> Credentials:
        """Return the view of one client, which knows from where to fetch tokens.

        Raises:
            ConfigurationError: They are in use with another token endpoint.
        """
        self.state.settle(issuer.app_url)
        return _View(self, issuer)

    async def headers(self) -> Mapping[str, str]:
        """Refuse: only a client knows the token endpoint.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(f"{type(self).__name__} fetch tokens through a client: pass them to LaunchClient(...)")

    async def renewed(self, issuer: Issuer, tokens: TokenSet | None, refused: str | None) -> TokenSet:
        """Fetch new tokens."""
        raise NotImplementedError


@attrs.define(eq=False)
class _View(Credentials):
    """Renewing credentials as one client sees them."""

    _owner: _Renewing
    _issuer: Issuer
    _given: str | None = attrs.field(default=None, init=False, repr=False)
    """The access token that this client was given last."""

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
        self._given = tokens.access_token
        return {"Authorization": Secret(f"Bearer {tokens.access_token}")}

    async def refresh(self) -> bool:
        tokens = await self._owner.state.current(self._renew, refused=self._given)
        return tokens.access_token != self._given

    async def _renew(self, tokens: TokenSet | None, refused: str | None) -> TokenSet:
        return await self._owner.renewed(self._issuer, tokens, refused)


@attrs.frozen(init=False)
class AppCredentials(_Renewing):
    """An app's own credentials, for programs without a user (machine to machine; the app's plan must include it).

    They may do everything that their scopes allow except the Git variants of creation (FACTS §3).

    Attributes:
        client_id: The app's id, from Developer Hub.
        client_secret: Its secret; never shown.
        requested_scopes: The OAuth scopes to ask for (the argument `scopes`): `launch:manage` by default, or some of
            `launch.projects:read`, `launch.projects:write` and `launch.projects:delete`. What they do not allow is
            refused before a request.
        token_path: Path of the token endpoint; by default `/apps-api/apps/token`, and `/apps-api/token` where that is
            not found (FACTS §11 row 9).

    Raises:
        ConfigurationError: The id or the secret is empty.
    """

    client_id: str
    client_secret: str = attrs.field(repr=False)
    requested_scopes: frozenset[str]
    token_path: str | None
    state: TokenState = attrs.field(repr=False, eq=False)

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
        """What the token endpoint granted, or until then what it is asked for."""
        tokens = self.state.tokens
        return tokens.scopes if tokens and tokens.scopes is not None else self.requested_scopes

    async def renewed(self, issuer: Issuer, tokens: TokenSet | None, refused: str | None) -> TokenSet:
        """Ask for a new token; there is no refresh token for apps (FACTS §11 row 11)."""
        fields = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "scopes": " ".join(sorted(self.requested_scopes)),
        }
        return await fetch_tokens(issuer, self.token_path, fields, tokens, self.state)


@attrs.frozen(init=False)
class OAuthCredentials(_Renewing):
    """A user's authorization of an app, renewed by its refresh token; `finish_authorization` makes the first ones.

    Attributes:
        client_id: The app's id, from Developer Hub.
        redirect_uri: The one that the app was authorized with.
        store: Where the tokens live; each renewal is saved there.
        client_secret: The app's secret, unless it is a public one; never shown.
        token_path: Path of the token endpoint; by default `/apps-api/apps/token`, and `/apps-api/token` where that is
            not found (FACTS §11 row 9).

    Raises:
        ConfigurationError: The id or the redirect URI is empty.
    """

    client_id: str
    redirect_uri: str
    store: TokenStore = attrs.field(repr=False)
    client_secret: str | None = attrs.field(repr=False)
    token_path: str | None
    state: TokenState = attrs.field(repr=False, eq=False)

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
        """`"user"`, unless the token endpoint says otherwise."""
        tokens = self.state.tokens
        return tokens.kind if tokens and tokens.kind is not None else "user"

    @property
    def scopes(self) -> frozenset[str] | None:
        """What the user granted, where the token endpoint says so."""
        tokens = self.state.tokens
        return tokens.scopes if tokens else None

    async def renewed(self, issuer: Issuer, tokens: TokenSet | None, refused: str | None) -> TokenSet:
        """Return what another process has renewed and stored, or else renew by the refresh token."""
        stored = await self.store.load() or tokens
        if (usable := self._usable(stored, refused)) is not None:
            return usable
        if stored is None or stored.refresh_token is None:
            raise AuthorizationError(
                f"there are no tokens that can be renewed for app {self.client_id}: authorize it again "
                "(begin_authorization)"
            )
        try:
            # A cancelled caller must not lose the answer: the old refresh token may be worthless by then.
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
    """Return the result of some work; if cancelled, give it a few seconds to end before passing that on."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_GRACE)
        if not task.cancel():
            task.exception()
        raise


def _stripped(text: str) -> str:
    """Return a text without the white space that copying has left around it; what is none is refused later."""
    return text.strip() if isinstance(text, str) else text  # pyright: ignore[reportUnnecessaryIsInstance]


def _check(kind: type, **texts: str) -> None:
    for name in texts:
        if not isinstance(texts[name], str) or not texts[name].strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{kind.__name__}: {name} is missing")
        if is_quoted(texts[name]):
            raise ConfigurationError(f"{kind.__name__}: {name} has quotes around it; give it without them")


def _set(frozen: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


def _restored(kind: Callable[..., T], args: tuple[object, ...], options: Mapping[str, object]) -> T:
    return kind(*args, **options)
