"""What `login` keeps in the system's keyring, and `logout` removes (extra `keyring`)."""

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
    """A login.

    Attributes:
        authtoken: The token.
        organization_uid: The organization that commands use; None if it has to be named.
        region: The region of the account.
    """

    authtoken: str = attrs.field(repr=False)
    organization_uid: str | None
    region: str


def keep_login(login: KeptLogin) -> None:
    """Keep a login.

    Raises:
        ConfigurationError: This machine has no keyring, or the extra is missing.
    """
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise ConfigurationError(
            "login needs the extra keyring: pip install 'contentstack-launch[cli,keyring]'. Without it, set "
            "CONTENTSTACK_AUTHTOKEN and CONTENTSTACK_ORGANIZATION_UID"
        ) from None
    text = Secret(json.dumps(attrs.asdict(login)))
    try:
        keyring.set_password(_SERVICE, _ACCOUNT, text)
    except keyring.errors.KeyringError as error:
        raise ConfigurationError(
            f"this machine has no keyring that can keep a secret ({type(error).__name__}). Set CONTENTSTACK_AUTHTOKEN "
            "and CONTENTSTACK_ORGANIZATION_UID instead"
        ) from None


def kept_login() -> KeptLogin | None:
    """Return what was kept; None if nothing was, or if this machine has no keyring."""
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
    """Remove what was kept."""
    import keyring

    if keyring.get_password(_SERVICE, _ACCOUNT) is not None:
        keyring.delete_password(_SERVICE, _ACCOUNT)
