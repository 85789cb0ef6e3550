"""Environments: what gets deployments and serves a site."""

from __future__ import annotations

from datetime import datetime

import attrs

from launch_async._views import Displayable
from launch_async.models.base import LOCAL, SECRET, IdentifiedModel, WireModel
from launch_async.models.domain import Domain
from launch_async.models.framework_preset import FrameworkPreset


@attrs.frozen(slots=False, kw_only=True)
class EnvironmentVariable(WireModel):
    """One environment variable; its value is never shown by `repr`.

    Attributes:
        key: Name of the variable.
        value: Its value, in clear (FACTS §4).
    """

    key: str
    value: str = attrs.field(default="", repr=False, metadata=SECRET)


@attrs.frozen(slots=False, kw_only=True)
class PasswordProtection(WireModel):
    """Basic authentication in front of a site; the password is never shown by `repr`.

    Attributes:
        is_enabled: Whether visitors must log in.
        username: Name they log in with.
        password: Password they log in with.
    """

    is_enabled: bool | None = None
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False, metadata=SECRET)


@attrs.frozen(slots=False, kw_only=True)
class Environment(Displayable, IdentifiedModel):
    """An environment (`Environment` in `openapi.yaml`). Any field but `uid` may be missing (FACTS §4).

    Attributes:
        uid: 24 lower-case hex digits.
        name: Unique in the project.
        description: Free text.
        project: UID of its project, where the service sends it; `project_uid` is always there.
        framework_preset: How the site is built and served.
        build_command: Command that builds it.
        output_directory: Folder that is served, relative to the project's root.
        server_command: Command that starts the server.
        git_branch: Branch that is deployed.
        auto_deploy_on_push: Whether a push deploys.
        environment_variables: Variables of the next deployment.
        password_protection: Basic authentication in front of the site.
        is_cache_priming_enabled: Whether the CDN is warmed after each deployment.
        has_lytics_enabled: Whether the Lytics tag is injected.
        is_streaming_enabled: Whether responses are streamed.
        is_contentstack_authentication_enabled: Whether visitors must be logged in to Contentstack.
        domains: Host names under which it is served.
        created_at: When it was created.
        updated_at: When it was last changed.
        created_by: UID of the user who created it.
        updated_by: UID of the user who last changed it.
        deleted_at: When it was deleted.
        deleted_by: UID of the user who deleted it.
        project_uid: UID of its project, filled in by the client.
    """

    name: str | None = None
    description: str | None = None
    project: str | None = None
    framework_preset: FrameworkPreset | None = None
    build_command: str | None = None
    output_directory: str | None = None
    server_command: str | None = None
    git_branch: str | None = None
    auto_deploy_on_push: bool | None = None
    environment_variables: tuple[EnvironmentVariable, ...] = ()
    password_protection: PasswordProtection | None = None
    is_cache_priming_enabled: bool | None = None
    has_lytics_enabled: bool | None = None
    is_streaming_enabled: bool | None = None
    is_contentstack_authentication_enabled: bool | None = None
    domains: tuple[Domain, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None
    updated_by: str | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    project_uid: str = attrs.field(default="", metadata=LOCAL)
