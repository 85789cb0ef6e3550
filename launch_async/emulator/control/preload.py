"""Add projects without a request, for tests and benchmarks that need many of them."""

from collections.abc import Iterable

from launch_async.emulator.routes.creation import GIT
from launch_async.emulator.service import Service
from launch_async.emulator.state import Environment, Organization, Project, Record


def add_project(
    service: Service,
    organization: Organization,
    name: str,
    environments: Iterable[str],
    *,
    git: bool,
    settings: Record,
    deployments: int,
) -> Project:
    """Add a project; `LaunchEmulator.add_project` describes the parameters.

    Raises:
        ValueError: The organization has a project with this name, or two environments have the same name.
    """
    names = list(environments)
    if service.state.named(organization, name) is not None:
        raise ValueError(f"The organization already has a project with the name {name!r}: choose another name")
    if len(set(names)) != len(names):
        raise ValueError(f"Two environments have the same name. Make these names unique: {', '.join(names)}")
    now = service.clock.now()
    project = Project(
        uid=service.uids.launch(),
        organization=organization,
        name=name,
        kind="GITPROVIDER" if git else "FILEUPLOAD",
        created_at=now,
        updated_at=now,
        repository=_repository(name) if git else None,
    )
    service.state.add(project)
    for environment_name in names:
        _add_environment(service, project, {"name": environment_name, **settings}, deployments)
    return project


def _add_environment(service: Service, project: Project, settings: Record, deployments: int) -> None:
    now = service.clock.now()
    environment = Environment(
        uid=service.uids.launch(),
        project=project,
        settings={**settings, "gitBranch": "main"} if project.kind == GIT else settings,
        created_at=now,
        updated_at=now,
        hook_uid=service.uids.launch(),
    )
    if deployments:
        environment.address = service.sites.fallback_address(environment)
    service.state.add(environment)
    for _ in range(deployments):
        service.builds.add_finished(environment, now)


def _repository(name: str) -> Record:
    return {
        "repositoryName": f"acme/{name}",
        "username": "acme",
        "repositoryUrl": f"https://github.com/acme/{name}",
    }
