"""`Authtoken`, the credentials with the session token of a user, and the checks of all tokens.

`launch_async.auth.access_token` has the OAuth bearer token, and `launch_async.auth.oauth` has credentials that renew
their tokens.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

import attrs

from launch_async.errors import ConfigurationError
from launch_async.http.credentials import Credentials, TokenKind
from launch_async.wire.secret import Secret, kind_of

__all__ = ["Authtoken"]

_UNSAFE_IN_HEADER: Final = re.compile(r"[^\x21-\x7e]")
_SCHEME: Final = r"(?i)^\s*bearer(\s+|$)"


def scope_set(scopes: Collection[str] | None) -> frozenset[str] | None:
    """Return scopes as a set. As in OAuth, they can also be a single string with spaces between the scopes."""
    if scopes is None:
        return None
    if not isinstance(scopes, Collection):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"The scopes must be a list, or a string with spaces between the scopes, not {type(scopes).__name__}"
        )
    return frozenset(scopes.split() if isinstance(scopes, str) else scopes)


def check_credentials(credentials: object) -> None:
    """Raise an error if the argument is not a credentials object, for example if it is the bare token."""
    if credentials is not None and (isinstance(credentials, type) or not hasattr(credentials, "bound")):
        # Name the type only: the value may be the token.
        kind = "a class" if isinstance(credentials, type) else kind_of(credentials)
        raise ConfigurationError(
            f"The credentials must be an object such as AccessToken(...) or Authtoken(...), not {kind}"
        )


def is_quoted(text: str) -> bool:
    """Return whether a string has quotes around it, for example because it was copied from a settings file."""
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"


def bare(token: str, name: str) -> Secret:
    """Return a token as a secret, without its scheme and white space; empty if it is not a string."""
    if not isinstance(token, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        return Secret()
    return Secret((re.sub(_SCHEME, "", token) if name == "AccessToken" else token).strip())


def check_token(token: str, given: type, name: str) -> None:
    """Raise an error if a token cannot be sent in a header. The error does not contain the token."""
    if not issubclass(given, str):
        # The value of an environment variable that is not set is None.
        kind = "None" if given is type(None) else given.__name__
        raise ConfigurationError(
            f"The token of {name} must be a string, not {kind}. If the token comes from an environment variable, check "
            "that the variable is set"
        )
    if not token:
        raise ConfigurationError(f"The token of {name} must not be empty")
    if _UNSAFE_IN_HEADER.search(token):
        raise ConfigurationError(
            f"The token of {name} contains white space, control characters or non-ASCII characters. Check that you "
            "copied only the token"
        )
    if is_quoted(token):
        raise ConfigurationError(f"The token of {name} has quotes around it. Pass the token without the quotes")


@attrs.frozen(init=False)
class Authtoken(Credentials):
    """The session token of a user, from `login()`. `LaunchClient` also needs `organization_uid`.

    Attributes:
        token: The token. The SDK never shows it.
        location: The region of the login, if known. An error about a wrong region then names this region.

    Raises:
        ConfigurationError: The token is empty, or contains characters that a header cannot contain.
    """

    token: str = attrs.field(repr=False)
    # The protocol declares a property, and an attribute provides the same read access.
    location: str | None = attrs.field(eq=False)  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(self, token: str, *, location: str | None = None) -> None:
        # Rebind the name before any check, so that a traceback with local variables does not show the token.
        given, token = type(token), bare(token, "Authtoken")
        object.__setattr__(self, "token", token)
        object.__setattr__(self, "location", location)
        check_token(token, given, "Authtoken")

    @property
    def needs_organization(self) -> bool:
        """Always true, because Launch refuses an authtoken without `organization_uid`."""
        return True

    @property
    def kind(self) -> TokenKind | None:
        """Always `"user"`."""
        return "user"

    async def headers(self) -> Mapping[str, str]:
        """Return the `authtoken` header."""
        return {"authtoken": self.token}
