"""Tokens that end and are renewed: what is known of one set, and the one flight that fetches the next.

All clients that use the same credentials share a `TokenState`, whatever task, thread or event loop they run in. Who
finds the tokens too old fetches new ones, and everybody else waits for that. If the one who fetches is cancelled, or
its loop ends, the next one takes over; if the fetch fails, all who waited for it get its error.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Final, Literal, TypeAlias, cast

import attrs

from launch_async.errors import ConfigurationError, LaunchError
from launch_async.wire.json_body import load_json
from launch_async.wire.secret import Secret

__all__ = ["TokenSet", "TokenState", "read_token_answer"]

LIFETIME: Final = 3600.0
"""Seconds that tokens of either kind live (FACTS §3)."""

_LEAD: Final = 60.0
_FLIGHT_LIMIT: Final = 60.0

Kind: TypeAlias = Literal["user", "app"]


def _secret(text: str) -> str:
    return Secret(text)


def _optional_secret(text: str | None) -> str | None:
    return None if text is None else Secret(text)


@attrs.frozen(kw_only=True)
class TokenSet:
    """What the token endpoint issued (FACTS §3). Its `repr` shows no token.

    Attributes:
        access_token: The bearer token.
        issued_at: When it was issued, in seconds since the epoch, by this machine's clock.
        expires_at: When it ends, in the same unit.
        refresh_token: What the next token is requested with; None for apps.
        organization_uid: The organization that it belongs to.
        user_uid: The user behind it; None for apps.
        location: The region that issued it, in the service's spelling, such as `AZURE_NA`.
        kind: `"user"` or `"app"`, by who is behind it; None if the service did not say.
        scopes: OAuth scopes that were granted; None if the service did not say.
    """

    access_token: str = attrs.field(repr=False, converter=_secret)
    issued_at: float
    expires_at: float
    refresh_token: str | None = attrs.field(default=None, repr=False, converter=_optional_secret)
    organization_uid: str | None = None
    user_uid: str | None = None
    location: str | None = None
    kind: Kind | None = None
    scopes: frozenset[str] | None = None

    def is_fresh(self, now: float) -> bool:
        """Return whether it need not be renewed yet.

        It is fresh until 60 s before its end; one that lives for less than 2 minutes, for half of that time.

        Args:
            now: Seconds since the epoch.
        """
        return now < self.expires_at - min(_LEAD, (self.expires_at - self.issued_at) / 2)

    def to_json(self) -> str:
        """Return it as a JSON text, for a `TokenStore`; it holds the tokens and belongs where secrets are kept."""
        fields = attrs.asdict(self)
        return json.dumps({**fields, "scopes": None if self.scopes is None else sorted(self.scopes)})

    @classmethod
    def from_json(cls, text: str) -> TokenSet:
        """Return what `to_json` wrote.

        Raises:
            ConfigurationError: The text is something else.
        """
        text = Secret(text)
        found = _from_json(text)
        if found is None:
            raise ConfigurationError("what the token store holds cannot be read: authorize again")
        return found


def _from_json(text: str) -> TokenSet | None:
    try:
        document = json.loads(text)
        scopes = document.pop("scopes", None)
        return TokenSet(scopes=None if scopes is None else frozenset(scopes), **document)
    except (ValueError, TypeError, AttributeError):
        return None


def read_token_answer(body: bytes, previous: TokenSet | None, now: float) -> TokenSet | None:
    """Return what an answer of the token endpoint holds; None if that is no token.

    The refresh token of the previous ones stays good if no new one comes (FACTS §3). `now` is seconds since the epoch.
    """
    try:
        answer = load_json(body)
    except ValueError:
        return None
    if not isinstance(answer, dict) or not _is_token(answer.get("access_token")):
        return None
    scheme, granted = answer.get("token_type"), answer.get("scope")
    if isinstance(scheme, str) and scheme.lower() != "bearer":
        return None
    kind = answer.get("authorization_type")
    return TokenSet(
        access_token=cast("str", answer["access_token"]),
        issued_at=now,
        expires_at=now + _lifetime(answer.get("expires_in")),
        refresh_token=_text(answer, "refresh_token") or (previous.refresh_token if previous else None),
        organization_uid=_text(answer, "organization_uid") or (previous.organization_uid if previous else None),
        user_uid=_text(answer, "user_uid") or (previous.user_uid if previous else None),
        location=_text(answer, "location") or (previous.location if previous else None),
        kind=cast("Kind", kind) if kind in {"user", "app"} else None,
        scopes=frozenset(granted.split()) if isinstance(granted, str) and granted.strip() else None,
    )


def _is_token(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isascii() and value.isprintable() and " " not in value


def _text(answer: Mapping[str, object], name: str) -> str | None:
    value = answer.get(name)
    return value if isinstance(value, str) and value else None


def _lifetime(value: object) -> float:
    """Return the seconds that a token lives; never more than the platform's hour, whatever an answer says."""
    try:
        seconds = float(cast("float", value))
    except (TypeError, ValueError):
        return LIFETIME
    return min(seconds, LIFETIME) if seconds > 0 else LIFETIME


Renewal: TypeAlias = Callable[["TokenSet | None", "str | None"], Awaitable[TokenSet]]
"""Returns new tokens, given the present ones and the access token that was refused, if one was."""


class TokenState:
    """The present tokens of some credentials, and the flight that renews them; thread-safe, bound to no event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._tokens: TokenSet | None = None
        self._home: str | None = None
        self.begin()
        _every_state.add(self)

    def begin(self) -> None:
        """Start with no lock held and nobody under way; again in a forked child."""
        # Re-entrant, because the garbage collector may end a flight whose loop is gone, within any call.
        self._lock = threading.RLock()
        self._flight: Future[LaunchError | None] | None = None

    @property
    def tokens(self) -> TokenSet | None:
        """The present tokens, fresh or not; None before the first ones."""
        return self._tokens

    def settle(self, home: str) -> None:
        """Note where the tokens are issued; secrets are never sent to two such places.

        Raises:
            ConfigurationError: They are issued elsewhere.
        """
        with self._lock:
            known, self._home = self._home, self._home or home
        if known is not None and known != home:
            raise ConfigurationError(
                f"these credentials are in use with {known}, and this client asks {home} for tokens: a secret goes to "
                "one place only. Make credentials of their own for each region"
            )

    def keep(self, tokens: TokenSet) -> None:
        """Take over tokens that were got otherwise."""
        with self._lock:
            self._tokens = tokens

    async def current(self, renew: Renewal, *, refused: str | None = None) -> TokenSet:
        """Return tokens that are fresh, renewed if need be, by whoever comes first.

        `refused` is the access token that the service has just refused, however fresh it looks.
        """
        while True:
            with self._lock:
                tokens, flight = self._tokens, self._flight
                if tokens is not None and tokens.access_token != refused and tokens.is_fresh(self.clock()):
                    return tokens
                own = None if flight else Future[LaunchError | None]()
                self._flight = flight or own
            if own is not None:
                return await self._fly(own, renew, tokens, refused)
            failure = await self._landed(flight) if flight else None
            if failure is not None:
                raise copy.copy(failure)

    async def _fly(
        self, flight: Future[LaunchError | None], renew: Renewal, tokens: TokenSet | None, refused: str | None
    ) -> TokenSet:
        failure: LaunchError | None = None
        try:
            fetched = await renew(tokens, refused)
            self.keep(fetched)
            return fetched
        except LaunchError as error:
            failure = copy.copy(error)
            raise
        finally:
            self._land(flight, failure)

    def _land(self, flight: Future[LaunchError | None], failure: LaunchError | None) -> None:
        with self._lock:
            if self._flight is flight:
                self._flight = None
        if not flight.done():
            flight.set_result(failure)

    async def _landed(self, flight: Future[LaunchError | None]) -> LaunchError | None:
        """Wait for another's flight, whichever loop it is on; give up one whose loop has stopped."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake(_: object) -> None:
            # The loop may have been closed since.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(woken.set)

        flight.add_done_callback(wake)
        try:
            async with asyncio.timeout(_FLIGHT_LIMIT):
                await woken.wait()
        except TimeoutError:
            self._land(flight, None)
        return flight.result(timeout=0)


_every_state: weakref.WeakSet[TokenState] = weakref.WeakSet()


def _begin_anew_in_child() -> None:
    for state in _every_state:
        state.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
