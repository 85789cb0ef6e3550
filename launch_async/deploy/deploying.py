"""From files to a running site: pack, upload, create, and wait.

The SDK checks the arguments and builds the archive before the first request. One deadline covers all steps. If a later
step fails, nothing is deleted: the deployment continues at the service, and a project keeps its environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeVar

import attrs

from launch_async.archive.archive import Archive, SecretFiles
from launch_async.deploy.appearing import appeared
from launch_async.deploy.deadline import Deadline
from launch_async.deploy.release.check import CheckLike, OnFailure, check_on_failure, checks_of
from launch_async.deploy.release.copying import Place
from launch_async.deploy.release.releasing import Releasing
from launch_async.deploy.site import Site
from launch_async.deploy.sources import Commit, Files, LatestCommit, PreviousUpload, Source, ready_archive
from launch_async.deploy.unchanged import DeployedFiles, is_unchanged
from launch_async.deploy.uploading import upload
from launch_async.errors import InvalidArgumentError, NotFoundError
from launch_async.http.operation import check_text, check_uid
from launch_async.models.deployment import Deployment
from launch_async.models.environment import Environment
from launch_async.models.framework_preset import FrameworkPreset
from launch_async.models.project import Project
from launch_async.resources._cache import CachePurges
from launch_async.resources._create.reconciling import CreationLog, CreationOptions
from launch_async.resources._inputs import MAX_DESCRIPTION, MAX_NAME, environment_input
from launch_async.resources.deployments import Deployments, deployment_creation
from launch_async.resources.environments import Environments
from launch_async.resources.projects import Projects
from launch_async.resources.uploads import Uploads
from launch_async.watch.audience import Observers
from launch_async.watch.waiting import Watching

__all__ = ["Deploying", "SiteSettings"]

A = TypeVar("A")

_LOG: Final = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class SiteSettings:
    """Settings of a new project and its first environment, checked on creation.

    Raises:
        InvalidArgumentError: A setting breaks a rule of the service.
    """

    name: str
    description: str | None
    environment_name: str
    framework_preset: FrameworkPreset | str
    output_directory: str | None
    build_command: str | None
    server_command: str | None
    environment_variables: Mapping[str, str] | None = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        check_text("name", self.name, longest=MAX_NAME)
        if self.description:
            check_text("description", self.description, longest=MAX_DESCRIPTION)
        environment_input(
            "environment_name",
            self.environment_name,
            self.framework_preset,
            self.output_directory,
            self.build_command,
            self.server_command,
            self.environment_variables,
            is_streaming_enabled=None,
            is_contentstack_authentication_enabled=None,
        )


class Deploying:
    """Deploys to existing environments, and creates sites."""

    def __init__(
        self,
        projects: Projects,
        environments: Environments,
        deployments: Deployments,
        uploads: Uploads,
        watching: Watching,
        purges: CachePurges,
        releasing: Releasing,
    ) -> None:
        self._projects = projects
        self._environments = environments
        self._deployments = deployments
        self._uploads = uploads
        self._watching = watching
        self._purges = purges
        self._releasing = releasing

    async def deploy(
        self,
        project_uid: str,
        environment_uid: str,
        source: Source,
        *,
        wait: bool,
        observers: Observers,
        timeout: float,
        secrets: SecretFiles,
        skip_unchanged: str | os.PathLike[str] | None,
        verify: CheckLike | Iterable[CheckLike],
        on_failure: OnFailure,
        journal: str | os.PathLike[str] | None,
    ) -> Deployment:
        """Implement `LaunchClient.deploy`."""
        place = Place(check_uid("project_uid", project_uid), check_uid("environment_uid", environment_uid))
        checks = checks_of(verify)
        check_on_failure(on_failure, checks)
        if checks and not wait:
            raise InvalidArgumentError(
                "verify", "needs a live site, but wait=False returns before the site is live. Leave out wait=False"
            )
        deadline = Deadline.after(timeout, on_step=observers.on_step)
        memory = await _memory(source, skip_unchanged)
        about = {"commit_hash": source.commit_hash if isinstance(source, Commit) else None}
        async with contextlib.AsyncExitStack() as packed:
            async with deadline.enforced("deploy"):
                if not isinstance(source, Commit | LatestCommit | PreviousUpload):
                    deadline.begin("packing the files")
                ready = await packed.enter_async_context(_ready(source, secrets))
            async with self._releasing.begun(place, checks, on_failure, deadline, journal, about, observers) as release:
                async with deadline.enforced("deploy"):
                    with release.creating("sends") as log:
                        created, is_new = await self._create(place, ready, deadline, observers, memory, log, waits=wait)
                release.note(deployment=created.uid)
                await packed.aclose()
                if not is_new:
                    release = attrs.evolve(release, on_failure="keep")
                if not wait:
                    return created
                if created.status.is_final and not is_new:
                    observers.show(created)
                    return await self._releasing.checked(release, created)
                return await self._releasing.ended(release, created, deadline.remaining)

    async def create_site(
        self,
        settings: SiteSettings,
        files: Files,
        *,
        wait: bool,
        observers: Observers,
        timeout: float,
        secrets: SecretFiles,
    ) -> Site:
        """Implement `LaunchClient.create_site`."""
        deadline = Deadline.after(timeout, on_step=observers.on_step)
        async with deadline.enforced("create_site"):
            deadline.begin("packing the files")
            async with ready_archive(files, secrets=secrets) as archive:
                deadline.begin("uploading")
                upload_uid = await upload(
                    self._uploads,
                    self._uploads.url_for_project,
                    archive.path,
                    on_progress=observers.on_progress,
                    remaining=lambda: deadline.remaining,
                )
            deadline.begin("creating the project", creates=True)
            project = await self._projects.create_from_upload(
                settings.name,
                upload_uid=upload_uid,
                description=settings.description,
                environment_name=settings.environment_name,
                framework_preset=settings.framework_preset,
                output_directory=settings.output_directory,
                build_command=settings.build_command,
                server_command=settings.server_command,
                environment_variables=settings.environment_variables,
            )
        environment = await self._first_environment(project, settings.environment_name, deadline)
        deployment = await self._first_deployment(project, environment, deadline)
        if wait:
            deployment = await self._finish(deployment, observers, deadline)
        return Site(project, environment, deployment)

    async def _create(
        self,
        place: Place,
        source: Archive | Commit | LatestCommit | PreviousUpload,
        deadline: Deadline,
        observers: Observers,
        memory: DeployedFiles | None,
        log: CreationLog,
        *,
        waits: bool,
    ) -> tuple[Deployment, bool]:
        """Return a deployment of the source, and whether this call created it."""
        uids = place.project_uid, place.environment_uid
        if not isinstance(source, Archive):
            deadline.begin("creating the deployment", creates=True)
            commit_hash = source.commit_hash if isinstance(source, Commit) else None
            return await self._deployment(*uids, deadline, log, waits=waits, commit_hash=commit_hash), True
        if memory is not None:
            deadline.begin("checking for changed files")
            if (current := await self._unchanged(*uids, source, memory)) is not None:
                return current, False
        deadline.begin("uploading")
        upload_uid = await upload(
            self._uploads,
            lambda: self._uploads.url_for_deployment(*uids),
            source.path,
            on_progress=observers.on_progress,
            remaining=lambda: deadline.remaining,
        )
        deadline.begin("creating the deployment", creates=True)
        created = await self._deployment(*uids, deadline, log, waits=waits, upload_uid=upload_uid, sha256=source.sha256)
        if memory is not None:
            await asyncio.to_thread(memory.remember, created, source.content_hash)
        return created, True

    async def _deployment(
        self,
        project_uid: str,
        environment_uid: str,
        deadline: Deadline,
        log: CreationLog,
        *,
        waits: bool,
        commit_hash: str | None = None,
        upload_uid: str | None = None,
        sha256: str | None = None,
    ) -> Deployment:
        """Create a deployment. After a lost response, only a deployment that has ended proves that it is this one.

        A call that waits needs the listing of earlier deployments anyway, because it shows how long builds take.
        """

        async def follow(found: Deployment) -> None:
            await self._watching.wait_all([found], timeout=deadline.remaining, return_failures=True)

        options = CreationOptions(
            timeout=deadline.remaining,
            sha256=sha256,
            follow=follow,
            list_first=partial(self._watching.learn_builds, project_uid, environment_uid) if waits else None,
            log=log,
        )
        creation = deployment_creation(
            self._deployments,
            project_uid,
            environment_uid,
            commit_hash=commit_hash,
            upload_uid=upload_uid,
            options=options,
        )
        return await creation.once()

    async def _unchanged(
        self, project_uid: str, environment_uid: str, archive: Archive, memory: DeployedFiles
    ) -> Deployment | None:
        """Return the current deployment if its files are the same; None otherwise."""
        await asyncio.to_thread(memory.check_not_sent, archive)
        ref = await asyncio.to_thread(memory.of, project_uid, environment_uid, archive.content_hash)
        if ref is None:
            return None
        try:
            deployment = await self._deployments.get(project_uid, environment_uid, ref.deployment_uid)
        except NotFoundError:
            return None
        if not is_unchanged(deployment, await self._environments.get(project_uid, environment_uid)):
            return None
        _LOG.info(
            "The SDK deploys nothing, because the files have not changed since deployment %s, which is %s",
            deployment.uid,
            deployment.status,
            extra={"deployment_uid": deployment.uid, "environment_uid": environment_uid},
        )
        return deployment

    async def _finish(self, created: Deployment, observers: Observers, deadline: Deadline) -> Deployment:
        ended = await self._watching.watch(
            created, on_log=observers.on_log, on_update=observers.on_update, timeout=deadline.remaining
        )
        self._purges.deployed(ended.environment_uid)
        return ended

    async def _first_environment(self, project: Project, name: str, deadline: Deadline) -> Environment:
        """Return the first and only environment of a new project."""

        async def find() -> Environment | None:
            found = (await self._environments.list(project.uid).page()).items
            return next((one for one in found if one.name == name), found[0] if found else None)

        return await self._of_new_project(find, f"environment {name!r}", project, deadline)

    async def _first_deployment(self, project: Project, environment: Environment, deadline: Deadline) -> Deployment:
        async def find() -> Deployment | None:
            found = (await self._deployments.list(project.uid, environment.uid).page()).items
            return min(found, key=lambda one: one.deployment_number or 0, default=None)

        what = f"the first deployment of environment {environment.uid}"
        return await self._of_new_project(find, what, project, deadline)

    async def _of_new_project(
        self, find: Callable[[], Awaitable[A | None]], what: str, project: Project, deadline: Deadline
    ) -> A:
        """Wait for an object of a new project, and return the object."""
        created = f"project {project.name!r} ({project.uid})"
        again = f"check launch.environments.list({project.uid!r}), and do not create the project again"
        return await appeared(find, what, created, again, deadline)


@contextlib.asynccontextmanager
async def _ready(
    source: Source, secrets: SecretFiles
) -> AsyncGenerator[Archive | Commit | LatestCommit | PreviousUpload]:
    """Pack files into an archive; yield any other source unchanged."""
    if isinstance(source, Commit | LatestCommit | PreviousUpload):
        yield source
        return
    async with ready_archive(source, secrets=secrets) as archive:
        yield archive


async def _memory(source: Source, skip_unchanged: str | os.PathLike[str] | None) -> DeployedFiles | None:
    if skip_unchanged is None:
        return None
    if isinstance(source, Commit | LatestCommit | PreviousUpload):
        raise InvalidArgumentError(
            "skip_unchanged", "compares files, and cannot compare a commit or an earlier upload. Leave it out"
        )
    return await asyncio.to_thread(DeployedFiles.at, skip_unchanged)
