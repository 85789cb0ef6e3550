"""Projects: what holds environments."""

from __future__ import annotations

from datetime import datetime

import attrs

from launch_async._views import Displayable
from launch_async.models.base import IdentifiedModel, OpenEnum, WireModel


class ProjectType(OpenEnum):
    """Where a project's source comes from (FACTS §4).

    Attributes:
        GITPROVIDER: A Git repository.
        FILEUPLOAD: ZIPs that are uploaded.
    """

    GITPROVIDER = "GITPROVIDER"
    FILEUPLOAD = "FILEUPLOAD"


class GitProvider(OpenEnum):
    """Kind of Git account (FACTS §4).

    Attributes:
        GITHUB: GitHub, `GitHub` on the wire.
        EXTERNAL: Every other one, `ExternalGitProvider` on the wire.
    """

    GITHUB = "GitHub"
    EXTERNAL = "ExternalGitProvider"


@attrs.frozen(slots=False, kw_only=True)
class Repository(WireModel):
    """The Git repository of a project, as the service reports it.

    Attributes:
        repository_name: `owner/name`.
        username: Namespace that owns it.
        repository_url: Address of the repository.
        git_provider: Kind of Git account, as the service spells it.
    """

    repository_name: str | None = None
    username: str | None = None
    repository_url: str | None = None
    git_provider: str | None = None


@attrs.frozen(slots=False, kw_only=True)
class Project(Displayable, IdentifiedModel):
    """A project (`Project` in `openapi.yaml`).

    Any field but `uid` may be missing (FACTS §4). FILEUPLOAD projects have neither `repository` nor, unless it was
    set, `description`.

    Attributes:
        uid: 24 lower-case hex digits.
        name: Unique in the organization.
        description: Free text.
        project_type: Git or file upload.
        organization_uid: The organization that owns it.
        repository: The Git repository of a GITPROVIDER project.
        cms_stack_api_key: Key of a connected stack.
        created_at: When it was created.
        updated_at: When it was last changed.
        created_by: UID of the user who created it.
        updated_by: UID of the user who last changed it.
        deleted_at: When it was deleted; None while it exists.
        deleted_by: UID of the user who deleted it; None while it exists.
    """

    name: str | None = None
    description: str | None = None
    project_type: ProjectType | None = None
    organization_uid: str | None = None
    repository: Repository | None = None
    cms_stack_api_key: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None
    updated_by: str | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None
