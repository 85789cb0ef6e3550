"""A token store in the system's keyring: Keychain, Credential Manager or Secret Service (extra `keyring`)."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from launch_async.auth.token_cache import TokenSet
from launch_async.errors import ConfigurationError
from launch_async.wire.secret import Secret

__all__ = ["Keyring", "KeyringTokenStore"]


class Keyring(Protocol):
    """The methods that a keyring needs. Every backend of the `keyring` package has them."""

    def get_password(self, service: str, username: str, /) -> str | None:
        """Return the text of an entry; None if the entry does not exist."""
        ...

    def set_password(self, service: str, username: str, password: str, /) -> None:
        """Write an entry."""
        ...

    def delete_password(self, service: str, username: str, /) -> None:
        """Remove an entry."""
        ...


class KeyringTokenStore:
    """A `TokenStore` in the system's keyring. It needs the extra: `pip install 'contentstack-launch[keyring]'`.

    The SDK calls the keyring in a thread, because the keyring may ask the user for permission. Processes with the same
    account share the tokens.

    Args:
        account: The name of the entry. Use one entry for each user and app, for example the app's client id.
        service: The name of the service in the keyring.
        backend: The keyring to use. The default is the system's keyring.
    """

    def __init__(self, account: str, *, service: str = "contentstack-launch", backend: Keyring | None = None) -> None:
        self._account = account
        self._service = service
        self._backend = backend

    def __repr__(self) -> str:
        return f"KeyringTokenStore({self._account!r}, service={self._service!r})"

    async def load(self) -> TokenSet | None:
        """Return the tokens of the last `save`; None if there are none.

        Raises:
            ConfigurationError: There is no keyring, or the entry does not contain tokens.
        """
        text = await asyncio.to_thread(lambda: _marked(self._open().get_password(self._service, self._account)))
        return None if text is None else TokenSet.from_json(text)

    async def save(self, tokens: TokenSet) -> None:
        """Store new tokens.

        Raises:
            ConfigurationError: There is no keyring.
        """
        text = Secret(tokens.to_json())
        await asyncio.to_thread(lambda: self._open().set_password(self._service, self._account, text))

    async def forget(self) -> None:
        """Remove the entry, if it exists. In a program that uses `launch_sync`, call `asyncio.run(store.forget())`.

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
                "KeyringTokenStore needs the extra keyring. Run: pip install 'contentstack-launch[keyring]'"
            ) from None
        backend = keyring.get_keyring()
        if backend.priority <= 0:
            raise ConfigurationError("This machine has no keyring that can store secrets. Use another TokenStore")
        return cast("Keyring", backend)


def _marked(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)
