"""A user's tokens in the system's keyring: Keychain, Credential Manager, Secret Service (extra `keyring`)."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from launch_async.auth.token_cache import TokenSet
from launch_async.errors import ConfigurationError
from launch_async.wire.secret import Secret

__all__ = ["Keyring", "KeyringTokenStore"]


class Keyring(Protocol):
    """What is asked of a keyring; every backend of the `keyring` package is one."""

    def get_password(self, service: str, username: str, /) -> str | None:
        """Return an entry; None if there is none."""
        ...

    def set_password(self, service: str, username: str, password: str, /) -> None:
        """Write an entry."""
        ...

    def delete_password(self, service: str, username: str, /) -> None:
        """Remove an entry."""
        ...


class KeyringTokenStore:
    """A `TokenStore` on the system's keyring; install `contentstack-launch[keyring]`.

    The keyring is asked in a thread, because it may ask the user. Processes that use the same account share its tokens.

    Args:
        account: Which entry: one for each user and app, such as the app's client id.
        service: The name under which the keyring files it.
        backend: A keyring of your own instead of the system's.
    """

    def __init__(self, account: str, *, service: str = "contentstack-launch", backend: Keyring | None = None) -> None:
        self._account = account
        self._service = service
        self._backend = backend

    def __repr__(self) -> str:
        return f"KeyringTokenStore({self._account!r}, service={self._service!r})"

    async def load(self) -> TokenSet | None:
        """Return the tokens that were saved last; None if there are none.

        Raises:
            ConfigurationError: There is no keyring, or its entry is not ours.
        """
        text = await asyncio.to_thread(lambda: _marked(self._open().get_password(self._service, self._account)))
        return None if text is None else TokenSet.from_json(text)

    async def save(self, tokens: TokenSet) -> None:
        """Keep new tokens.

        Raises:
            ConfigurationError: There is no keyring.
        """
        text = Secret(tokens.to_json())
        await asyncio.to_thread(lambda: self._open().set_password(self._service, self._account, text))

    async def forget(self) -> None:
        """Remove the entry; without one nothing happens. Beside `launch_sync`: `asyncio.run(store.forget())`.

        Raises:
            ConfigurationError: There is no keyring.
        """
        await asyncio.to_thread(self._remove)

    def _remove(self) -> None:
        keyring = self._open()
        if keyring.get_password(self._service, self._account) is not None:
            keyring.delete_password(self._service, self._account)

    def _open(self) -> Keyring:
        if self._backend is not None:
            return self._backend
        try:
            import keyring
        except ImportError:
            raise ConfigurationError(
                "KeyringTokenStore needs the extra: pip install 'contentstack-launch[keyring]'"
            ) from None
        backend = keyring.get_keyring()
        if backend.priority <= 0:
            raise ConfigurationError("this machine has no keyring that can keep a secret: use another TokenStore")
        return cast("Keyring", backend)


def _marked(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)
