"""The resources of the API as immutable attrs classes, one module for each resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.models.base import (
        UNSET as UNSET,
        JSONValue as JSONValue,
        OpenEnum as OpenEnum,
        Unset as Unset,
        WireModel as WireModel,
    )
    from launch_async.models.cache import CacheRevalidationUsage as CacheRevalidationUsage
    from launch_async.models.deployment import (
        Deployment as Deployment,
        DeploymentRef as DeploymentRef,
        DeploymentStatus as DeploymentStatus,
    )
    from launch_async.models.domain import (
        Domain as Domain,
        DomainInfo as DomainInfo,
        SslMethod as SslMethod,
    )
    from launch_async.models.environment import (
        Environment as Environment,
        EnvironmentVariable as EnvironmentVariable,
        PasswordProtection as PasswordProtection,
    )
    from launch_async.models.framework_preset import FrameworkPreset as FrameworkPreset
    from launch_async.models.log import (
        Log as Log,
        LogLine as LogLine,
        LogStage as LogStage,
        ServerLogLine as ServerLogLine,
    )
    from launch_async.models.page import (
        Page as Page,
        Pagination as Pagination,
    )
    from launch_async.models.project import (
        GitProvider as GitProvider,
        Project as Project,
        ProjectType as ProjectType,
        Repository as Repository,
    )
    from launch_async.models.upload import (
        DownloadUrl as DownloadUrl,
        FormField as FormField,
        SignedUploadUrl as SignedUploadUrl,
        UploadHeader as UploadHeader,
        UploadMethod as UploadMethod,
    )
else:
    __getattr__, __dir__ = lazy(__name__)
