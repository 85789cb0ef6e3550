"""The credentials of callers: users and their authtokens, bearer tokens with scopes, and M2M apps."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias, TypeVar

from attrs import define, field, frozen

from launch_async.emulator import errors
from launch_async.emulator.clock import Clock
from launch_async.emulator.options import EmulatorOptions
from launch_async.emulator.state import Organization, State, Uids

Value = TypeVar("Value")
TokenKind: TypeAlias = Literal["user", "app"]
MANAGE = "launch:manage"
SCOPES = (MANAGE, "launch.projects:read", "launch.projects:write", "launch.projects:delete")
AUTHTOKENS_PER_USER = 20
CODE_SECONDS = 60.0


@frozen
class Caller:
    """A caller with valid credentials: its organization, its kind and its scopes."""

    organization: Organization
    kind: TokenKind
    scopes: frozenset[str]

    def has_scope(self, scope: str | None) -> bool:
        """Return whether the caller has ``scope``, or ``launch:manage``, which includes every scope."""
        return scope is None or MANAGE in self.scopes or scope in self.scopes


@define(eq=False)
class User:
    """A person who logs in with a password. Only the newest 20 authtokens are valid, as in the service."""

    uid: str
    email: str
    password: str = field(repr=False)
    second_factor: str | None = field(repr=False)
    organizations: list[Organization]
    authtokens: list[str] = field(factory=list[str], repr=False)


@frozen
class Token:
    """The rights of an access or refresh token."""

    organization: Organization
    kind: TokenKind
    scopes: frozenset[str]
    expires_at: float
    client_id: str = ""


@frozen
class App:
    """An OAuth app. An M2M app gets tokens by client_credentials, a standard app by an authorization code."""

    client_id: str
    client_secret: str = field(repr=False)
    organization: Organization
    machine_to_machine: bool


@frozen
class Grant:
    """The grant of an authorization code, which can be redeemed for 60 s."""

    app: App
    redirect_uri: str
    scopes: frozenset[str]
    expires_at: float
    challenge: str | None
    challenge_method: str

    def matches_challenge(self, verifier: str | None) -> bool:
        """Return whether ``verifier`` matches the PKCE challenge."""
        if self.challenge is None or verifier is None:
            return self.challenge is None
        shown = verifier
        if self.challenge_method == "S256":
            digest = hashlib.sha256(verifier.encode()).digest()
            shown = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return hmac.compare_digest(shown.encode(), self.challenge.encode())


class Table(dict[str, Value]):
    """A dictionary that records which keys were added or removed, for an emulator with a state file."""

    def __init__(self, *, tracked: bool) -> None:
        super().__init__()
        self._changed_keys: set[str] | None = set() if tracked else None

    def __setitem__(self, key: str, value: Value) -> None:
        super().__setitem__(key, value)
        self._record_change(key)

    def take(self, key: str) -> Value | None:
        """Remove a value and return it; None if the key does not exist."""
        self._record_change(key)
        return self.pop(key, None)

    def take_changed_keys(self) -> Iterator[str]:
        """Yield once each key that was added or removed."""
        while self._changed_keys:
            yield self._changed_keys.pop()

    def _record_change(self, key: str) -> None:
        if self._changed_keys is not None:
            self._changed_keys.add(key)


class Issued:
    """All users, apps and tokens."""

    def __init__(self, *, tracked: bool = False) -> None:
        self.users: Table[User] = Table(tracked=tracked)
        self.apps: Table[App] = Table(tracked=tracked)
        self.sessions: Table[User] = Table(tracked=tracked)
        self.access: Table[Token] = Table(tracked=tracked)
        self.refresh: Table[Token] = Table(tracked=tracked)
        self.grants: Table[Grant] = Table(tracked=tracked)

    def tables(self) -> "dict[str, Table[Any]]":
        """Return all tables by the kind of their entries."""
        return {
            "user": self.users,
            "app": self.apps,
            "session": self.sessions,
            "access": self.access,
            "refresh": self.refresh,
            "grant": self.grants,
        }


class Credentials:
    """Issues and checks credentials."""

    def __init__(self, options: EmulatorOptions, state: State, uids: Uids, clock: Clock, issued: Issued) -> None:
        self._options = options
        self._state = state
        self._uids = uids
        self._clock = clock
        self.issued = issued

    def identify(self, headers: Mapping[str, str]) -> Caller | errors.Refusal:
        """Return the caller that the headers of a request identify, or the refusal."""
        authorization = headers.get("Authorization")
        authtoken = headers.get("authtoken")
        if authorization is None and authtoken is None:
            return errors.unauthorized()
        if self._options.wrong_region == "json":
            return errors.invalid_token()
        if self._options.wrong_region == "xml":
            return errors.xml(403, "AccessDenied", "The request does not belong to this region.")
        if authorization is not None:
            return self._bearer(authorization, headers.get("organization_uid"))
        return self._session(authtoken or "", headers.get("organization_uid"))

    def _bearer(self, authorization: str, organization_uid: str | None) -> Caller | errors.Refusal:
        scheme, _, value = authorization.partition(" ")
        token = self.access(value.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            return errors.invalid_token()
        if self._options.check_bearer_organization and organization_uid not in (None, token.organization.uid):
            return errors.forbidden(
                "The header organization_uid names an organization that the token does not belong to."
            )
        return Caller(token.organization, token.kind, token.scopes)

    def _session(self, authtoken: str, organization_uid: str | None) -> Caller | errors.Refusal:
        if not organization_uid:
            if self._options.missing_organization_status == 401:
                return errors.unauthorized()
            return errors.forbidden("The header organization_uid is required with an authtoken.")
        user = self.issued.sessions.get(authtoken)
        if user is None:
            return errors.unauthorized()
        organization = self._state.organizations.get(organization_uid)
        if organization is None or organization not in user.organizations:
            return errors.forbidden()
        return Caller(organization, "user", frozenset({MANAGE}))

    def access(self, value: str) -> Token | None:
        """Return the access token with a value; None if the token has expired or does not exist."""
        return self._current(self.issued.access, value)

    def refresh(self, value: str) -> Token | None:
        """Return the refresh token with a value; None if the token was revoked or does not exist."""
        return self._current(self.issued.refresh, value)

    def session(self, authtoken: str) -> User | None:
        """Return the user of an authtoken; None if there is none."""
        return self.issued.sessions.get(authtoken)

    def log_in(self, user: User) -> str:
        """Return a new authtoken. A user with more than 20 authtokens silently loses the oldest one."""
        authtoken = self._uids.secret("blt")
        user.authtokens.append(authtoken)
        self.issued.sessions[authtoken] = user
        while len(user.authtokens) > AUTHTOKENS_PER_USER:
            self.issued.sessions.take(user.authtokens.pop(0))
        return authtoken

    def log_out(self, authtoken: str) -> bool:
        """End a session. Return False if the session does not exist."""
        user = self.issued.sessions.take(authtoken)
        if user is not None:
            user.authtokens.remove(authtoken)
        return user is not None

    def add_user(self, email: str, password: str, second_factor: str | None, organizations: list[Organization]) -> User:
        """Add a user."""
        user = User(self._uids.platform(), email, password, second_factor, organizations)
        self.issued.users[email] = user
        return user

    def add_app(self, organization: Organization, *, machine_to_machine: bool) -> App:
        """Add an OAuth app."""
        app = App(self._uids.launch(), self._uids.secret("cs"), organization, machine_to_machine)
        self.issued.apps[app.client_id] = app
        return app

    def issue_access(
        self, organization: Organization, kind: TokenKind, scopes: Iterable[str], seconds: float, client_id: str = ""
    ) -> str:
        """Return a bearer token that is valid for ``seconds``.

        Raises:
            ValueError: Launch does not have one of the scopes.
        """
        granted = frozenset(scopes)
        unknown = granted.difference(SCOPES)
        if unknown:
            raise ValueError(f"Launch has no scope {', '.join(sorted(unknown))}. Its scopes are {', '.join(SCOPES)}")
        value = self._uids.secret("cs")
        self.issued.access[value] = Token(organization, kind, granted, self._clock.now() + seconds, client_id)
        return value

    def issue_refresh(
        self, organization: Organization, scopes: frozenset[str], client_id: str, kind: TokenKind = "user"
    ) -> str:
        """Return a refresh token for a user or an app. The token does not expire."""
        value = self._uids.secret("csr")
        self.issued.refresh[value] = Token(organization, kind, scopes, float("inf"), client_id)
        return value

    def revoke(self, value: str) -> bool:
        """Revoke a bearer or refresh token. Return False if the token does not exist."""
        return self.issued.access.take(value) is not None or self.issued.refresh.take(value) is not None

    def issue_code(self, grant: Grant) -> str:
        """Return a code for ``grant``. In a browser, the redirect would contain the code."""
        code = self._uids.secret("")
        self.issued.grants[code] = grant
        return code

    def redeem(self, code: str) -> Grant | None:
        """Return the grant of a code; None if the code is invalid. A code can be used once, within 60 s."""
        grant = self.issued.grants.take(code)
        return grant if grant is not None and grant.expires_at > self._clock.now() else None

    def _current(self, tokens: Mapping[str, Token], value: str) -> Token | None:
        token = tokens.get(value)
        return token if token is not None and token.expires_at > self._clock.now() else None
