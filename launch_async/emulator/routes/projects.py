"""Projects: list, create with a first environment and deployment, read, change, delete."""

from launch_async.emulator import errors
from launch_async.emulator.routes.creation import (
    GIT,
    check_git_allowed,
    deploy,
    new_environment,
    received_upload,
)
from launch_async.emulator.routes.validation import CHANGED_PROJECT, NEW_PROJECT, check, check_required
from launch_async.emulator.service import Call, JsonResponse
from launch_async.emulator.shapes import as_object
from launch_async.emulator.state import NEWEST_COMMIT, Project


async def list_projects(call: Call) -> JsonResponse:
    """Return one page of the projects of the organization."""
    return call.page("projects", list(call.organization.projects.values()))


async def get_project(call: Call) -> JsonResponse:
    """Return one project."""
    return JsonResponse(200, {"project": call.shown(call.project())})


async def create_project(call: Call) -> JsonResponse:
    """Create a project with its first environment and deployment.

    An option delays the visibility of the environment and the deployment.
    """
    body = await call.json()
    check(body, NEW_PROJECT, "PROJECTS")
    git = body["projectType"] == GIT
    needed = "repository" if git else "fileUpload"
    if needed not in body:
        raise errors.invalid_fields(
            [(needed, f"launch.PROJECTS.{'REPOSITORY' if git else 'FILE_UPLOAD'}.REQUIRED", f"{needed} is required.")]
        )
    check_required(
        as_object(body["environment"]) or {}, call.service.options.required_settings, "PROJECTS", "environment."
    )
    if git:
        check_git_allowed(call)
    _check_name(call, str(body["name"]), None)
    limit = call.service.options.project_limit
    if limit is not None and len(call.organization.projects) >= limit:
        raise errors.coded(403, "launch.PROJECT.LIMIT_REACHED", "The organization cannot have more projects.")
    upload = None
    if not git:
        upload = received_upload(call, (as_object(body["fileUpload"]) or {})["uploadUid"], "PROJECTS")
        await call.service.storage.unpacked(upload)
        _check_name(call, str(body["name"]), None)
    project = _new_project(call, body)
    delay = call.service.options.create_delay
    environment = new_environment(call, project, as_object(body["environment"]) or {}, delay)
    await deploy(call, environment, upload=upload, commit_hash=NEWEST_COMMIT if git else None, delay=2 * delay)
    return JsonResponse(201, {"project": call.shown(project)})


async def update_project(call: Call) -> JsonResponse:
    """Change the name or the description of a project. Other fields are refused."""
    call.project()
    body = await call.json()
    project = call.project()  # another request may have deleted it while the body arrived
    if not body:
        raise errors.coded(400, "launch.BODY_EMPTY", "Nothing to update.")
    foreign = [name for name in body if name not in ("name", "description")]
    if foreign:
        raise errors.invalid_fields(
            [(name, "launch.PROJECTS.NOT_ALLOWED", f"{name} cannot be set.") for name in foreign]
        )
    check(body, CHANGED_PROJECT, "PROJECTS")
    if "name" in body:
        _check_name(call, str(body["name"]), project)
        call.service.state.rename_project(project, str(body["name"]))
    if "description" in body:
        project.description = None if body["description"] is None else str(body["description"])
    project.updated_at = call.now
    return JsonResponse(200, {"project": call.shown(project)})


async def delete_project(call: Call) -> JsonResponse:
    """Delete a project with all its environments and deployments."""
    project = call.project()
    environments = list(project.environments.values())
    for environment in environments:
        call.service.state.drop_environment(environment)
    call.service.state.drop_project(project)
    for environment in environments:
        await call.service.sites.close(environment)
    return JsonResponse(204)


async def update_git_repository(call: Call) -> JsonResponse:
    """Return the body unchanged, or 501. An option chooses, because the behaviour of the service is not known."""
    call.project()
    if call.service.options.git_repository_status == 501:
        raise errors.coded(501, "launch.NOT_IMPLEMENTED", "Not implemented.")
    return JsonResponse(200, await call.json())


def _new_project(call: Call, body: dict[str, object]) -> Project:
    git = body["projectType"] == GIT
    repository = as_object(body.get("repository"))
    project = Project(
        uid=call.service.uids.launch(),
        organization=call.organization,
        name=str(body["name"]),
        kind="GITPROVIDER" if git else "FILEUPLOAD",
        created_at=call.now,
        updated_at=call.now,
        description=str(body["description"]) if "description" in body else None,
        repository=_repository(repository) if git and repository else None,
    )
    call.service.state.add(project)
    call.service.created("project", project.uid, project.name, call.organization.uid)
    return project


def _repository(given: dict[str, object]) -> dict[str, object]:
    """Return the repository of a project. As in the vendor's example, it does not contain the provider."""
    return {name: given[name] for name in ("repositoryName", "username", "repositoryUrl")}


def _check_name(call: Call, name: str, but: Project | None) -> None:
    if call.service.state.named(call.organization, name) not in (None, but):
        raise errors.coded(409, "launch.PROJECT.DUPLICATE_NAME", "Name already in use.")
