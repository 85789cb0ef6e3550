"""Projects: the containers of environments."""

from __future__ import annotations

from datetime import datetime

import attrs

from launch_async._views import Displayable
from launch_async.models.base import IdentifiedModel, OpenEnum, WireModel


class ProjectType(OpenEnum):
    """Source of the files of a project.

    Attributes:
        GITPROVIDER: A Git repository.
        FILEUPLOAD: Uploaded ZIPs.
    """

    GITPROVIDER = "GITPROVIDER"
    FILEUPLOAD = "FILEUPLOAD"


class GitProvider(OpenEnum):
    """Kind of Git account.

    Attributes:
        GITHUB: GitHub; `GitHub` on the wire.
        EXTERNAL: Any other Git provider; `ExternalGitProvider` on the wire.
    """

    GITHUB = "GitHub"
    EXTERNAL = "ExternalGitProvider"


@attrs.frozen(slots=False, kw_only=True)
class Repository(WireModel):
    """The Git repository of a project, as the service reports it.

    Attributes:
        repository_name: `owner/name`.
        username: Namespace that owns the repository.
        repository_url: URL of the repository.
        git_provider: Kind of Git account, as the service sends it.
    """

    repository_name: str | None = None
    username: str | None = None
    repository_url: str | None = None
    git_provider: str | None = None


@attrs.frozen(slots=False, kw_only=True)
class Project(Displayable, IdentifiedModel):
    """A project (`Project` in `openapi.yaml`).

    The service may leave out any field except `uid`. FILEUPLOAD projects have no `repository`. They have a
    `description` only if it was set.

    Attributes:
        uid: 24 lower-case hex digits.
        name: Name, unique within the organization.
        description: Free text.
        project_type: Source of the files: Git or uploads.
        organization_uid: UID of the organization.
        repository: Git repository of a GITPROVIDER project.
        cms_stack_api_key: API key of a connected stack.
        created_at: Time of the creation.
        updated_at: Time of the last change.
        created_by: UID of the user who created the project.
        updated_by: UID of the user who last changed the project.
        deleted_at: Time of the deletion; None if the project exists.
        deleted_by: UID of the user who deleted the project; None if it exists.
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
