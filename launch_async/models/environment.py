"""Environments: the parts of a project that have deployments and a site."""

from __future__ import annotations

from datetime import datetime

import attrs

from launch_async._views import Displayable
from launch_async.models.base import LOCAL, SECRET, IdentifiedModel, WireModel
from launch_async.models.domain import Domain
from launch_async.models.framework_preset import FrameworkPreset


@attrs.frozen(slots=False, kw_only=True)
class EnvironmentVariable(WireModel):
    """One environment variable. `repr` never shows the value.

    Attributes:
        key: Name of the variable.
        value: Value of the variable. The service sends it in clear text.
    """

    key: str
    value: str = attrs.field(default="", repr=False, metadata=SECRET)


@attrs.frozen(slots=False, kw_only=True)
class PasswordProtection(WireModel):
    """Password protection of a site (HTTP basic authentication). `repr` never shows the password.

    Attributes:
        is_enabled: Whether visitors must log in.
        username: User name for the login.
        password: Password for the login.
    """

    is_enabled: bool | None = None
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False, metadata=SECRET)


@attrs.frozen(slots=False, kw_only=True)
class Environment(Displayable, IdentifiedModel):
    """An environment (`Environment` in `openapi.yaml`). The service may leave out any field except `uid`.

    Attributes:
        uid: 24 lower-case hex digits.
        name: Name, unique within the project.
        description: Free text.
        project: UID of the project, if the service sends it; `project_uid` is always set.
        framework_preset: Framework of the site, which decides how Launch builds it.
        build_command: Command that builds the site.
        output_directory: Folder of the built site, relative to the project's root.
        server_command: Command that starts the server.
        git_branch: Branch that is deployed.
        auto_deploy_on_push: Whether a push to the branch deploys the environment.
        environment_variables: Variables, which apply from the next deployment.
        password_protection: Password protection of the site.
        is_cache_priming_enabled: Whether Launch fills the CDN cache after each deployment.
        has_lytics_enabled: Whether Launch adds the Lytics tag to pages.
        is_streaming_enabled: Whether Launch streams responses.
        is_contentstack_authentication_enabled: Whether visitors must be logged in to Contentstack.
        domains: Host names of the environment.
        created_at: Time of the creation.
        updated_at: Time of the last change.
        created_by: UID of the user who created the environment.
        updated_by: UID of the user who last changed the environment.
        deleted_at: Time of the deletion; None if the environment exists.
        deleted_by: UID of the user who deleted the environment; None if it exists.
        project_uid: UID of the project, filled in by the client.
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
