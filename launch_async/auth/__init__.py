"""Credentials, tokens and login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.auth.access_token import AccessToken as AccessToken
    from launch_async.auth.authorization import (
        AuthorizationRequest as AuthorizationRequest,
        begin_authorization as begin_authorization,
        finish_authorization as finish_authorization,
    )
    from launch_async.auth.oauth import (
        AppCredentials as AppCredentials,
        MemoryTokenStore as MemoryTokenStore,
        OAuthCredentials as OAuthCredentials,
        TokenSet as TokenSet,
        TokenStore as TokenStore,
    )
    from launch_async.auth.sessions import (
        Introspection as Introspection,
        Session as Session,
        introspect as introspect,
        login as login,
        logout as logout,
        request_sms as request_sms,
    )
    from launch_async.auth.system_keyring import KeyringTokenStore as KeyringTokenStore
    from launch_async.auth.tokens import Authtoken as Authtoken
    from launch_async.http.credentials import Credentials as Credentials
else:
    __getattr__, __dir__ = lazy(__name__)
