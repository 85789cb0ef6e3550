"""Contentstack Launch for Python: the asynchronous core.

Everything that users import is here, loaded when it is first used: importing this package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy
from launch_async._version import __version__ as __version__

if TYPE_CHECKING:
    from launch_async.archive.archive import (
        Archive as Archive,
        ArchiveEntry as ArchiveEntry,
        ArchiveListing as ArchiveListing,
        Exclusion as Exclusion,
        build_archive as build_archive,
        check_archive as check_archive,
        create_archive as create_archive,
        list_archive as list_archive,
    )
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
    from launch_async.auth.tokens import AccessToken as AccessToken, Authtoken as Authtoken, Credentials as Credentials
    from launch_async.client import LaunchClient as LaunchClient
    from launch_async.deploy.site import Site as Site
    from launch_async.deploy.sources import (
        Commit as Commit,
        Files as Files,
        LatestCommit as LatestCommit,
        PreviousUpload as PreviousUpload,
        Source as Source,
    )
    from launch_async.discovery import ProjectFile as ProjectFile, find_project_file as find_project_file
    from launch_async.display.fleet_progress import FleetProgress as FleetProgress, ProgressMode as ProgressMode
    from launch_async.errors import (
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
        MissingScopeError as MissingScopeError,
        NotFoundError as NotFoundError,
        QuotaExceededError as QuotaExceededError,
        RateLimitError as RateLimitError,
        RedirectRefused as RedirectRefused,
        ResponseLost as ResponseLost,
        SecondFactorRequired as SecondFactorRequired,
        ServerError as ServerError,
        ServerLogsUnavailable as ServerLogsUnavailable,
        ServiceUnavailableError as ServiceUnavailableError,
        StorageError as StorageError,
        TokenRequestError as TokenRequestError,
        TransportError as TransportError,
        UnauthorizedError as UnauthorizedError,
        WaitTimeout as WaitTimeout,
    )
    from launch_async.fleet.fleet import Fleet as Fleet
    from launch_async.fleet.journal.journal import (
        Entry as Entry,
        Journal as Journal,
        OperationState as OperationState,
        SqliteJournal as SqliteJournal,
    )
    from launch_async.fleet.journal.memory import MemoryJournal as MemoryJournal
    from launch_async.fleet.plan.actions import (
        Action as Action,
        DeleteEnvironments as DeleteEnvironments,
        PlannedSource as PlannedSource,
        Redeploy as Redeploy,
        RevalidateCache as RevalidateCache,
        SetVariables as SetVariables,
        VariableChange as VariableChange,
        WhenBusy as WhenBusy,
    )
    from launch_async.fleet.plan.plan import Plan as Plan, PlanDiff as PlanDiff, PlannedOperation as PlannedOperation
    from launch_async.fleet.plan.targets import Cost as Cost, Selection as Selection, Target as Target
    from launch_async.fleet.report.outcome import TargetOutcome as TargetOutcome
    from launch_async.fleet.report.report import FleetReport as FleetReport
    from launch_async.fleet.run.control import FleetControl as FleetControl
    from launch_async.fleet.run.events import FleetEvent as FleetEvent, FleetEventKind as FleetEventKind
    from launch_async.hooks import (
        BudgetWait as BudgetWait,
        Hooks as Hooks,
        RequestFinished as RequestFinished,
        RequestRetried as RequestRetried,
        RequestStarted as RequestStarted,
    )
    from launch_async.http.retry import RetryPolicy as RetryPolicy
    from launch_async.models import (
        UNSET as UNSET,
        CacheRevalidationUsage as CacheRevalidationUsage,
        Deployment as Deployment,
        DeploymentRef as DeploymentRef,
        DeploymentStatus as DeploymentStatus,
        Domain as Domain,
        DomainInfo as DomainInfo,
        DownloadUrl as DownloadUrl,
        Environment as Environment,
        EnvironmentVariable as EnvironmentVariable,
        FormField as FormField,
        FrameworkPreset as FrameworkPreset,
        GitProvider as GitProvider,
        JSONValue as JSONValue,
        Log as Log,
        LogLine as LogLine,
        LogStage as LogStage,
        OpenEnum as OpenEnum,
        Page as Page,
        Pagination as Pagination,
        PasswordProtection as PasswordProtection,
        Project as Project,
        ProjectType as ProjectType,
        Repository as Repository,
        ServerLogLine as ServerLogLine,
        SignedUploadUrl as SignedUploadUrl,
        Unset as Unset,
        UploadHeader as UploadHeader,
        UploadMethod as UploadMethod,
        WireModel as WireModel,
        to_frame as to_frame,
    )
    from launch_async.rate_limit.local import (
        Answer as Answer,
        LimiterStatus as LimiterStatus,
        LocalRateLimiter as LocalRateLimiter,
        Priority as Priority,
        RateLimit as RateLimit,
        RateLimiter as RateLimiter,
        RateLimitMismatchWarning as RateLimitMismatchWarning,
        UnlimitedRateLimiter as UnlimitedRateLimiter,
    )
    from launch_async.resources.deploy_hooks import DeployHooks as DeployHooks
    from launch_async.resources.deployments import Deployments as Deployments
    from launch_async.resources.environments import Environments as Environments
    from launch_async.resources.pager import Pager as Pager
    from launch_async.resources.projects import Projects as Projects
    from launch_async.resources.uploads import Uploads as Uploads
    from launch_async.resources.usage import Usage as Usage
    from launch_async.settings import REGIONS as REGIONS, Region as Region
    from launch_async.variables import (
        Variables as Variables,
        VariablesDiff as VariablesDiff,
        VariableValues as VariableValues,
    )
    from launch_async.watch.log_cursor import LogCursor as LogCursor
    from launch_async.watch.merging import FollowedLine as FollowedLine
    from launch_async.watch.report import DeploymentReport as DeploymentReport
else:
    __getattr__, __dir__ = lazy(__name__)
