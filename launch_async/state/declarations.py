"""What a document of declared state consists of: projects, environments, groups and their settings, as typed data."""

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
        username: Name they log in with.
        password: A reference to the password: `env:NAME`, `file:PATH`, or a function.
    """

    is_enabled: bool | None = None
    username: str | None = None
    password: VariableSource | None = attrs.field(default=None, repr=False)


@attrs.define(kw_only=True)
class DeclaredSettings:
    """Settings of environments. None, and what is not named, stays as it is at the service.

    Of a text that the service can do without, "" means none.

    Attributes:
        description: Free text.
        framework_preset: How the site is built and served, such as `NEXTJS`.
        build_command: Command that builds it.
        output_directory: Folder that is served.
        server_command: Command that starts the server.
        git_branch: Branch that is deployed.
        auto_deploy_on_push: Whether a push deploys.
        is_streaming_enabled: Whether responses are streamed.
        is_contentstack_authentication_enabled: Whether visitors must be logged in to Contentstack.
        has_lytics_enabled: Whether the Lytics tag is injected.
        is_cache_priming_enabled: Whether the CDN is warmed after each deployment.
        password_protection: Basic authentication in front of the site.
        protected: Whether changes need a confirmation.
        variables: Where the values of variables come from, by name.
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
        uid: Its UID: with it, another name in the document renames it.
        delete: Whether it is deleted.
        source: Folder or .zip that a new environment of a file-upload project begins with; the project's by default.
    """

    uid: str | None = None
    delete: bool = False
    source: str | None = None


@attrs.define(kw_only=True)
class DeclaredGroup(DeclaredSettings):
    """Settings of all environments whose names fit, whether the document names them or not. It creates none.

    Attributes:
        projects: Name patterns of projects, such as `shop-*`; case matters.
        environments: Name patterns of environments.
    """

    projects: tuple[str, ...] = ("*",)
    environments: tuple[str, ...] = ("*",)


@attrs.define(kw_only=True)
class DeclaredRepository:
    """The Git repository of a project: used when the project is created, and only compared afterwards.

    Attributes:
        repository_name: `owner/name`.
        username: Namespace that owns it.
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
        uid: Its UID: with it, another name in the document renames it.
        description: Free text; "" for none.
        delete: Whether it is deleted, with all that is in it.
        repository: Git repository of a new project.
        source: Folder or .zip that a new file-upload project begins with.
        environments: Its environments by name. A new project begins with the first of them.
    """

    uid: str | None = None
    description: str | None = None
    delete: bool = False
    repository: DeclaredRepository | None = None
    source: str | None = None
    environments: dict[str, DeclaredEnvironment] = attrs.field(factory=dict[str, DeclaredEnvironment])


@attrs.frozen
class Origin:
    """The file that a document was read from.

    Attributes:
        name: What errors call it.
        text: What it held.
        lines: The line of each key.
        folder: Where relative paths in it begin.
    """

    name: str
    text: str = attrs.field(repr=False)
    lines: Mapping[KeyPath, int] = attrs.field(repr=False)
    folder: Path


@attrs.define(kw_only=True)
class Declaration:
    """All that a document says.

    Attributes:
        projects: Projects by name.
        groups: Settings of many environments, by a name of yours. Of two that fit, the later one wins.
        defaults: Settings of every environment that the document names, or that a group fits.
        unmanaged: Name patterns that are never touched: of projects, of environments, or `project/environment`.
        notes: What `pull` could not write down, and why.
        origin: The file that it was read from; None if it was not.
    """

    projects: dict[str, DeclaredProject] = attrs.field(factory=dict[str, DeclaredProject])
    groups: dict[str, DeclaredGroup] = attrs.field(factory=dict[str, DeclaredGroup])
    defaults: DeclaredSettings = attrs.field(factory=DeclaredSettings)
    unmanaged: tuple[str, ...] = ()
    notes: tuple[str, ...] = attrs.field(default=(), eq=False)
    origin: Origin | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def folder(self) -> Path:
        """Where relative paths of the document begin: its file's folder, or else the working directory."""
        return Path() if self.origin is None else self.origin.folder
