"""The parts of a document of declared state: projects, environments, groups and their settings, as typed data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from launch_async.state.file.lines import KeyPath
from launch_async.state.values import VariableSource

__all__ = [
    "Declaration",
    "DeclaredEnvironment",
    "DeclaredGroup",
    "DeclaredPasswordProtection",
    "DeclaredProject",
    "DeclaredRepository",
    "DeclaredSettings",
    "Origin",
]


@attrs.define(kw_only=True)
class DeclaredPasswordProtection:
    """Basic authentication in front of a site.

    Attributes:
        is_enabled: Whether visitors must log in.
        username: Name for the login.
        password: A reference to the password: `env:NAME`, `file:PATH`, or a function.
    """

    is_enabled: bool | None = None
    username: str | None = None
    password: VariableSource | None = attrs.field(default=None, repr=False)


@attrs.define(kw_only=True)
class DeclaredSettings:
    """Settings of environments. The SDK does not change a setting that is None, or a variable that is not named.

    An empty text removes the setting at the service, if the setting is optional.

    Attributes:
        description: Free text.
        framework_preset: How Launch builds and serves the site, such as `NEXTJS`.
        build_command: Command that builds the site.
        output_directory: Folder that Launch serves.
        server_command: Command that starts the server.
        git_branch: Branch that Launch deploys.
        auto_deploy_on_push: Whether a push starts a deployment.
        is_streaming_enabled: Whether responses are streamed.
        is_contentstack_authentication_enabled: Whether visitors must be logged in to Contentstack.
        has_lytics_enabled: Whether Launch injects the Lytics tag.
        is_cache_priming_enabled: Whether Launch warms the CDN after each deployment.
        password_protection: Basic authentication in front of the site.
        protected: Whether changes need a confirmation.
        variables: Sources of the values of variables, by name.
    """

    description: str | None = None
    framework_preset: str | None = None
    build_command: str | None = None
    output_directory: str | None = None
    server_command: str | None = None
    git_branch: str | None = None
    auto_deploy_on_push: bool | None = None
    is_streaming_enabled: bool | None = None
    is_contentstack_authentication_enabled: bool | None = None
    has_lytics_enabled: bool | None = None
    is_cache_priming_enabled: bool | None = None
    password_protection: DeclaredPasswordProtection | None = None
    protected: bool | None = None
    variables: dict[str, VariableSource] = attrs.field(factory=dict[str, VariableSource], repr=False)


TEXTS: Final = (
    "description",
    "framework_preset",
    "build_command",
    "output_directory",
    "server_command",
    "git_branch",
)
"""Settings that are texts."""
SWITCHES: Final = (
    "auto_deploy_on_push",
    "is_streaming_enabled",
    "is_contentstack_authentication_enabled",
    "has_lytics_enabled",
    "is_cache_priming_enabled",
)
"""Settings that are on or off."""


@attrs.define(kw_only=True)
class DeclaredEnvironment(DeclaredSettings):
    """One environment of a project.

    Attributes:
        uid: UID of the environment. With a UID, another name in the document renames the environment.
        delete: Whether to delete the environment.
        source: Folder or .zip for a new environment of a file-upload project; the project's by default.
    """

    uid: str | None = None
    delete: bool = False
    source: str | None = None


@attrs.define(kw_only=True)
class DeclaredGroup(DeclaredSettings):
    """Settings of all environments whose names match. A group creates no environment.

    Attributes:
        projects: Name patterns of projects, such as `shop-*`; case-sensitive.
        environments: Name patterns of environments.
    """

    projects: tuple[str, ...] = ("*",)
    environments: tuple[str, ...] = ("*",)


@attrs.define(kw_only=True)
class DeclaredRepository:
    """The Git repository of a project. The SDK uses it to create the project, and only compares it afterwards.

    Attributes:
        repository_name: `owner/name`.
        username: Namespace that owns the repository.
        repository_url: Address of the repository.
        git_provider: `GitHub` or `ExternalGitProvider`.
    """

    repository_name: str
    username: str
    repository_url: str
    git_provider: str = "GitHub"


@attrs.define(kw_only=True)
class DeclaredProject:
    """One project.

    Attributes:
        uid: UID of the project. With a UID, another name in the document renames the project.
        description: Free text; "" for none.
        delete: Whether to delete the project with everything in it.
        repository: Git repository of a new project.
        source: Folder or .zip for a new file-upload project.
        environments: Its environments by name. The SDK creates a new project together with the first one.
    """

    uid: str | None = None
    description: str | None = None
    delete: bool = False
    repository: DeclaredRepository | None = None
    source: str | None = None
    environments: dict[str, DeclaredEnvironment] = attrs.field(factory=dict[str, DeclaredEnvironment])


@attrs.frozen
class Origin:
    """The file of a document.

    Attributes:
        name: Name of the file for error messages.
        text: Content of the file.
        lines: The line of each key.
        folder: The folder where relative paths start.
    """

    name: str
    text: str = attrs.field(repr=False)
    lines: Mapping[KeyPath, int] = attrs.field(repr=False)
    folder: Path


@attrs.define(kw_only=True)
class Declaration:
    """The content of a document.

    Attributes:
        projects: Projects by name.
        groups: Settings of several environments, by a name that you choose. A later group takes precedence.
        defaults: Settings of every environment that the document names or a group matches.
        unmanaged: Name patterns of projects, environments or `project/environment` that the SDK never changes.
        notes: Entries that `pull` left out, with the reason.
        origin: The file of the document; None without a file.
    """

    projects: dict[str, DeclaredProject] = attrs.field(factory=dict[str, DeclaredProject])
    groups: dict[str, DeclaredGroup] = attrs.field(factory=dict[str, DeclaredGroup])
    defaults: DeclaredSettings = attrs.field(factory=DeclaredSettings)
    unmanaged: tuple[str, ...] = ()
    notes: tuple[str, ...] = attrs.field(default=(), eq=False)
    origin: Origin | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def folder(self) -> Path:
        """The folder where relative paths start: the folder of the file, or the working directory."""
        return Path() if self.origin is None else self.origin.folder
