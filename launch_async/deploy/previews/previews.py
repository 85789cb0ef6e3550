"""`Previews`: environments for a branch or a folder, with a time to live.

The SDK stores nothing on this machine: the description of the environment contains the end of the preview. A sweep can
therefore run on any machine, and also finds previews whose creator was killed. Times are those of the service.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, cast

import attrs

from launch_async._text import count_of
from launch_async.archive.archive import SecretFiles
from launch_async.deploy.appearing import appeared
from launch_async.deploy.deadline import Deadline
from launch_async.deploy.deploying import Deploying
from launch_async.deploy.previews.marker import Marker
from launch_async.deploy.previews.preview import PROTECTED, Preview, is_protected, lifetime, preview_name
from launch_async.deploy.sources import Files, LatestCommit, ready_archive
from launch_async.deploy.uploading import upload
from launch_async.errors import APIError, ConflictError, InvalidArgumentError, LaunchError, NotFoundError
from launch_async.http.operation import check_callback, check_text, check_uid
from launch_async.http.pipeline import Pipeline
from launch_async.models.deployment import Deployment
from launch_async.models.environment import Environment
from launch_async.models.log import LogLine
from launch_async.models.page import Listed
from launch_async.resources._inputs import check_variables
from launch_async.resources._resource import with_methods
from launch_async.resources.deployments import Deployments
from launch_async.resources.environments import Environments
from launch_async.resources.projects import Projects
from launch_async.resources.uploads import Uploads
from launch_async.watch.audience import Observers, showing_deployment
from launch_async.watch.waiting import Watching
from launch_async.wire.secret import hidden

__all__ = ["Previews"]

_LOG: Final = logging.getLogger(__name__)
_TRIES: Final = 3
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Previews:
    """The preview environments of an organization."""

    def __init__(
        self,
        pipeline: Pipeline,
        projects: Projects,
        environments: Environments,
        deployments: Deployments,
        uploads: Uploads,
        watching: Watching,
        deploying: Deploying,
    ) -> None:
        self._pipeline = pipeline
        self._projects = projects
        self._environments = environments
        self._deployments = deployments
        self._uploads = uploads
        self._watching = watching
        self._deploying = deploying

    def __repr__(self) -> str:
        return with_methods(self, self._pipeline.base_url)

    async def create(
        self,
        project_uid: str,
        *,
        branch: str | None = None,
        source: Files | None = None,
        ttl: timedelta | float,
        name: str | None = None,
        owner: str = "",
        settings_from: str | None = None,
        environment_variables: Mapping[str, str] | None = None,
        wait: bool = True,
        on_log: Callable[[LogLine], object] | None = None,
        on_progress: Callable[[int], object] | None = None,
        progress: bool | None = None,
        timeout: float = 3600.0,
        secrets: SecretFiles = "refuse",
    ) -> Preview:
        """Deploy a branch or files to a preview environment, and create the environment if it does not exist.

        Another call for the same branch finds the environment by its name and deploys to it. The preview then lives for
        `ttl` from now, or longer if it was extended. A new preview gets the build settings of another environment of
        the project. It does not get the variables, because these may be secrets of production.

        Args:
            project_uid: The project.
            branch: Branch to deploy (Git projects; app tokens cannot do this).
            source: A folder, a .zip, an `ArchiveListing` or an `Archive` (file-upload projects).
            ttl: Time to live from now: a timedelta, or seconds.
            name: Name of the environment. The default is made from the branch or the folder's name, such as
                `preview-my-branch`.
            owner: Name of the owner for `list`, such as a user name; at most 60 characters.
            settings_from: UID of the environment whose build settings a new preview gets. The default is the oldest
                environment of the project that is not a preview.
            environment_variables: Variables of a new preview: at most 128 variables and 14 KB, without empty values.
            wait: Whether to wait until the deployment is live.
            on_log: Called once with each line of the build log while waiting.
            on_progress: Called with the number of uploaded bytes. It starts again from 0 if the upload starts again.
            progress: Whether to show the progress, as for `LaunchClient.deploy`.
            timeout: Seconds for the whole call.
            secrets: How to treat files with secrets, as for `LaunchClient.deploy`.

        Returns:
            The preview, with its new deployment and URL.

        Raises:
            InvalidArgumentError: Both or neither of `branch` and `source` were given, an argument is malformed, the
                name is protected, or an environment of that name is not a preview.
            ArchiveError: The SDK refuses the files, for example because they contain secrets.
            APIError: The project has as many environments as its plan allows (a code that ends in LIMIT_REACHED); the
                message says which previews you could delete.
            AmbiguousOutcome: The response to a creation was lost, and a look-up cannot determine the outcome.
            DeploymentFailed: The build failed; the preview remains, and the next `create` deploys to it again.
            WaitTimeout: The deployment did not appear, or did not end, in time; it continues at the service.

        API: `listEnvironments`, `createEnvironment`, `updateEnvironment`, `createDeployment`; scope `launch:manage`, or
        `launch.projects:read` and `launch.projects:write`.
        """
        # Rebound: a traceback with local variables must not show them.
        environment_variables = hidden(environment_variables)
        check_uid("project_uid", project_uid)
        check_callback(on_log=on_log, on_progress=on_progress)
        if (branch is None) == (source is None):
            raise InvalidArgumentError("branch", "pass either branch= or source=, and not both")
        if branch is not None:
            check_text("branch", branch, rule="openapi.yaml")
        if settings_from is not None:
            check_uid("settings_from", settings_from)
        if environment_variables is not None:
            check_variables(environment_variables)
        life, wanted = lifetime(ttl), preview_name(name, branch, source)
        given = Observers(on_log=on_log, on_progress=on_progress)
        with showing_deployment(progress, f"Preview {wanted}", given) as observers:
            deadline = Deadline.after(timeout, on_step=observers.on_step)
            order = _Order(
                project_uid=project_uid,
                name=wanted,
                branch=branch,
                source=source,
                settings_from=settings_from,
                variables=environment_variables,
                secrets=secrets,
                observers=observers,
            )
            environment, deployment = await self._deployed(order, life, owner, deadline)
            if wait:
                deployment = await self._watching.watch(
                    deployment, on_log=observers.on_log, on_update=observers.on_update, timeout=deadline.remaining
                )
            return self._preview(environment, deployment)

    async def list(self, project_uid: str | None = None) -> Sequence[Preview]:
        """Return the previews of a project, or of all projects, in the order in which they end.

        API: `listProjects`, `listEnvironments`; scope `launch.projects:read` or `launch:manage`.
        """
        found = [Preview.of(one, self._now()) async for one in self._all(project_uid)]
        return Listed(sorted((one for one in found if one is not None), key=lambda one: one.expires_at))

    async def extend(
        self, ref: Preview | Environment | Deployment | tuple[str, str], ttl: timedelta | float
    ) -> Preview:
        """Set the time to live of a preview, from now. The new end may be earlier than the old end.

        Args:
            ref: The preview, its environment, a deployment of it, or the UIDs of project and environment.
            ttl: Time to live from now: a timedelta, or seconds.

        Raises:
            InvalidArgumentError: The environment is not a preview, or an argument is malformed.
            NotFoundError: The environment does not exist any more (404).

        API: `getEnvironment`, `updateEnvironment`; scope `launch.projects:write` or `launch:manage`.
        """
        life, (project_uid, environment_uid) = lifetime(ttl), _uids_of(ref)
        environment = await self._environments.get(project_uid, environment_uid)
        marker = Marker.of(environment.description)
        if marker is None:
            raise InvalidArgumentError(
                "ref", f"environment {environment.name!r} is not a preview: its description has no marker"
            )
        return self._preview(
            await self._extended(environment, Marker(self._now() + life, marker.owner, marker.source), None)
        )

    async def delete(self, project_uid: str, *, branch: str | None = None, name: str | None = None) -> Preview | None:
        """Delete the preview of a branch or of a name, for example when a pull request is closed.

        Args:
            project_uid: The project.
            branch: The branch that you passed to `create`.
            name: The name of the environment instead.

        Returns:
            The deleted preview; None if it did not exist.

        Raises:
            InvalidArgumentError: The environment of that name is not a preview, or its name is protected.

        API: `listEnvironments`, `deleteEnvironment`; scope `launch.projects:delete` or `launch:manage`.
        """
        check_uid("project_uid", project_uid)
        if (branch is None) == (name is None):
            raise InvalidArgumentError("branch", "pass either branch= or name=, and not both")
        wanted = preview_name(name, branch, None)
        async for environment in self._environments.list(project_uid):
            if environment.name == wanted:
                preview = self._preview(environment)
                return preview if await self._deleted(environment) else None
        return None

    async def sweep(
        self,
        *,
        dry_run: bool = False,
        project_uid: str | None = None,
        protected: Iterable[str] = PROTECTED,
    ) -> Sequence[Preview]:
        """Delete the previews that have expired, by the service's clock.

        A sweep deletes no environment without the marker of a preview, and none with a protected name. It reads each
        environment again immediately before it deletes the environment. It stores nothing on this machine, so it can
        run at any time on any machine.

        Args:
            dry_run: Whether to return the previews without deleting them.
            project_uid: The project to sweep; all projects by default.
            protected: Name patterns of environments that a sweep never deletes; the case does not matter.

        Returns:
            The deleted previews; in a dry run, those that a sweep would delete.

        Raises:
            LaunchError: A listing failed, or the service sent no time, or some previews could not be deleted. In the
                last case the other previews are deleted first.

        API: `listProjects`, `listEnvironments`, `getEnvironment`, `deleteEnvironment`; scope `launch:manage`, or
        `launch.projects:read` and `launch.projects:delete`.
        """
        if isinstance(protected, str):
            raise InvalidArgumentError(
                "protected", f"must be a tuple or list of patterns, not a string. Pass ({protected!r},)"
            )
        patterns, swept, errors = (*protected,), Listed[Preview](), list[LaunchError]()
        candidates = [one async for one in self._all(project_uid) if self._is_over(one, patterns)]
        for environment in candidates:
            try:
                # Another program may have extended, renamed or changed the preview since the listing.
                now = environment if dry_run else await self._environments.get(environment.project_uid, environment.uid)
                if self._is_over(now, patterns) and (dry_run or await self._deleted(now)):
                    swept.append(self._preview(now))
            except NotFoundError:
                continue
            except LaunchError as error:
                _LOG.warning("Preview %r could not be deleted: %s", environment.name, error.message)
                errors.append(error)
        if errors:
            errors[0].add_note(
                f"{len(errors)} of {len(candidates)} previews could not be deleted. Call launch.previews.sweep() again"
            )
            raise errors[0]
        return swept

    async def _all(self, project_uid: str | None) -> AsyncGenerator[Environment]:
        """Yield every environment of a project, or of all projects."""
        if project_uid is not None:
            async for environment in self._environments.list(project_uid):
                yield environment
            return
        async for project in self._projects.list():
            try:
                async for environment in self._environments.list(project.uid):
                    yield environment
            except NotFoundError:
                # Another program has deleted the project since the listing.
                continue

    def _is_over(self, environment: Environment, protected: Sequence[str]) -> bool:
        """Return whether a sweep may delete an environment."""
        marker = Marker.of(environment.description)
        return marker is not None and not is_protected(environment.name, protected) and marker.expires_at <= self._now()

    async def _deleted(self, environment: Environment) -> bool:
        """Delete a preview; return whether it existed."""
        try:
            await self._environments.delete(environment.project_uid, environment.uid)
        except NotFoundError:
            return False
        _LOG.info("Deleted preview %r (%s)", environment.name, environment.uid)
        return True

    async def _extended(
        self, environment: Environment, marker: Marker, branch: str | None, *, keep_longer: bool = False
    ) -> Environment:
        """Set the end of a preview. With `keep_longer`, a later end remains.

        Raises:
            InvalidArgumentError: The environment is not a preview.
        """
        known = Marker.of(environment.description)
        if known is None:
            raise InvalidArgumentError(
                "name",
                f"environment {environment.name!r} exists and is not a preview: its description has no marker. Choose "
                "another name",
            )
        expires_at = max(marker.expires_at, known.expires_at) if keep_longer else marker.expires_at
        text = Marker(expires_at, marker.owner or known.owner, marker.source).text
        if branch is None or branch == environment.git_branch:
            return await self._environments.update(environment.project_uid, environment.uid, description=text)
        return await self._environments.update(
            environment.project_uid, environment.uid, description=text, git_branch=branch
        )

    async def _deployed(
        self, order: _Order, life: timedelta, owner: str, deadline: Deadline
    ) -> tuple[Environment, Deployment]:
        """Create or find the environment of a preview; return it with a new deployment."""
        for attempt in range(1, _TRIES + 1):
            known = await self._environments.list(order.project_uid).to_list()
            found = next((one for one in known if one.name == order.name), None)
            source = f"branch {order.branch}" if order.branch is not None else "files"
            marker = Marker(self._now() + life, owner, source)
            try:
                if found is None:
                    return await self._created(order, marker, known, deadline)
                environment = await self._extended(found, marker, order.branch, keep_longer=True)
                deployment = await self._deploying.deploy(
                    order.project_uid,
                    environment.uid,
                    LatestCommit() if order.source is None else order.source,
                    wait=False,
                    observers=order.observers,
                    timeout=deadline.remaining,
                    secrets=order.secrets,
                    skip_unchanged=None,
                    verify=(),
                    on_failure="keep",
                    journal=None,
                )
            except (ConflictError, NotFoundError) as error:
                # Another program has created or swept the preview since the listing.
                if attempt == _TRIES:
                    raise
                _LOG.info("The SDK lists the environments again for preview %r: %s", order.name, error.message)
            else:
                return environment, deployment
        raise AssertionError("unreachable")

    async def _created(
        self, order: _Order, marker: Marker, known: Sequence[Environment], deadline: Deadline
    ) -> tuple[Environment, Deployment]:
        """Create the environment of a preview, and return it with its first deployment."""
        try:
            model = _model(known, order.settings_from)
            environment = await self._new_environment(order, marker, model, deadline)
        except APIError as error:
            if any(code.endswith("LIMIT_REACHED") for code in error.codes):
                error.message = f"{error.message.rstrip('.')}. {self._advice_at_limit(known)}"
            raise

        async def find() -> Deployment | None:
            found = (await self._deployments.list(order.project_uid, environment.uid).page()).items
            return min(found, key=lambda one: one.deployment_number or 0, default=None)

        again = f"check launch.deployments.list({order.project_uid!r}, {environment.uid!r})"
        created = f"preview {order.name!r} ({environment.uid})"
        return environment, await appeared(find, "its first deployment", created, again, deadline)

    async def _new_environment(
        self, order: _Order, marker: Marker, model: Environment | None, deadline: Deadline
    ) -> Environment:
        async with deadline.enforced("create_preview"):
            preset = (model and model.framework_preset) or "OTHER"
            if order.branch is not None:
                deadline.begin("creating the environment", creates=True)
                return await self._environments.create_from_git(
                    order.project_uid,
                    order.name,
                    git_branch=order.branch,
                    description=marker.text,
                    framework_preset=preset,
                    output_directory=model.output_directory if model else None,
                    build_command=model.build_command if model else None,
                    server_command=model.server_command if model else None,
                    environment_variables=order.variables,
                    is_streaming_enabled=model.is_streaming_enabled if model else None,
                )
            deadline.begin("packing the files")
            assert order.source is not None  # noqa: S101 - one of the two was given
            async with ready_archive(order.source, secrets=order.secrets) as archive:
                deadline.begin("uploading")
                upload_uid = await upload(
                    self._uploads,
                    lambda: self._uploads.url_for_environment(order.project_uid),
                    archive.path,
                    on_progress=order.observers.on_progress,
                )
            deadline.begin("creating the environment", creates=True)
            return await self._environments.create_from_upload(
                order.project_uid,
                order.name,
                upload_uid=upload_uid,
                description=marker.text,
                framework_preset=preset,
                output_directory=model.output_directory if model else None,
                build_command=model.build_command if model else None,
                server_command=model.server_command if model else None,
                environment_variables=order.variables,
                is_streaming_enabled=model.is_streaming_enabled if model else None,
            )

    def _advice_at_limit(self, known: Sequence[Environment]) -> str:
        """Return advice for a project that has reached its limit of environments."""
        previews = [one for one in map(self._preview_if_any, known) if one is not None]
        over = sum(one.is_over for one in previews)
        expired = f" ({over} expired)" if over else ""
        counts = f"The project has {count_of(len(known), 'environment')}. Previews among them: {len(previews)}{expired}"
        first = min(previews, key=lambda one: one.expires_at, default=None)
        if over:
            return f"{counts}. Call launch.previews.sweep() to delete the expired previews"
        if first is None:
            return f"{counts}. Delete an environment, or upgrade the plan"
        return f"{counts}. The next preview to expire is {first.name!r}, at {first.expires_at.isoformat()}"

    def _preview_if_any(self, environment: Environment) -> Preview | None:
        return Preview.of(environment, self._now())

    def _preview(self, environment: Environment, deployment: Deployment | None = None) -> Preview:
        preview = Preview.of(environment, self._now(), deployment)
        if preview is None:
            raise InvalidArgumentError(
                "name", f"environment {environment.name!r} is not a preview: its description has no marker"
            )
        return preview

    def _now(self) -> datetime:
        """Return the time of the service.

        Raises:
            LaunchError: The service sends no time.
        """
        now = self._pipeline.clock.now()
        if now is None:
            raise LaunchError(
                "The service's responses have no Date header, so the SDK cannot determine when a preview ends. A proxy "
                "may have removed the header",
                operation="previews",
            )
        return now


@attrs.frozen(kw_only=True)
class _Order:
    """The arguments of a call of `create`."""

    project_uid: str
    name: str
    branch: str | None
    source: Files | None
    settings_from: str | None
    variables: Mapping[str, str] | None = attrs.field(repr=False)
    secrets: SecretFiles
    observers: Observers


def _model(known: Sequence[Environment], uid: str | None) -> Environment | None:
    """Return the environment whose build settings a new preview gets.

    Raises:
        InvalidArgumentError: The project has no environment of that UID.
    """
    if uid is not None:
        found = next((one for one in known if one.uid == uid), None)
        if found is None:
            raise InvalidArgumentError("settings_from", f"the project has no environment {uid}")
        return found
    others = [one for one in known if Marker.of(one.description) is None]
    return min(others, key=lambda one: one.created_at or _NEVER, default=None)


def _uids_of(ref: Preview | Environment | Deployment | tuple[str, str]) -> tuple[str, str]:
    """Return the UIDs of the project and the environment of a reference.

    Raises:
        InvalidArgumentError: The reference does not contain both UIDs.
    """
    if isinstance(ref, Environment):
        uids: tuple[object, ...] = (ref.project_uid, ref.uid)
    elif isinstance(ref, Preview | Deployment):
        uids = (ref.project_uid, ref.environment_uid)
    else:
        given = cast("object", ref)
        uids = cast("tuple[object, ...]", given) if isinstance(given, tuple) else ()
    if len(uids) != 2 or not all(isinstance(uid, str) for uid in uids):
        raise InvalidArgumentError(
            "ref", "must be a Preview, an Environment, a Deployment, or a tuple (project_uid, environment_uid)"
        )
    project_uid, environment_uid = (str(uid) for uid in uids)
    return check_uid("ref.project_uid", project_uid), check_uid("ref.environment_uid", environment_uid)
