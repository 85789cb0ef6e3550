"""Every error that the SDK raises.

Catch `LaunchError` for every error, a base class for a group of errors, or one class for one case:

    LaunchError
    ├── ConfigurationError                 settings or credentials are missing or contradict each other
    │   └── MissingScopeError              the token does not allow the operation
    ├── InvalidArgumentError               an argument breaks a rule (also ValueError)
    │   ├── ArchiveError                   a folder or ZIP cannot be uploaded
    │   └── StateError                     a state document is wrong; see `problems`
    ├── ClosedError                        the client is closed
    ├── DeadlineExceeded                   `timeout` ran out, or cannot be met (also TimeoutError)
    ├── TransportError                     there is no usable response (also ConnectionError)
    │   ├── ConnectError                   the request was certainly not sent
    │   ├── ResponseLost                   the request was sent, and the response was lost
    │   ├── AttemptTimeout                 one attempt took too long (also TimeoutError)
    │   ├── ResponseTooLarge               the response is longer than `response_limit`
    │   ├── MalformedResponse              the response is not valid HTTP
    │   └── RedirectRefused                the server redirected the request to another address
    ├── DecodeError                        the body of a success has an unexpected structure
    ├── APIError                           the service answered with an error status
    │   ├── BadRequestError                400; `field_errors` names the fields
    │   ├── UnauthorizedError              401
    │   │   ├── InvalidTokenError          invalid, expired, revoked, or of another region (105)
    │   │   ├── TokenRequestError          the token endpoint or the login issued no token
    │   │   │   └── SecondFactorRequired   the login also needs a code (294)
    │   │   └── GitProviderError           Launch cannot reach the Git account (launch.GIT_PROVIDER.*)
    │   ├── ForbiddenError                 403
    │   ├── NotFoundError                  404
    │   │   └── NameNotFound               no project or environment has the name that was looked up
    │   ├── ConflictError                  409
    │   ├── RateLimitError                 429
    │   ├── QuotaExceededError             the daily quota of cache revalidations is used up
    │   └── ServerError                    5xx
    │       ├── InternalServerError        500
    │       │   └── ServerLogsUnavailable  500 for server logs, for example of a static site
    │       ├── BadGatewayError            502
    │       ├── ServiceUnavailableError    503
    │       └── GatewayTimeoutError        504
    ├── AmbiguousName                      the name matches several projects or environments
    ├── AuthorizationError                 the authorization in the browser failed
    ├── StorageError                       the signed storage URL refused an upload or a download
    ├── AmbiguousOutcome                   the SDK cannot find out whether an operation happened
    ├── DeploymentFailed                   a deployment ended without success; see `report`
    ├── DeploymentsFailed                  some of several deployments ended without success
    ├── DeploymentUnhealthy                a deployment went live, and its site failed a check
    ├── WaitTimeout                        a deployment did not end in time (also TimeoutError)
    ├── JournalError                       a fleet journal cannot be used
    │   └── JournalInUse                   another run uses the journal
    └── ConcurrentChangeError              the data has changed since it was compared

Every error can be pickled. No error contains a token, a signed URL or the value of a variable. Two more errors are in
the modules that raise them: `launch_async.rate_limit.redis.BudgetUnavailable`, which is a `ConnectError`, and
`launch_sync.BridgeThreadError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypedDict, Unpack

from launch_async._text import count_of, without_escapes
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


class FieldError(NamedTuple):
    """A problem that the service reports for one field of a request.

    Attributes:
        field: Name of the field in the request. The name of a nested field has dots: `environmentVariables.0.value`.
        code: Code of the service, such as `launch.PROJECTS.NAME.TOO_LONG`; empty if the service sent none.
        message: Text of the service; empty if the service sent none.
    """

    field: str
    code: str = ""
    message: str = ""


class ErrorDetails(TypedDict, total=False):
    """Details of a failed call, which become attributes of `LaunchError`."""

    operation: str | None
    status: int | None
    request_id: str | None
    attempts: int
    ambiguous: bool


class LaunchError(Exception):
    """Base class of every error that this SDK raises.

    Attributes:
        message: Description of the error and the next step, without the control characters that the service may have
            sent.
        raw_message: The same text with all characters. It may contain escape sequences for terminals.
        operation: Name of the API operation or workflow, such as `getProject`; None if the error has none.
        status: HTTP status of the response; None if there was no response.
        codes: Error codes of the service, in the order of the response; empty if the response has none.
        field_errors: Problems that the service reports for single fields; empty if the response has none.
        request_id: Request id of the service, or the request id of the client if the service sent none. None if the
            client sent no request.
        attempts: Number of times that the client sent the request or tried to send it.
        retryable: Whether the same call may succeed later without a change.
        retry_after: Seconds to wait before the next call; None if the response did not say.
        ambiguous: Whether the operation may have happened although the SDK raised this error.
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
        # Keep line breaks: the report of a failed build has several lines.
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
        """Return the traceback for IPython: the frames of the caller and the message, without the frames of the SDK."""
        return TRACEBACK(self)

    def __reduce__(self) -> tuple[object, ...]:
        # BaseException pickles only its positional arguments, so the other attributes would be lost.
        return _restore, (type(self), dict(self.__dict__), self.args)


def _restore(kind: type[LaunchError], state: Mapping[str, object], args: tuple[object, ...]) -> LaunchError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(LaunchError):
    """Settings or credentials are missing, are malformed, or contradict each other. The SDK sent no request."""


class MissingScopeError(ConfigurationError):
    """The kind or the scopes of the token do not allow the operation. The SDK sent no request."""


class InvalidArgumentError(LaunchError, ValueError):
    """An argument breaks a rule of the service. The SDK sent no request.

    Attributes:
        parameter: Name of the argument.
        rule: Source of the rule: `openapi.yaml` for the OpenAPI document of the service, or a section of this
            documentation, such as `reference/facts.md#4-resources`. Empty if the rule has no such source.
    """

    def __init__(self, parameter: str, problem: str, *, rule: str = "", operation: str | None = None) -> None:
        super().__init__(f"{parameter}: {problem}", operation=operation)
        self.parameter: str = parameter
        self.rule: str = rule


class ArchiveError(InvalidArgumentError):
    """A folder or ZIP cannot be uploaded. The SDK sent no request.

    Attributes:
        paths: The files that cause the error, relative to the folder.
    """

    def __init__(self, parameter: str, problem: str, *, rule: str = "", paths: Sequence[str] = ()) -> None:
        super().__init__(parameter, problem, rule=rule)
        self.paths: tuple[str, ...] = tuple(paths)


class StateProblem(NamedTuple):
    """One problem of a state document.

    Attributes:
        file: Path of the file; empty if the document was not read from a file.
        line: Number of the line, from 1; None if it is not known.
        key: The key as written in TOML; empty if the text is not valid TOML.
        message: Description of the problem.
    """

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return ": ".join(part for part in (place, self.key, self.message) if part)


class StateError(InvalidArgumentError):
    """A state document is wrong. The SDK sent no request that changes anything.

    Attributes:
        problems: All problems, in the order of the lines.
    """

    def __init__(self, problems: Sequence[StateProblem]) -> None:
        count = count_of(len(problems), "problem")
        super().__init__("state", "\n".join([f"the document has {count}:", *(f"  {one}" for one in problems)]))
        self.problems: tuple[StateProblem, ...] = tuple(problems)


class ClosedError(LaunchError):
    """The client is closed, or the aiohttp session that it uses is closed, or the interpreter is exiting."""


class DeadlineExceeded(LaunchError, TimeoutError):
    """The `timeout` of the whole call ran out, or the SDK could not meet the `timeout` and sent no request.

    Attributes:
        expected_wait: Expected wait for the rate limit, in seconds; None if the rate limit was not the reason.
    """

    _retryable_default = True

    def __init__(self, message: str, *, expected_wait: float | None = None, **details: Unpack[ErrorDetails]) -> None:
        super().__init__(message, **details)
        self.expected_wait: float | None = expected_wait


class TransportError(LaunchError, ConnectionError):
    """The client got no usable response from the network.

    Attributes:
        sends: Number of times that the request may have been sent. aiohttp sends some requests a second time.
    """

    _retryable_default = True
    sends: int = 1


class ConnectError(TransportError):
    """The request was certainly not sent, because the host name, the connection or TLS failed."""


class ResponseLost(TransportError):
    """The request was sent completely or in part, and the response was lost. The service may have acted."""


class AttemptTimeout(TransportError, TimeoutError):
    """One attempt took longer than `attempt_timeout`. The service may have acted."""


class ResponseTooLarge(TransportError):
    """The response is longer than `response_limit`. The client did not read the rest. The service may have acted.

    Attributes:
        limit: Maximum size of the response, in bytes.
        size: Size that the response announced, in bytes; None if it announced no size, or was compressed.
    """

    _retryable_default = False

    def __init__(
        self, message: str, *, limit: int = 0, size: int | None = None, **details: Unpack[ErrorDetails]
    ) -> None:
        super().__init__(message, **details)
        self.limit: int = limit
        self.size: int | None = size


class MalformedResponse(TransportError):
    """The response is not valid HTTP, so the client cannot read it. The service may have acted."""

    _retryable_default = False


class RedirectRefused(TransportError):
    """The server redirected the request. The client follows no redirects, so no other host gets the credentials."""

    _retryable_default = False


class DecodeError(LaunchError):
    """The service answered with success, and the body has an unexpected structure.

    Attributes:
        problems: All problems, each with its path in the body, such as `$.project.uid: expected a string`.
    """

    def __init__(self, message: str, *, problems: Sequence[str] = (), **details: Unpack[ErrorDetails]) -> None:
        super().__init__(message, **details)
        self.problems: tuple[str, ...] = tuple(problems)


class APIError(LaunchError):
    """The service answered with an error status.

    Attributes:
        body: Body of the response, cut to 2,000 characters, without anything that looks like a secret. It may contain
            control characters.
    """

    body: str = ""


class BadRequestError(APIError):
    """400: The service refused the input; `field_errors` names the fields."""


class UnauthorizedError(APIError):
    """401: The credentials are missing, wrong or expired."""


class InvalidTokenError(UnauthorizedError):
    """The token is invalid, expired or revoked, or belongs to another region (error code 105)."""


class TokenRequestError(UnauthorizedError):
    """The token endpoint or the login refused to issue a token, with any status."""


class SecondFactorRequired(TokenRequestError):
    """The login also needs a code (error code 294). Ask the user for the code, and log in again with it.

    Attributes:
        method: Source of the code as the service names it, such as `totp_authenticator` or `sms`; None if the service
            did not say. For `sms`, call `request_sms()` first.
    """

    method: str | None = None


class GitProviderError(UnauthorizedError):
    """Launch cannot reach the Git account of the project (code launch.GIT_PROVIDER.*). Your token is valid."""


class ForbiddenError(APIError):
    """403: These credentials do not allow the operation."""


class NotFoundError(APIError):
    """404: The resource does not exist in this organization and region."""


class NameNotFound(NotFoundError):
    """No project or environment matches the name or glob. `status` is None, because the service sent no error.

    Attributes:
        candidates: Similar names, by UID.
    """

    def __init__(
        self, message: str, *, candidates: Mapping[str, str] | None = None, **details: Unpack[ErrorDetails]
    ) -> None:
        super().__init__(message, **details)
        self.candidates: dict[str, str] = dict(candidates or {})


class AmbiguousName(LaunchError):
    """The name or glob matches several projects or environments, but the call needs exactly one.

    Attributes:
        candidates: The matching names, by UID.
    """

    def __init__(
        self, message: str, *, candidates: Mapping[str, str] | None = None, **details: Unpack[ErrorDetails]
    ) -> None:
        super().__init__(message, **details)
        self.candidates: dict[str, str] = dict(candidates or {})


class ConflictError(APIError):
    """409: The request conflicts with the current state, for example because a name is taken.

    In a report of `launch.state.apply`, the error has no status. There it means that another person or program has
    changed a setting since the comparison.

    Attributes:
        expected: Values at the time of the comparison, by name; secrets are `[hidden]`.
        found: Current values, by name.
    """

    expected: Mapping[str, object] = MappingProxyType({})
    found: Mapping[str, object] = MappingProxyType({})


class RateLimitError(APIError):
    """429: All programs together send more requests than the rate limit of the organization allows."""

    _retryable_default = True


class QuotaExceededError(APIError):
    """The organization has used its daily quota of cache revalidations."""


class ServerError(APIError):
    """5xx: The service or a gateway failed."""


class InternalServerError(ServerError):
    """500: The service failed. The SDK does not repeat the request."""


class ServerLogsUnavailable(InternalServerError):
    """500 for server logs: Only deployments that are rendered on a server have server logs."""


class BadGatewayError(ServerError):
    """502: A gateway received an invalid response."""

    _retryable_default = True


class ServiceUnavailableError(ServerError):
    """503: The service is temporarily unavailable."""

    _retryable_default = True


class GatewayTimeoutError(ServerError):
    """504: A gateway did not receive a response in time."""

    _retryable_default = True


class AuthorizationError(LaunchError):
    """The authorization in the browser was refused, belongs to another request, or must be repeated."""


class StorageError(LaunchError):
    """The storage behind a signed URL refused an upload or a download, or could not be reached."""


class AmbiguousOutcome(LaunchError):
    """The response to a creation or to a change of a domain was lost, and the SDK cannot find out whether it happened.

    Attributes:
        candidates: UIDs of the resources that the call may have created, or the UID of the domain. Check them before
            you call again.
    """

    def __init__(self, message: str, *, candidates: Sequence[str] = (), **details: Unpack[ErrorDetails]) -> None:
        super().__init__(message, **details)
        self.ambiguous = True
        self.candidates: tuple[str, ...] = tuple(candidates)


class DeploymentState(Protocol):
    """The deployment in an error; at run time a `launch_async.Deployment`."""

    @property
    def uid(self) -> str:
        """UID of the deployment."""
        ...

    @property
    def status(self) -> str:
        """Status of the deployment, such as `FAILED`."""
        ...

    @property
    def url(self) -> str | None:
        """Absolute URL of the site; None if the service has not assigned a URL yet."""
        ...


class FailureReport(Protocol):
    """The report of a failed deployment in an error; at run time a `launch_async.DeploymentReport`."""

    @property
    def deployment(self) -> DeploymentState:
        """Last known state of the deployment."""
        ...

    @property
    def headline(self) -> str:
        """Result of the deployment, in a few words."""
        ...

    @property
    def summary(self) -> str:
        """Description of the failure and the next step, in a few sentences."""
        ...

    @property
    def first_error(self) -> str | None:
        """First log line that looks like an error; None if there is none."""
        ...

    @property
    def log_tail(self) -> Sequence[object]:
        """Last lines of the log; `str(line)` is the text of a line."""
        ...

    def to_dict(self) -> Mapping[str, object]:
        """Return the report as plain data, ready for JSON."""
        ...


class DeploymentFailed(LaunchError):
    """A deployment ended without success.

    Attributes:
        report: Status, stage, first error line, log tail, durations, URL and the next step.
    """

    def __init__(self, report: FailureReport) -> None:
        super().__init__(report.summary, operation="deploy")
        self.report: FailureReport = report


class DeploymentsFailed(LaunchError):
    """All of the deployments have ended, and some of them ended without success.

    Attributes:
        failures: Reports of the failed deployments, in the order of the call.
        deployments: Last state of every deployment, in the order of the call.
    """

    def __init__(self, failures: Sequence[FailureReport], deployments: Sequence[DeploymentState]) -> None:
        first = f" The first: {failures[0].summary}" if failures else ""
        super().__init__(f"{len(failures)} of {len(deployments)} deployments failed.{first}", operation="wait")
        self.failures: tuple[FailureReport, ...] = tuple(failures)
        self.deployments: tuple[DeploymentState, ...] = tuple(deployments)


class CheckOutcome(Protocol):
    """The result of a check in an error; at run time a `launch_async.CheckResult`."""

    @property
    def name(self) -> str:
        """Name of the check."""
        ...

    @property
    def passed(self) -> bool:
        """Whether the site passed the check."""
        ...

    @property
    def problem(self) -> str:
        """Problem at the last attempt; empty if the site passed."""
        ...


class DeploymentUnhealthy(LaunchError):
    """A deployment went live, and its site failed a check.

    Attributes:
        deployment: The deployment whose site failed the check.
        results: Result of each check, in the order of the call.
        restored: The deployment that restored the previous version; None if no version was restored. The text of the
            error then says why.
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
    """A deployment did not end in time. The service continues it, so you can wait again with the same reference.

    Attributes:
        last: Last known state of the deployment; None if the service never answered.
    """

    _retryable_default = True

    def __init__(self, message: str, *, last: DeploymentState | None = None) -> None:
        super().__init__(message, operation="wait")
        self.last: DeploymentState | None = last


class JournalError(LaunchError):
    """A fleet journal cannot be used. The SDK did not change the file.

    The file is damaged, is not a journal, is used by another run, or belongs to another version or organization.
    """


class JournalInUse(JournalError):
    """Another run uses the fleet journal, perhaps in another process. Wait until it has ended, or end it.

    The error also occurs if a workflow engine considers a slow worker dead, and starts its part of a rollout again.
    """

    _retryable_default = True


class ConcurrentChangeError(LaunchError):
    """Another person or program has changed the data since it was compared. The text says whether anything was written.

    Attributes:
        keys: Names of the values that have changed.
    """

    def __init__(self, message: str, *, keys: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.keys: tuple[str, ...] = tuple(keys)
