"""Projects: `Projects` in the API reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from launch_async.errors import InvalidArgumentError
from launch_async.http.operation import DELETE, READ, WRITE, Operation, check_text
from launch_async.models.base import UNSET, JSONValue, Unset
from launch_async.models.framework_preset import FrameworkPreset
from launch_async.models.project import GitProvider, Project, ProjectType
from launch_async.resources._inputs import (
    MAX_DESCRIPTION,
    MAX_NAME,
    environment_input,
    given,
)
from launch_async.resources._resource import Resource, has_name, has_uid, parsed_if_any
from launch_async.resources.pager import Pager
from launch_async.wire.secret import hidden

if TYPE_CHECKING:
    from launch_async.models.requests import CreateProjectRequest
    from launch_async.resources._create.reconciling import CreationOptions, ReconcilingCreate

__all__ = ["Projects", "project_creation"]

_LIST: Final = Operation("listProjects", "GET", "/projects", READ)
_GET: Final = Operation("getProject", "GET", "/projects/{project_uid}", READ)
_CREATE: Final = Operation("createProject", "POST", "/projects", WRITE)
_UPDATE: Final = Operation("updateProject", "PUT", "/projects/{project_uid}", WRITE)
_DELETE: Final = Operation("deleteProject", "DELETE", "/projects/{project_uid}", DELETE)
_GIT: Final = Operation("updateProjectGitRepository", "PATCH", "/projects/{project_uid}/git-repository")


class Projects(Resource):
    """The organization's projects."""

    def list(self, *, limit: int | None = None, skip: int = 0) -> Pager[Project]:
        """List the projects that the caller may see.

        Args:
            limit: Items per page, 1 to 100; 100 by default.
            skip: Number of items to skip at the start.

        Returns:
            A pager. Iterate over it to get every project, or call a method to get a page, the total or a list.

        Raises:
            InvalidArgumentError: `limit` is not from 1 to 100, or `skip` is negative.

        API: `listProjects`; scope `launch.projects:read` or `launch:manage`.
        """
        return self._list(_LIST, Project, {}, "projects", limit=limit, skip=skip)

    async def get(self, project_uid: str) -> Project:
        """Return one project.

        Raises:
            InvalidArgumentError: The UID is malformed.
            NotFoundError: The organization has no such project (404).

        API: `getProject`; scope `launch.projects:read` or `launch:manage`.
        """
        uids = {"project_uid": project_uid}
        return await self._one(_GET, Project, uids, key="project", check=has_uid(project_uid))

    async def create_from_git(
        self,
        name: str,
        *,
        repository_name: str,
        username: str,
        repository_url: str,
        git_branch: str,
        git_provider: GitProvider | str = GitProvider.GITHUB,
        description: str | None = None,
        environment_name: str = "production",
        environment_description: str | None = None,
        framework_preset: FrameworkPreset | str = FrameworkPreset.OTHER,
        output_directory: str | None = None,
        build_command: str | None = None,
        server_command: str | None = None,
        environment_variables: Mapping[str, str] | None = None,
        auto_deploy_on_push: bool | None = None,
        is_streaming_enabled: bool | None = None,
        is_contentstack_authentication_enabled: bool | None = None,
    ) -> Project:
        """Create a project from a Git repository, with a first environment and its first deployment.

        The method returns the project only. The environment and its deployment appear shortly after that. The call
        needs a user's token: the service refuses the tokens of apps (M2M).

        Args:
            name: Name of the project, unique in the organization, at most 200 characters.
            repository_name: Name of the repository, as `owner/name`.
            username: User or organization that owns the repository.
            repository_url: URL of the repository.
            git_branch: Branch to deploy.
            git_provider: `GitHub`, or `ExternalGitProvider` for all other providers.
            description: Description of the project, at most 255 characters.
            environment_name: Name of the first environment, at most 200 characters.
            environment_description: Description of the first environment.
            framework_preset: Framework of the site, which decides how Launch builds and runs it.
            output_directory: Folder with the built site. The default is the folder of the preset.
            build_command: Command that builds the site.
            server_command: Command that starts the server.
            environment_variables: Variables of the first environment: at most 128 variables and 14 KB in total. No name
                and no value may be empty.
            auto_deploy_on_push: Whether a push to the branch starts a deployment.
            is_streaming_enabled: Whether the site streams its responses.
            is_contentstack_authentication_enabled: Whether visitors must log in to Contentstack.

        Raises:
            InvalidArgumentError: An argument is empty or too long, the framework preset is unknown, or the variables
                break a limit. The SDK sent no request.
            ConflictError: The organization already has a project with this name (409).
            GitProviderError: Launch cannot access the Git account (401).
            MissingScopeError: The token belongs to an app. The SDK sent no request.
            AmbiguousOutcome: The response was lost, and the listing does not show whether the service created the
                project.

        API: `createProject`; scope `launch.projects:write` or `launch:manage`, a user's token.
        """
        # Rebind the name, so that a traceback with local variables does not show the values.
        environment_variables = hidden(environment_variables)
        environment = environment_input(
            "environment_name",
            environment_name,
            framework_preset,
            output_directory,
            build_command,
            server_command,
            environment_variables,
            is_streaming_enabled,
            is_contentstack_authentication_enabled,
            git_branch=check_text("git_branch", git_branch, rule="openapi.yaml"),
            auto_deploy_on_push=given(auto_deploy_on_push),
            description=environment_description,
        )
        from launch_async.models.requests import CreateProjectRequest, GitProviderMetadata, RepositoryInput

        repository = RepositoryInput(
            repository_name=check_text("repository_name", repository_name, rule="openapi.yaml"),
            username=check_text("username", username, rule="openapi.yaml"),
            repository_url=check_text("repository_url", repository_url, rule="openapi.yaml"),
            git_provider_metadata=GitProviderMetadata(git_provider=GitProvider(git_provider)),
        )
        return await self._create(
            CreateProjectRequest(
                name=check_text("name", name, longest=MAX_NAME),
                project_type=ProjectType.GITPROVIDER,
                description=_description(description),
                repository=repository,
                environment=environment,
            )
        )

    async def create_from_upload(
        self,
        name: str,
        *,
        upload_uid: str,
        description: str | None = None,
        environment_name: str = "production",
        environment_description: str | None = None,
        framework_preset: FrameworkPreset | str = FrameworkPreset.OTHER,
        output_directory: str | None = None,
        build_command: str | None = None,
        server_command: str | None = None,
        environment_variables: Mapping[str, str] | None = None,
        is_streaming_enabled: bool | None = None,
        is_contentstack_authentication_enabled: bool | None = None,
    ) -> Project:
        """Create a project from an uploaded ZIP, with a first environment and its first deployment.

        The method returns the project only. The environment and its deployment appear shortly after that.
        `create_site` uploads the ZIP, creates the project and waits until the site is live.

        Args:
            name: Name of the project, unique in the organization, at most 200 characters.
            upload_uid: Upload UID of a ZIP that you sent to a URL from `uploads.url_for_project()`.
            description: Description of the project, at most 255 characters.
            environment_name: Name of the first environment, at most 200 characters.
            environment_description: Description of the first environment.
            framework_preset: Framework of the site, which decides how Launch builds and runs it.
            output_directory: Folder with the built site. The default is the folder of the preset.
            build_command: Command that builds the site.
            server_command: Command that starts the server.
            environment_variables: Variables of the first environment: at most 128 variables and 14 KB in total. No name
                and no value may be empty.
            is_streaming_enabled: Whether the site streams its responses.
            is_contentstack_authentication_enabled: Whether visitors must log in to Contentstack.

        Raises:
            InvalidArgumentError: An argument is empty or too long, the framework preset is unknown, or the variables
                break a limit. The SDK sent no request.
            ConflictError: The organization already has a project with this name (409).
            AmbiguousOutcome: The response was lost, and the listing does not show whether the service created the
                project.

        API: `createProject`; scope `launch.projects:write` or `launch:manage`.
        """
        # Rebind the name, so that a traceback with local variables does not show the values.
        environment_variables = hidden(environment_variables)
        environment = environment_input(
            "environment_name",
            environment_name,
            framework_preset,
            output_directory,
            build_command,
            server_command,
            environment_variables,
            is_streaming_enabled,
            is_contentstack_authentication_enabled,
            upload_uid=check_text("upload_uid", upload_uid, rule="reference/facts.md#5-upload-flow"),
            description=environment_description,
        )
        from launch_async.models.requests import CreateProjectRequest, FileUploadInput

        return await self._create(
            CreateProjectRequest(
                name=check_text("name", name, longest=MAX_NAME),
                project_type=ProjectType.FILEUPLOAD,
                description=_description(description),
                # The environment repeats the upload UID, because the vendor's command line sends both (openapi.yaml).
                file_upload=FileUploadInput(upload_uid=upload_uid),
                environment=environment,
            )
        )

    async def update(
        self, project_uid: str, *, name: str | Unset = UNSET, description: str | Unset | None = UNSET
    ) -> Project:
        """Change a project's name or description. An argument that you leave out (UNSET) keeps its value.

        Args:
            project_uid: The project.
            name: New name, at most 200 characters. It cannot be None, because every project has a name.
            description: New description, at most 255 characters. None removes the description: the SDK sends null.

        Raises:
            InvalidArgumentError: There is nothing to change, or an argument is empty or too long. The SDK sent no
                request.
            ConflictError: The organization already has a project with this name (409).
            NotFoundError: The organization has no such project (404).

        API: `updateProject`; scope `launch.projects:write` or `launch:manage`.
        """
        if name is UNSET and description is UNSET:
            problem = "there is nothing to change. Pass name, description or both"
            raise InvalidArgumentError("name", problem, rule="reference/facts.md#4-resources")
        from launch_async.models.requests import UpdateProjectRequest

        body = UpdateProjectRequest(
            name=UNSET if name is UNSET else check_text("name", name, longest=MAX_NAME),
            description=description if description is None else _description(description),
        )
        return await self._one(
            _UPDATE, Project, {"project_uid": project_uid}, key="project", body=body, check=has_uid(project_uid)
        )

    async def delete(self, project_uid: str) -> None:
        """Delete a project with its environments and deployments.

        Raises:
            InvalidArgumentError: The UID is malformed.
            NotFoundError: The organization has no such project (404).

        API: `deleteProject`; scope `launch.projects:delete` or `launch:manage`.
        """
        await self._send(_DELETE, {"project_uid": project_uid})

    async def update_git_repository(self, project_uid: str, body: Mapping[str, JSONValue]) -> JSONValue:
        """Change a project's Git repository.

        The vendor does not document the body of this request. The SDK sends your body unchanged.

        Args:
            project_uid: The project.
            body: JSON object to send.

        Returns:
            The JSON document of the response; None if the response is empty.

        Raises:
            InvalidArgumentError: The UID is malformed.
            NotFoundError: The organization has no such project (404).

        API: `updateProjectGitRepository`; a user's token.
        """
        return await self._read(_GIT, {"project_uid": project_uid}, partial(parsed_if_any, _GIT), body=body)

    async def _create(self, body: CreateProjectRequest) -> Project:
        return await self._creation(body).once()

    def _creation(
        self, body: CreateProjectRequest, options: CreationOptions[Project] | None = None
    ) -> ReconcilingCreate[Project]:
        named: list[str] = []

        async def send(timeout: float) -> Project:
            return await self._one(
                _CREATE,
                Project,
                key="project",
                body=body,
                timeout=timeout,
                user_only=body.repository is not UNSET,
                check=has_name(body.name),
                named=named,
            )

        async def look_up() -> Sequence[Project]:
            return [project async for project in self.list() if project.name == body.name]

        from launch_async.resources._create.proof import NameProof

        return self._once(
            _CREATE,
            f"project {body.name!r}",
            proof=NameProof[Project](),
            send=send,
            named=named,
            look_up=look_up,
            options=options,
        )


def project_creation(
    projects: Projects, body: CreateProjectRequest, options: CreationOptions[Project]
) -> ReconcilingCreate[Project]:
    """Return the creation of a project, for a workflow that sets the options of the creation."""
    return projects._creation(body, options)  # noqa: SLF001


def _description(description: str | Unset | None) -> str | Unset:
    if description is None or description is UNSET:
        return UNSET
    if len(description) > MAX_DESCRIPTION:
        raise InvalidArgumentError(
            "description",
            f"must have at most {MAX_DESCRIPTION} characters, not {len(description)}",
            rule="reference/facts.md#4-resources",
        )
    return description
