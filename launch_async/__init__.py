"""Contentstack Launch for Python: the asynchronous core.

This package has the names that most programs use. Each name is loaded when it is first used, so the import costs
nothing. The other names are in packages such as `launch_async.fleet` (docs/decisions/0016-public-names.md).
"""

from __future__ import annotations

from launch_async._lazy import lazy
from launch_async._version import __version__ as __version__

TYPE_CHECKING = False  # type checkers assume True; see launch_async._lazy
if TYPE_CHECKING:
    from launch_async.archive import (
        Archive as Archive,
        ArchiveListing as ArchiveListing,
        build_archive as build_archive,
        check_archive as check_archive,
        create_archive as create_archive,
        list_archive as list_archive,
    )
    from launch_async.auth import (
        AccessToken as AccessToken,
        AppCredentials as AppCredentials,
        AuthorizationRequest as AuthorizationRequest,
        Authtoken as Authtoken,
        Credentials as Credentials,
        Introspection as Introspection,
        KeyringTokenStore as KeyringTokenStore,
        MemoryTokenStore as MemoryTokenStore,
        OAuthCredentials as OAuthCredentials,
        Session as Session,
        TokenSet as TokenSet,
        TokenStore as TokenStore,
        begin_authorization as begin_authorization,
        finish_authorization as finish_authorization,
        introspect as introspect,
        login as login,
        logout as logout,
        request_sms as request_sms,
    )
    from launch_async.client import LaunchClient as LaunchClient
    from launch_async.deploy import (
        Check as Check,
        CheckResult as CheckResult,
        Commit as Commit,
        LatestCommit as LatestCommit,
        Preview as Preview,
        PreviousUpload as PreviousUpload,
        Site as Site,
    )
    from launch_async.display import to_frame as to_frame
    from launch_async.errors import (
        AmbiguousName as AmbiguousName,
        AmbiguousOutcome as AmbiguousOutcome,
        APIError as APIError,
        ArchiveError as ArchiveError,
        AttemptTimeout as AttemptTimeout,
        AuthorizationError as AuthorizationError,
        BadGatewayError as BadGatewayError,
        BadRequestError as BadRequestError,
        ClosedError as ClosedError,
        ConcurrentChangeError as ConcurrentChangeError,
        ConfigurationError as ConfigurationError,
        ConflictError as ConflictError,
        ConnectError as ConnectError,
        DeadlineExceeded as DeadlineExceeded,
        DecodeError as DecodeError,
        DeploymentFailed as DeploymentFailed,
        DeploymentsFailed as DeploymentsFailed,
        DeploymentUnhealthy as DeploymentUnhealthy,
        FieldError as FieldError,
        ForbiddenError as ForbiddenError,
        GatewayTimeoutError as GatewayTimeoutError,
        GitProviderError as GitProviderError,
        InternalServerError as InternalServerError,
        InvalidArgumentError as InvalidArgumentError,
        InvalidTokenError as InvalidTokenError,
        JournalError as JournalError,
        JournalInUse as JournalInUse,
        LaunchError as LaunchError,
        MalformedResponse as MalformedResponse,
        MissingScopeError as MissingScopeError,
        NameNotFound as NameNotFound,
        NotFoundError as NotFoundError,
        QuotaExceededError as QuotaExceededError,
        RateLimitError as RateLimitError,
        RedirectRefused as RedirectRefused,
        ResponseLost as ResponseLost,
        ResponseTooLarge as ResponseTooLarge,
        SecondFactorRequired as SecondFactorRequired,
        ServerError as ServerError,
        ServerLogsUnavailable as ServerLogsUnavailable,
        ServiceUnavailableError as ServiceUnavailableError,
        StateError as StateError,
        StateProblem as StateProblem,
        StorageError as StorageError,
        TokenRequestError as TokenRequestError,
        TransportError as TransportError,
        UnauthorizedError as UnauthorizedError,
        WaitTimeout as WaitTimeout,
    )
    from launch_async.hooks import (
        BudgetWait as BudgetWait,
        Hooks as Hooks,
        RequestFinished as RequestFinished,
        RequestRetried as RequestRetried,
        RequestStarted as RequestStarted,
    )
    from launch_async.http import (
        Middleware as Middleware,
        Request as Request,
        Response as Response,
        RetryPolicy as RetryPolicy,
        Send as Send,
        Transport as Transport,
    )
    from launch_async.models import (
        UNSET as UNSET,
        CacheRevalidationUsage as CacheRevalidationUsage,
        Deployment as Deployment,
        DeploymentRef as DeploymentRef,
        DeploymentStatus as DeploymentStatus,
        Domain as Domain,
        DownloadUrl as DownloadUrl,
        Environment as Environment,
        FrameworkPreset as FrameworkPreset,
        GitProvider as GitProvider,
        JSONValue as JSONValue,
        Log as Log,
        LogLine as LogLine,
        LogStage as LogStage,
        Page as Page,
        PasswordProtection as PasswordProtection,
        Project as Project,
        ProjectType as ProjectType,
        ServerLogLine as ServerLogLine,
        SignedUploadUrl as SignedUploadUrl,
        SslMethod as SslMethod,
        Unset as Unset,
    )
    from launch_async.rate_limit import RateLimit as RateLimit
    from launch_async.rate_limit.redis import RedisRateLimiter as RedisRateLimiter
    from launch_async.resources import Pager as Pager
    from launch_async.state import State as State, StatePlan as StatePlan
    from launch_async.variables import VariablesDiff as VariablesDiff
    from launch_async.watch import (
        DeploymentReport as DeploymentReport,
        FollowedLine as FollowedLine,
        LogCursor as LogCursor,
    )
else:
    __getattr__, __dir__ = lazy(__name__)
