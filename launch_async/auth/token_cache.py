"""The current tokens of a credentials object, and their renewal.

All clients that use the same credentials share a `TokenState`, in any task, thread or event loop. The first caller that
finds expired tokens renews them, and the other callers wait for this renewal. If the first caller is cancelled, or its
loop ends, the next caller renews the tokens. If the renewal fails, all waiting callers get its error.
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

LIFETIME_S: Final = 3600.0
"""The lifetime of tokens of both kinds."""
_LEAD_S: Final = 60.0
"""The SDK renews tokens this long before they expire."""
_RENEWAL_LIMIT_S: Final = 60.0
"""A caller waits at most this long for the renewal of another caller."""

Kind: TypeAlias = Literal["user", "app"]


def _secret(text: str) -> str:
    return Secret(text)


def _optional_secret(text: str | None) -> str | None:
    return None if text is None else Secret(text)


@attrs.frozen(kw_only=True)
class TokenSet:
    """The tokens that the token endpoint issued. The `repr` does not show them.

    Attributes:
        access_token: The bearer token.
        issued_at: The time of issue, in seconds since the epoch, by this machine's clock.
        expires_at: The time of expiry, in seconds since the epoch, by this machine's clock.
        refresh_token: The token for the next renewal; None for apps.
        organization_uid: The organization of the token.
        user_uid: The user of the token; None for apps.
        location: The region that issued the token, in the service's spelling, such as `AZURE_NA`.
        kind: `"user"` or `"app"`, depending on the owner of the token; None if the service did not report it.
        scopes: The granted OAuth scopes; None if the service did not report them.
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
        """Return whether the access token does not need a renewal yet.

        A token is fresh until 60 s before it expires. A token with a lifetime of less than 2 minutes is fresh for half
        of its lifetime.

        Args:
            now: Seconds since the epoch.
        """
        return now < self.expires_at - min(_LEAD_S, (self.expires_at - self.issued_at) / 2)

    def to_json(self) -> str:
        """Return the tokens as a JSON text, for a `TokenStore`. The text contains secrets: store it safely."""
        fields = attrs.asdict(self)
        return json.dumps({**fields, "scopes": None if self.scopes is None else sorted(self.scopes)})

    @classmethod
    def from_json(cls, text: str) -> TokenSet:
        """Return the tokens from a text of `to_json`.

        Raises:
            ConfigurationError: The text does not contain tokens.
        """
        text = Secret(text)
        found = _from_json(text)
        if found is None:
            raise ConfigurationError("The content of the token store cannot be read. Authorize the app again")
        return found


def _from_json(text: str) -> TokenSet | None:
    try:
        document = json.loads(text)
        scopes = document.pop("scopes", None)
        return TokenSet(scopes=None if scopes is None else frozenset(scopes), **document)
    except (ValueError, TypeError, AttributeError):
        return None


def read_token_answer(body: bytes, previous: TokenSet | None, now: float) -> TokenSet | None:
    """Return the tokens in a response from the token endpoint; None if the response contains no token.

    If the response contains no refresh token, the previous refresh token stays valid. `now` is in seconds since the
    epoch.
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
    """Return the lifetime of a token in seconds: at most one hour, even if the response reports more."""
    try:
        seconds = float(cast("float", value))
    except (TypeError, ValueError):
        return LIFETIME_S
    return min(seconds, LIFETIME_S) if seconds > 0 else LIFETIME_S


Renewal: TypeAlias = Callable[["TokenSet | None", "str | None"], Awaitable[TokenSet]]
"""Returns new tokens. The arguments are the current tokens, and the access token that the service refused, if any."""


class TokenState:
    """The current tokens of a credentials object, and their renewal. Thread-safe, and not bound to an event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._tokens: TokenSet | None = None
        self._host: str | None = None
        self.reset()
        _all_states.add(self)

    def reset(self) -> None:
        """Start with a free lock and no running renewal. A forked child calls this again."""
        # Re-entrant, because the garbage collector may finish a renewal of a closed loop during any call.
        self._lock = threading.RLock()
        self._renewal: Future[LaunchError | None] | None = None

    @property
    def tokens(self) -> TokenSet | None:
        """The current tokens, which may have expired; None before the first tokens."""
        return self._tokens

    def bind_to(self, host: str) -> None:
        """Set the host that issues the tokens, because the SDK must send a secret to only one host.

        Raises:
            ConfigurationError: Another host already issues the tokens.
        """
        with self._lock:
            known, self._host = self._host, self._host or host
        if known is not None and known != host:
            raise ConfigurationError(
                f"These credentials are already in use with {known}, but this client requests tokens from {host}. The "
                "SDK sends a secret to only one host. Create separate credentials for each region"
            )

    def keep(self, tokens: TokenSet) -> None:
        """Set the current tokens."""
        with self._lock:
            self._tokens = tokens

    async def current(self, renew: Renewal, *, refused: str | None = None) -> TokenSet:
        """Return fresh tokens. The first caller renews expired tokens, and the other callers wait for the renewal.

        `refused` is an access token that the service has just refused. It needs a renewal, even if it has not expired.
        """
        while True:
            with self._lock:
                tokens, renewal = self._tokens, self._renewal
                if tokens is not None and tokens.access_token != refused and tokens.is_fresh(self.clock()):
                    return tokens
                own = None if renewal else Future[LaunchError | None]()
                self._renewal = renewal or own
            if own is not None:
                return await self._renew(own, renew, tokens, refused)
            failure = await self._wait_for(renewal) if renewal else None
            if failure is not None:
                raise copy.copy(failure)

    async def _renew(
        self, renewal: Future[LaunchError | None], renew: Renewal, tokens: TokenSet | None, refused: str | None
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
            self._finish(renewal, failure)

    def _finish(self, renewal: Future[LaunchError | None], failure: LaunchError | None) -> None:
        with self._lock:
            if self._renewal is renewal:
                self._renewal = None
        if not renewal.done():
            renewal.set_result(failure)

    async def _wait_for(self, renewal: Future[LaunchError | None]) -> LaunchError | None:
        """Wait for the renewal of another caller, on any loop. Abandon the renewal if it takes too long."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake(_: object) -> None:
            # The loop may be closed by now.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(woken.set)

        renewal.add_done_callback(wake)
        try:
            async with asyncio.timeout(_RENEWAL_LIMIT_S):
                await woken.wait()
        except TimeoutError:
            self._finish(renewal, None)
        return renewal.result(timeout=0)


_all_states: weakref.WeakSet[TokenState] = weakref.WeakSet()


def _reset_in_child() -> None:
    for state in _all_states:
        state.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)
