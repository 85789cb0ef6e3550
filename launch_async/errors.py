"""Every error that the SDK raises, as one tree.

Catch `LaunchError` for everything, a branch for a cause, a leaf for one case:

    LaunchError
    ├── ConfigurationError                 settings or credentials are missing or contradict each other
    │   └── MissingScopeError              the token cannot do that; no request was sent
    ├── InvalidArgumentError               an argument breaks a rule; nothing was sent (also ValueError)
    │   ├── ArchiveError                   a folder or ZIP cannot be uploaded as it is
    │   └── StateError                     a document of declared state is wrong; `problems` says where
    ├── ClosedError                        the client was closed
    ├── DeadlineExceeded                   `timeout` ran out or cannot be met (also TimeoutError)
    ├── TransportError                     no usable answer came back (also ConnectionError)
    │   ├── ConnectError                   the request provably never left
    │   ├── ResponseLost                   sent, but the answer was lost
    │   ├── AttemptTimeout                 one attempt took too long (also TimeoutError)
    │   ├── ResponseTooLarge               the answer is longer than the client reads
    │   ├── MalformedResponse              what came back breaks the rules of HTTP
    │   └── RedirectRefused                the server wanted to send us elsewhere
    ├── DecodeError                        a success whose body does not have the promised shape
    ├── APIError                           the service answered with an error status
    │   ├── BadRequestError                400; `field_errors` says which fields
    │   ├── UnauthorizedError              401
    │   │   ├── InvalidTokenError          invalid, expired, revoked, or of another region (105)
    │   │   ├── TokenRequestError          the token endpoint or the login refuses to issue a token
    │   │   │   └── SecondFactorRequired   the login wants a code as well (294)
    │   │   └── GitProviderError           Launch cannot reach the Git account (launch.GIT_PROVIDER.*)
    │   ├── ForbiddenError                 403
    │   ├── NotFoundError                  404
    │   │   └── NameNotFound               no project or environment has the name that was looked up
    │   ├── ConflictError                  409
    │   ├── RateLimitError                 429: too fast
    │   ├── QuotaExceededError             the daily quota of cache revalidations is used up
    │   └── ServerError                    5xx
    │       ├── InternalServerError        500
    │       │   └── ServerLogsUnavailable  500 of the server-log endpoint, as for static sites
    │       ├── BadGatewayError            502
    │       ├── ServiceUnavailableError    503
    │       └── GatewayTimeoutError        504
    ├── AmbiguousName                      several projects or environments fit the name that was looked up
    ├── AuthorizationError                 the user or the browser step did not grant what was asked for
    ├── StorageError                       the signed storage URL refused an upload or a download
    ├── AmbiguousOutcome                   a creation was sent, its answer lost, and a look-up cannot tell
    ├── DeploymentFailed                   a deployment ended without success; `report` says why
    ├── DeploymentsFailed                  of several deployments, some ended without success
    ├── DeploymentUnhealthy                a deployment went live, and a check of its site failed
    ├── WaitTimeout                        a deployment did not end in time (also TimeoutError)
    ├── JournalError                       a fleet journal cannot be used; the file was left as it was
    │   └── JournalInUse                   another run has it
    └── ConcurrentChangeError              somebody else changed what was about to be written

All of them can be pickled, and none of them ever holds a token, a signed URL or a variable's value. Two more live where
they are raised: `launch_async.rate_limit.redis.BudgetUnavailable`, a `ConnectError`, and
`launch_sync.BridgeThreadError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, TypedDict, Unpack

import attrs

from launch_async._text import without_escapes
from launch_async._views import TRACEBACK

__all__ = [
    "APIError",
    "AmbiguousName",
    "AmbiguousOutcome",
    "ArchiveError",
    "AttemptTimeout",
    "AuthorizationError",
    "BadGatewayError",
    "BadRequestError",
    "ClosedError",
    "ConcurrentChangeError",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "DeadlineExceeded",
    "DecodeError",
    "DeploymentFailed",
    "DeploymentUnhealthy",
    "DeploymentsFailed",
    "FieldError",
    "ForbiddenError",
    "GatewayTimeoutError",
    "GitProviderError",
    "InternalServerError",
    "InvalidArgumentError",
    "InvalidTokenError",
    "JournalError",
    "JournalInUse",
    "LaunchError",
    "MalformedResponse",
    "MissingScopeError",
    "NameNotFound",
    "NotFoundError",
    "QuotaExceededError",
    "RateLimitError",
    "RedirectRefused",
    "ResponseLost",
    "ResponseTooLarge",
    "SecondFactorRequired",
    "ServerError",
    "ServerLogsUnavailable",
    "ServiceUnavailableError",
    "StateError",
    "StateProblem",
    "StorageError",
    "TokenRequestError",
    "TransportError",
    "UnauthorizedError",
    "WaitTimeout",
]


@attrs.frozen
class FieldError:
    """What the service says is wrong with one field of a request (FACTS §9, envelope B).

    Attributes:
        field: The field's wire name, dotted where nested: `environmentVariables.0.value`.
        code: The service's code, such as `launch.PROJECTS.NAME.TOO_LONG`; empty where none was given.
        message: The service's words; empty where none were given.
    """

    field: str
    code: str = ""
    message: str = ""


class ErrorDetails(TypedDict, total=False):
    """What is known of a call that failed; attributes of `LaunchError`."""

    operation: str | None
    status: int | None
    request_id: str | None
    attempts: int
    ambiguous: bool


class LaunchError(Exception):
    """Root of every error that this SDK raises.

    Attributes:
        message: What happened and what to do next, in one or two sentences, without anything that steers a terminal.
        raw_message: The same with every character as it came from the service. It may steer a terminal.
        operation: Name of the API operation or workflow, such as `getProject`; None where there was none.
        status: HTTP status of the answer; None where there was no answer.
        codes: The service's error codes, in its order; empty where it gave none.
        field_errors: What the service says about single fields; empty where it says nothing.
        request_id: The request id that the service gave, or else the client's own; None before any request.
        attempts: How many times the request was sent, or tried to be.
        retryable: Whether the same call may succeed later without a change.
        retry_after: Seconds to wait before that, if anybody said so.
        ambiguous: Whether the operation may have happened although this error was raised.
    """

    _retryable_default = False

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        status: int | None = None,
        codes: Sequence[str] = (),
        field_errors: Sequence[FieldError] = (),
        request_id: str | None = None,
        attempts: int = 0,
        retryable: bool | None = None,
        retry_after: float | None = None,
        ambiguous: bool = False,
    ) -> None:
        # The report of a failed build has several lines.
        shown = "\n".join(map(without_escapes, message.split("\n")))
        super().__init__(shown)
        self.message: str = shown
        self.raw_message: str = message
        self.operation: str | None = operation
        self.status: int | None = status
        self.codes: tuple[str, ...] = tuple(codes)
        self.field_errors: tuple[FieldError, ...] = tuple(field_errors)
        self.request_id: str | None = request_id
        self.attempts: int = attempts
        self.retryable: bool = self._retryable_default if retryable is None else retryable
        self.retry_after: float | None = retry_after
        self.ambiguous: bool = ambiguous

    def __str__(self) -> str:
        notes = (
            f"operation {self.operation}" if self.operation else "",
            f"status {self.status}" if self.status else "",
            f"code {', '.join(self.codes)}" if self.codes else "",
            f"{self.attempts} attempts" if self.attempts > 1 else "",
            f"request {self.request_id}" if self.request_id else "",
        )
        shown = "; ".join(filter(None, notes))
        return f"{self.message} [{without_escapes(shown)}]" if shown else self.message

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: the caller's frames and the message, without the frames of the SDK."""
        return TRACEBACK(self)

    def __reduce__(self) -> tuple[object, ...]:
        # BaseException pickles its positional arguments only, and would lose every detail.
        return _restore, (type(self), dict(self.__dict__), self.args)


def _restore(kind: type[LaunchError], state: Mapping[str, object], args: tuple[object, ...]) -> LaunchError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(LaunchError):
    """Settings or credentials are missing, malformed or contradict each other; no request was sent."""


class MissingScopeError(ConfigurationError):
    """The token's kind or scopes do not allow the operation; no request was sent (FACTS §3)."""


class InvalidArgumentError(LaunchError, ValueError):
    """An argument breaks a rule that the service is known to have; no request was sent.

    Attributes:
        parameter: Name of the argument.
        rule: Where the rule comes from, such as `FACTS §4` or an `openapi.yaml` operation.
    """

    def __init__(self, parameter: str, problem: str, *, rule: str = "", operation: str | None = None) -> None:
        source = f" (rule: {rule})" if rule else ""
        super().__init__(f"{parameter}: {problem}{source}", operation=operation)
        self.parameter: str = parameter
        self.rule: str = rule


class ArchiveError(InvalidArgumentError):
    """A folder or ZIP cannot be uploaded as it is; no request was sent.

    Attributes:
        paths: The files that are to blame, relative to the folder.
    """

    def __init__(self, parameter: str, problem: str, *, rule: str = "", paths: Sequence[str] = ()) -> None:
        super().__init__(parameter, problem, rule=rule)
        self.paths: tuple[str, ...] = tuple(paths)


@attrs.frozen(kw_only=True)
class StateProblem:
    """One thing that is wrong with a document of declared state.

    Attributes:
        file: The file; empty for a document that was not read from one.
        line: The line, from 1; None if that is not known.
        key: The key, as TOML writes it; empty where the text is no TOML.
        message: What is wrong.
    """

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return ": ".join(part for part in (place, self.key, self.message) if part)


class StateError(InvalidArgumentError):
    """A document of declared state is wrong; no request was sent that changes anything.

    Attributes:
        problems: Everything that is wrong, in the order of the lines.
    """

    def __init__(self, problems: Sequence[StateProblem]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("state", "\n".join([f"the document has {count}:", *(f"  {one}" for one in problems)]))
        self.problems: tuple[StateProblem, ...] = tuple(problems)


class ClosedError(LaunchError):
    """The client, or the aiohttp session that it was given, is closed; or the interpreter is exiting."""


class DeadlineExceeded(LaunchError, TimeoutError):
    """The call's total `timeout` ran out, or could not be met and was refused before anything was spent.

    Attributes:
        expected_wait: Seconds that the wait for the organization's budget was expected to take; None if that was not
            the reason.
    """

    _retryable_default = True

    def __init__(self, message: str, *, expected_wait: float | None = None, **details: Unpack[ErrorDetails]) -> None:
        super().__init__(message, **details)
        self.expected_wait: float | None = expected_wait


class TransportError(LaunchError, ConnectionError):
    """No usable answer came back over the network.

    Attributes:
        sends: How often the request may have left: aiohttp sends some a second time by itself.
    """

    _retryable_default = True
    sends: int = 1


class ConnectError(TransportError):
    """The request provably never left: no connection, no name, no TLS. Nothing happened at the service."""


class ResponseLost(TransportError):
    """The request was sent, wholly or in part, and the answer was lost: the service may have acted."""


class AttemptTimeout(TransportError, TimeoutError):
    """One attempt took longer than `attempt_timeout`: the service may have acted."""


class ResponseTooLarge(TransportError):
    """The answer is longer than `response_limit` allows; the rest of it was not read. The service may have acted.

    Attributes:
        limit: Bytes that are read at most.
        size: Bytes that the answer announced; None where it announced nothing, or was compressed.
    """

    _retryable_default = False

    def __init__(
        self, message: str, *, limit: int = 0, size: int | None = None, **details: Unpack[ErrorDetails]
    ) -> None:
        super().__init__(message, **details)
        self.limit: int = limit
        self.size: int | None = size


class MalformedResponse(TransportError):
    """What came back breaks the rules of HTTP, so nobody can read it. The service may have acted."""

    _retryable_default = False


class RedirectRefused(TransportError):
    """The server answered with a redirect, which is never followed: credentials stay where they were issued for."""

    _retryable_default = False


class DecodeError(LaunchError):
    """A success whose body does not have the promised shape.

    Attributes:
        problems: What did not fit, each with its path in the body, such as `$.project.uid: expected a string`.
    """

    def __init__(self, message: str, *, problems: Sequence[str] = (), **details: Unpack[ErrorDetails]) -> None:
        super().__init__(message, **details)
        self.problems: tuple[str, ...] = tuple(problems)


class APIError(LaunchError):
    """The service answered with an error status.

    Attributes:
        body: What the service sent, cut to 2,000 characters, with everything that looks like a secret removed. Control
            characters are still in it.
    """

    body: str = ""


class BadRequestError(APIError):
    """400: the service refused the input; `field_errors` says which fields."""


class UnauthorizedError(APIError):
    """401: the credentials are missing, wrong or expired."""


class InvalidTokenError(UnauthorizedError):
    """The token is invalid, expired or revoked, or belongs to another region (error code 105, FACTS §1)."""


class TokenRequestError(UnauthorizedError):
    """The token endpoint or the login refuses to issue a token, with whichever status (FACTS §3)."""


class SecondFactorRequired(TokenRequestError):
    """The login wants a code as well (error code 294): ask the user, and log in again with it (FACTS §3).

    Attributes:
        method: Where the code comes from, in the service's words, such as `totp_authenticator` or `sms`; None if it
            did not say. For `sms`, call `request_sms()` first.
    """

    method: str | None = None


class GitProviderError(UnauthorizedError):
    """Launch cannot reach the project's Git account (launch.GIT_PROVIDER.*); not a problem of your credentials."""


class ForbiddenError(APIError):
    """403: these credentials may not do that."""


class NotFoundError(APIError):
    """404: no such resource in this organization and region."""


class NameNotFound(NotFoundError):
    """No project or environment fits the name or glob that was looked up; the service gave no error, so no `status`.

    Attributes:
        candidates: Close names, by UID.
    """

    def __init__(
        self, message: str, *, candidates: Mapping[str, str] | None = None, **details: Unpack[ErrorDetails]
    ) -> None:
        super().__init__(message, **details)
        self.candidates: dict[str, str] = dict(candidates or {})


class AmbiguousName(LaunchError):
    """Several projects or environments fit the name or glob that was looked up, and one was wanted.

    Attributes:
        candidates: The names that fit, by UID.
    """

    def __init__(
        self, message: str, *, candidates: Mapping[str, str] | None = None, **details: Unpack[ErrorDetails]
    ) -> None:
        super().__init__(message, **details)
        self.candidates: dict[str, str] = dict(candidates or {})


class ConflictError(APIError):
    """409: it conflicts with what is there, such as a name that is taken; `codes` and the text say what.

    Applying declared state raises it without a status, where somebody changed the same thing since it was compared.

    Attributes:
        expected: What was there when it was compared, by name; secrets are `[hidden]`.
        found: What is there now.
    """

    expected: Mapping[str, object] = MappingProxyType({})
    found: Mapping[str, object] = MappingProxyType({})


class RateLimitError(APIError):
    """429: more requests than the organization's budget allows, from all of its programs together."""

    _retryable_default = True


class QuotaExceededError(APIError):
    """The organization's daily quota of cache revalidations is used up (FACTS §8)."""


class ServerError(APIError):
    """5xx: the service or a gateway failed."""


class InternalServerError(ServerError):
    """500: the service failed; never repeated automatically."""


class ServerLogsUnavailable(InternalServerError):
    """500 of the server-log endpoint: only server-rendered deployments have server logs (FACTS §7)."""


class BadGatewayError(ServerError):
    """502: a gateway got a bad answer."""

    _retryable_default = True


class ServiceUnavailableError(ServerError):
    """503: the service is temporarily unavailable."""

    _retryable_default = True


class GatewayTimeoutError(ServerError):
    """504: a gateway gave up waiting."""

    _retryable_default = True


class AuthorizationError(LaunchError):
    """The browser step was refused, does not belong to the request it should answer, or must be done again."""


class StorageError(LaunchError):
    """The signed storage URL refused an upload or a download, or could not be reached (FACTS §5)."""


class AmbiguousOutcome(LaunchError):
    """A creation or a change of a domain was sent, its answer was lost, and a look-up cannot tell whether it happened.

    Attributes:
        candidates: UIDs of the resources that may be the one asked for, or of the domain; look at them before you send
            it again.
    """

    def __init__(self, message: str, *, candidates: Sequence[str] = (), **details: Unpack[ErrorDetails]) -> None:
        super().__init__(message, **details)
        self.ambiguous = True
        self.candidates: tuple[str, ...] = tuple(candidates)


class DeploymentState(Protocol):
    """What an error tells of a deployment; the object is a `launch_async.Deployment`."""

    @property
    def uid(self) -> str:
        """UID of the deployment."""
        ...

    @property
    def status(self) -> str:
        """Its status, such as `FAILED`."""
        ...

    @property
    def url(self) -> str | None:
        """Absolute URL of the site; None while the service gives none."""
        ...


class FailureReport(Protocol):
    """What an error tells of a deployment that has failed; the object is a `launch_async.DeploymentReport`."""

    @property
    def deployment(self) -> DeploymentState:
        """The last known state of the deployment."""
        ...

    @property
    def headline(self) -> str:
        """What happened, in a few words."""
        ...

    @property
    def summary(self) -> str:
        """What happened and what to do next, in a few sentences."""
        ...

    @property
    def first_error(self) -> str | None:
        """First log line that looks like an error; None if there is none."""
        ...

    @property
    def log_tail(self) -> Sequence[object]:
        """The last lines of the log; `str` of each gives its text."""
        ...

    def to_dict(self) -> Mapping[str, object]:
        """Return the report as plain data, ready for JSON."""
        ...


class DeploymentFailed(LaunchError):
    """A deployment ended without success.

    Attributes:
        report: Status, stage, first error line, log tail, durations, URL and what to do next.
    """

    def __init__(self, report: FailureReport) -> None:
        super().__init__(report.summary, operation="deploy")
        self.report: FailureReport = report


class DeploymentsFailed(LaunchError):
    """Several deployments were waited for; all have ended, and some of them without success.

    Attributes:
        failures: The reports of those that failed, in the order in which they were given.
        deployments: Every deployment in its last state, in the order in which they were given.
    """

    def __init__(self, failures: Sequence[FailureReport], deployments: Sequence[DeploymentState]) -> None:
        first = f" The first: {failures[0].summary}" if failures else ""
        super().__init__(f"{len(failures)} of {len(deployments)} deployments failed.{first}", operation="wait")
        self.failures: tuple[FailureReport, ...] = tuple(failures)
        self.deployments: tuple[DeploymentState, ...] = tuple(deployments)


class CheckOutcome(Protocol):
    """What an error tells of a check of a site; the object is a `launch_async.CheckResult`."""

    @property
    def name(self) -> str:
        """What was checked."""
        ...

    @property
    def passed(self) -> bool:
        """Whether the site passed it."""
        ...

    @property
    def problem(self) -> str:
        """What was wrong at the last attempt; empty if nothing was."""
        ...


class DeploymentUnhealthy(LaunchError):
    """A deployment went live, and a check of its site failed.

    Attributes:
        deployment: The deployment that failed the check.
        results: What came of each check, in the order in which they were given.
        restored: The deployment that put back what served before; None if nothing was put back. The text says why.
    """

    def __init__(
        self,
        message: str,
        *,
        deployment: DeploymentState,
        results: Sequence[CheckOutcome],
        restored: DeploymentState | None = None,
    ) -> None:
        super().__init__(message, operation="verify")
        self.deployment: DeploymentState = deployment
        self.results: tuple[CheckOutcome, ...] = tuple(results)
        self.restored: DeploymentState | None = restored


class WaitTimeout(LaunchError, TimeoutError):
    """A deployment did not end in time. It goes on at the service: wait again with the same reference.

    Attributes:
        last: The last known state; None if the service never answered.
    """

    _retryable_default = True

    def __init__(self, message: str, *, last: DeploymentState | None = None) -> None:
        super().__init__(message, operation="wait")
        self.last: DeploymentState | None = last


class JournalError(LaunchError):
    """A fleet journal cannot be used: locked by another run, foreign, damaged, or of another version or organization.

    The file was left as it was.
    """


class JournalInUse(JournalError):
    """Another run has the fleet journal, perhaps in another process: wait for it, or end it.

    A workflow engine that takes a slow worker for a dead one, and begins its part of a rollout again, meets this.
    """

    _retryable_default = True


class ConcurrentChangeError(LaunchError):
    """Somebody else changed what was about to be written; the message says whether anything was written.

    Attributes:
        keys: Names of what changed meanwhile.
    """

    def __init__(self, message: str, *, keys: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.keys: tuple[str, ...] = tuple(keys)
