"""Stores the token of `login` in the system's keyring, and removes it for `logout` (extra `keyring`)."""

from __future__ import annotations

import json
from typing import Final, cast

import attrs

from launch_async.errors import ConfigurationError
from launch_async.wire.secret import Secret

__all__ = ["KeptLogin", "forget_login", "keep_login", "kept_login"]

_SERVICE: Final = "contentstack-launch"
_ACCOUNT: Final = "command line"


@attrs.frozen
class KeptLogin:
    """A login that the keyring stores.

    Attributes:
        authtoken: The token.
        organization_uid: The organization that commands use; None if `--organization` must name it.
        region: The region of the account.
    """

    authtoken: str = attrs.field(repr=False)
    organization_uid: str | None
    region: str


def keep_login(login: KeptLogin) -> None:
    """Store a login.

    Raises:
        ConfigurationError: This machine has no keyring, or the extra is not installed.
    """
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise ConfigurationError(
            "The command login needs the extra keyring. Install it with: pip install "
            "'contentstack-launch[cli,keyring]'. Or set CONTENTSTACK_AUTHTOKEN and CONTENTSTACK_ORGANIZATION_UID"
        ) from None
    text = Secret(json.dumps(attrs.asdict(login)))
    try:
        keyring.set_password(_SERVICE, _ACCOUNT, text)
    except keyring.errors.KeyringError as error:
        raise ConfigurationError(
            f"The keyring of this machine cannot store the token ({type(error).__name__}). Set CONTENTSTACK_AUTHTOKEN "
            "and CONTENTSTACK_ORGANIZATION_UID instead"
        ) from None


def kept_login() -> KeptLogin | None:
    """Return the stored login; None if there is none, or if this machine has no keyring."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None
    try:
        text = keyring.get_password(_SERVICE, _ACCOUNT)
    except keyring.errors.KeyringError:
        return None
    if text is None:
        return None
    document = cast("dict[str, str | None]", json.loads(Secret(text)))
    return KeptLogin(
        Secret(document.get("authtoken") or ""), document.get("organization_uid"), document.get("region") or "na"
    )


def forget_login() -> None:
    """Remove the stored login."""
    import keyring

    if keyring.get_password(_SERVICE, _ACCOUNT) is not None:
        keyring.delete_password(_SERVICE, _ACCOUNT)
