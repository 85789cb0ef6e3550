"""Request bodies, under the names that `openapi.yaml` uses. The SDK imports this module before the first write."""

from __future__ import annotations

import attrs

from launch_async.models.base import SECRET, UNSET, RequestModel, Unset
from launch_async.models.domain import SslMethod
from launch_async.models.framework_preset import FrameworkPreset
from launch_async.models.project import GitProvider, ProjectType


@attrs.frozen(slots=False, kw_only=True)
class VariableInput(RequestModel):
    """One environment variable in a request."""

    key: str
    value: str = attrs.field(repr=False, metadata=SECRET)


@attrs.frozen(slots=False, kw_only=True)
class PasswordProtectionInput(RequestModel):
    """Password protection in a request."""

    is_enabled: bool | Unset = UNSET
    username: str | Unset = UNSET
    password: str | Unset = attrs.field(default=UNSET, repr=False, metadata=SECRET)


@attrs.frozen(slots=False, kw_only=True)
class EnvironmentSettings(RequestModel):
    """The fields that a new environment and an update of an environment have in common."""

    description: str | Unset | None = UNSET
    build_command: str | Unset | None = UNSET
    output_directory: str | Unset | None = UNSET
    server_command: str | Unset | None = UNSET
    git_branch: str | Unset | None = UNSET
    auto_deploy_on_push: bool | Unset | None = UNSET
    environment_variables: tuple[VariableInput, ...] | Unset = UNSET
    is_streaming_enabled: bool | Unset = UNSET
    is_contentstack_authentication_enabled: bool | Unset = UNSET


@attrs.frozen(slots=False, kw_only=True)
class EnvironmentInput(EnvironmentSettings):
    """A new environment (`ProjectEnvironmentInput`, `CreateEnvironmentRequest`)."""

    name: str
    framework_preset: FrameworkPreset
    upload_uid: str | Unset = UNSET


@attrs.frozen(slots=False, kw_only=True)
class UpdateEnvironmentRequest(EnvironmentSettings):
    """Body of `updateEnvironment`. The service does not change fields that the body leaves out."""

    name: str | Unset = UNSET
    framework_preset: FrameworkPreset | Unset = UNSET
    password_protection: PasswordProtectionInput | Unset | None = UNSET
    has_lytics_enabled: bool | Unset = UNSET
    is_cache_priming_enabled: bool | Unset = UNSET


@attrs.frozen(slots=False, kw_only=True)
class GitProviderMetadata(RequestModel):
    """Kind of Git account in a request."""

    git_provider: GitProvider


@attrs.frozen(slots=False, kw_only=True)
class RepositoryInput(RequestModel):
    """The Git repository of a new project (`RepositoryInput`)."""

    repository_name: str
    username: str
    repository_url: str
    git_provider_metadata: GitProviderMetadata


@attrs.frozen(slots=False, kw_only=True)
class FileUploadInput(RequestModel):
    """The uploaded ZIP of a new project (`FileUploadInput`)."""

    upload_uid: str


@attrs.frozen(slots=False, kw_only=True)
class CreateProjectRequest(RequestModel):
    """Body of `createProject`."""

    name: str
    project_type: ProjectType
    environment: EnvironmentInput
    description: str | Unset = UNSET
    repository: RepositoryInput | Unset = UNSET
    file_upload: FileUploadInput | Unset = UNSET


@attrs.frozen(slots=False, kw_only=True)
class UpdateProjectRequest(RequestModel):
    """Body of `updateProject`. The service accepts only these two fields."""

    name: str | Unset = UNSET
    description: str | Unset | None = UNSET


@attrs.frozen(slots=False, kw_only=True)
class CreateDeploymentRequest(RequestModel):
    """Body of `createDeployment`, with at most one of the two fields."""

    commit_hash: str | Unset = UNSET
    upload_uid: str | Unset = UNSET


@attrs.frozen(slots=False, kw_only=True)
class CachePath(RequestModel):
    """A path to purge, alone or with everything below it."""

    path: str
    is_prefix: bool


@attrs.frozen(slots=False, kw_only=True)
class RevalidateCacheRequest(RequestModel):
    """Body of `revalidateCdnCache`, with exactly one of the three fields."""

    cache_path: CachePath | Unset = UNSET
    cache_tags: tuple[str, ...] | Unset = UNSET
    hostnames: tuple[str, ...] | Unset = UNSET


@attrs.frozen(slots=False, kw_only=True)
class UpdateDomainRequest(RequestModel):
    """Body of `updateDomain`. `url` is required, and a different `url` would rename the domain."""

    url: str
    ssl_method: SslMethod | Unset = UNSET
    custom_certificate: str | Unset = UNSET
    custom_private_key: str | Unset = attrs.field(default=UNSET, repr=False, metadata=SECRET)
    intermediate_certificates: str | Unset = UNSET
