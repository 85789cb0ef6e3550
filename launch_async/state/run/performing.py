"""Run the steps of a document: read first, refuse conflicting changes, and write only the differences.

The API has no conditional writes, so each write follows a read of the same object. The SDK does not write a setting
that already has the declared value. It repeats updates and deletions after a lost response.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Final, cast

from launch_async.deploy.sources import ready_archive
from launch_async.deploy.uploading import upload
from launch_async.errors import (
    ConcurrentChangeError,
    ConflictError,
    InvalidArgumentError,
    LaunchError,
    NotFoundError,
    WaitTimeout,
)
from launch_async.fleet.plan.confirmation import is_protected
from launch_async.fleet.run.performing import Work
from launch_async.fleet.services import FleetServices
from launch_async.models.base import UNSET, JSONValue, Unset
from launch_async.models.environment import Environment, PasswordProtection
from launch_async.models.project import GitProvider, ProjectType
from launch_async.models.requests import (
    CreateProjectRequest,
    EnvironmentInput,
    FileUploadInput,
    GitProviderMetadata,
    RepositoryInput,
)
from launch_async.models.upload import SignedUploadUrl
from launch_async.resources._create.reconciling import may_pass
from launch_async.resources._inputs import check_variables, environment_input
from launch_async.resources.environments import environment_creation
from launch_async.resources.projects import project_creation
from launch_async.state.comparing import mark_of, password_of, settings_of, variables_of
from launch_async.state.run.journalled import value_mark
from launch_async.state.steps import Step, StepKind
from launch_async.state.values import Delete, VariableSource
from launch_async.wire.secret import Secret

__all__ = ["StatePerformer"]

_LOOK_UPS_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 60.0, 60.0)
"""Seconds before each look-up of a new project's environment, which appears late."""


class StatePerformer:
    """Runs the steps of one plan.

    Args:
        services: The services of the client.
        steps: The steps, by the keys of their operations.
        values: The values of their sources.
        salt: The salt of the plan for marks.
        protected: Name patterns of protected environments.
        folder: The folder where relative paths of the document start.
    """

    def __init__(
        self,
        services: FleetServices,
        steps: Mapping[str, Step],
        values: Mapping[VariableSource, Secret],
        *,
        salt: str,
        protected: tuple[str, ...],
        folder: Path,
    ) -> None:
        self._services = services
        self._steps = steps
        self._values = values
        self._salt = salt
        self._protected = protected
        self._folder = folder

    async def perform(self, work: Work) -> None:
        """See `Performer.perform`."""
        step = self._steps[work.key]
        match step.kind:
            case StepKind.CREATE_PROJECT:
                await self._create_project(work, step)
            case StepKind.CREATE_ENVIRONMENT:
                await self._create_environment(work, step)
            case StepKind.UPDATE_PROJECT:
                await work.in_turn(lambda: _run_repeatable(self._update_project, work, step))
            case StepKind.UPDATE_ENVIRONMENT:
                await work.in_turn(lambda: _run_repeatable(self._update_environment, work, step))
            case StepKind.DELETE_ENVIRONMENT:
                await work.in_turn(lambda: _run_repeatable(self._delete_environment, work, step))
            case StepKind.DELETE_PROJECT:
                await work.in_turn(lambda: _run_repeatable(self._delete_project, work, step))
            case StepKind.REDEPLOY:
                raise AssertionError("the fleet runs redeployments")

    async def _create_project(self, work: Work, step: Step) -> None:
        if "project_uid" not in work.created:
            request = await self._project_request(work, step)
            project = await work.create(lambda options: project_creation(self._services.projects, request, options))
            work.note_created(project_uid=project.uid)
        project_uid = work.created["project_uid"]
        for seconds in (0.0, *_LOOK_UPS_S):
            await work.sleep(seconds)
            try:
                found = await self._services.environments.list(project_uid)
            except LaunchError as error:
                if not may_pass(error):
                    raise
                continue
            if first := next((one for one in found if one.name == step.environment), None):
                return work.done("created", project_uid=project_uid, environment_uid=first.uid)
        raise WaitTimeout(
            f"Project {step.project} was created, but its environment {step.environment} has not appeared yet. Resume "
            "the run later"
        )

    async def _project_request(self, work: Work, step: Step) -> CreateProjectRequest:
        repository = step.repository
        upload_uid: str | Unset = UNSET
        if repository is None:
            upload_uid = await self._uploaded(work, step, self._services.uploads.url_for_project)
        description = step.after.get("project_description")
        return CreateProjectRequest(
            name=step.project,
            project_type=ProjectType.FILEUPLOAD if repository is None else ProjectType.GITPROVIDER,
            description=UNSET if description is None else str(description),
            file_upload=UNSET if upload_uid is UNSET else FileUploadInput(upload_uid=upload_uid),
            repository=UNSET
            if repository is None
            else RepositoryInput(
                repository_name=repository.repository_name,
                username=repository.username,
                repository_url=repository.repository_url,
                git_provider_metadata=GitProviderMetadata(git_provider=GitProvider(repository.git_provider)),
            ),
            environment=self._new_environment(step, upload_uid),
        )

    async def _create_environment(self, work: Work, step: Step) -> None:
        project_uid = work.target.project_uid
        upload_uid: str | Unset = UNSET
        if step.source is not None:
            uploads = self._services.uploads
            upload_uid = await self._uploaded(work, step, lambda: uploads.url_for_environment(project_uid))
        body = self._new_environment(step, upload_uid)
        environments = self._services.environments
        created = await work.create(lambda options: environment_creation(environments, project_uid, body, options))
        work.done("created", project_uid=project_uid, environment_uid=created.uid)

    async def _uploaded(self, work: Work, step: Step, signed_url: Callable[[], Awaitable[SignedUploadUrl]]) -> str:
        """Upload the files of a step, and return the UID of the upload."""
        async with work.turn(), ready_archive(self._folder / (step.source or ""), secrets="refuse") as archive:
            return await upload(self._services.uploads, signed_url, archive.path, on_progress=None)

    def _new_environment(self, step: Step, upload_uid: str | Unset) -> EnvironmentInput:
        after = step.after
        return environment_input(
            "name",
            step.environment,
            cast("str", after["framework_preset"]),
            cast("str | None", after.get("output_directory")),
            cast("str | None", after.get("build_command")),
            cast("str | None", after.get("server_command")),
            {name: self._values[source] for name, source in step.variables.items()},
            cast("bool | None", after.get("is_streaming_enabled")),
            cast("bool | None", after.get("is_contentstack_authentication_enabled")),
            git_branch=cast("str | Unset", after.get("git_branch", UNSET)),
            auto_deploy_on_push=cast("bool | Unset", after.get("auto_deploy_on_push", UNSET)),
            upload_uid=upload_uid,
            description=cast("str | None", after.get("description")),
        )

    async def _update_project(self, work: Work, step: Step) -> None:
        actual = await self._services.projects.get(work.target.project_uid)
        now: dict[str, JSONValue] = {"name": actual.name, "description": actual.description or None}
        due = _due(step, now)
        if due:
            await self._services.projects.update(
                actual.uid,
                name=cast("str | Unset", due.get("name", UNSET)),
                description=cast("str | Unset | None", due.get("description", UNSET)),
            )
        work.done(_summary(due))

    async def _update_environment(self, work: Work, step: Step) -> None:
        target = work.target
        actual = await self._services.environments.get(target.project_uid, target.environment_uid)
        self._check_protected(step, actual)
        due = _due(step, settings_of(actual))
        variables = self._due_variables(step, variables_of(actual))
        protection = self._due_protection(step, actual, due.pop("password_protection", None))
        changed = [*due, *(step.variables if variables is not None else ()), *(["password"] if protection else ())]
        if changed:
            written = await self._services.environments.update(
                target.project_uid,
                target.environment_uid,
                name=cast("str | Unset", due.get("name", UNSET)),
                description=cast("str | Unset | None", due.get("description", UNSET)),
                framework_preset=cast("str | Unset", due.get("framework_preset", UNSET)),
                output_directory=cast("str | Unset | None", due.get("output_directory", UNSET)),
                build_command=cast("str | Unset | None", due.get("build_command", UNSET)),
                server_command=cast("str | Unset | None", due.get("server_command", UNSET)),
                git_branch=cast("str | Unset | None", due.get("git_branch", UNSET)),
                auto_deploy_on_push=cast("bool | Unset", due.get("auto_deploy_on_push", UNSET)),
                is_streaming_enabled=cast("bool | Unset", due.get("is_streaming_enabled", UNSET)),
                is_contentstack_authentication_enabled=cast(
                    "bool | Unset", due.get("is_contentstack_authentication_enabled", UNSET)
                ),
                has_lytics_enabled=cast("bool | Unset", due.get("has_lytics_enabled", UNSET)),
                is_cache_priming_enabled=cast("bool | Unset", due.get("is_cache_priming_enabled", UNSET)),
                environment_variables=UNSET if variables is None else variables,
                password_protection=UNSET if protection is None else protection,
            )
            _check_written(step, written, due, variables)
        work.done(_summary(changed))

    def _due_variables(self, step: Step, current: Mapping[str, str]) -> dict[str, str] | None:
        """Return the complete list to write; None if there is nothing to write.

        Raises:
            ConflictError: Someone has changed one of these variables.
        """
        wanted = {**current}
        others: list[str] = []
        for name, source in step.variables.items():
            value = None if isinstance(source, Delete) else self._values[source]
            now = current.get(name)
            if now == value:
                continue
            if not self._is_as_seen(step, name, now):
                others.append(name)
            elif value is None:
                del wanted[name]
            else:
                wanted[name] = value
        if others:
            hidden: dict[str, JSONValue] = dict.fromkeys(others, "[hidden]")
            raise _conflict(step, f"another value of {', '.join(others)}", hidden, hidden)
        if wanted == current:
            return None
        check_variables(wanted)
        return wanted

    def _is_as_seen(self, step: Step, name: str, now: str | None) -> bool:
        if name in step.known:
            return step.known[name] == now
        return step.marks.get(name) == value_mark(self._salt, name, now)

    def _due_protection(self, step: Step, actual: Environment, settings: JSONValue) -> PasswordProtection | None:
        """Return the protection to write; None if there is nothing to write."""
        now = actual.password_protection
        shown = password_of(actual)
        password = None if step.password is None else self._values[step.password]
        if settings is None and (password is None or shown == password):
            return None
        if shown not in (None, password) and step.password is not None and not self._is_known_password(step, shown):
            hidden: dict[str, JSONValue] = {"password_protection.password": "[hidden]"}
            raise _conflict(step, "another password", hidden, hidden)
        facts = cast("Mapping[str, JSONValue]", settings or {})
        return PasswordProtection(
            is_enabled=cast("bool | None", facts.get("is_enabled", None if now is None else now.is_enabled)),
            username=cast("str | None", facts.get("username", None if now is None else now.username)),
            password=password or shown,
        )

    def _is_known_password(self, step: Step, shown: str | None) -> bool:
        return step.password_mark is None or step.password_mark == value_mark(self._salt, "", shown)

    async def _delete_environment(self, work: Work, step: Step) -> None:
        uids = work.target.project_uid, work.target.environment_uid
        try:
            actual = await self._services.environments.get(*uids)
            self._check_protected(step, actual)
            self._check_seen(step, {actual.uid: mark_of(actual)})
            await self._services.environments.delete(*uids)
        except NotFoundError:
            return work.done("was already deleted")
        return work.done("deleted")

    async def _delete_project(self, work: Work, step: Step) -> None:
        uid = work.target.project_uid
        try:
            await self._services.projects.get(uid)
            environments = await self._services.environments.list(uid)
            for one in environments:
                self._check_protected(step, one)
            self._check_seen(step, {one.uid: mark_of(one) for one in environments})
            await self._services.projects.delete(uid)
        except NotFoundError:
            return work.done("was already deleted")
        return work.done("deleted")

    def _check_seen(self, step: Step, now: Mapping[str, str]) -> None:
        """Refuse to delete environments that have changed or appeared since the comparison.

        Raises:
            ConflictError: An environment has changed or is new.
        """
        changed = sorted(uid for uid, mark in now.items() if step.seen.get(uid) != mark)
        if changed:
            new = [uid for uid in changed if uid not in step.seen]
            what = f"new environments: {', '.join(new)}" if new else f"changes of {', '.join(changed)}"
            raise _conflict(step, what, dict(step.seen), dict(now))

    def _check_protected(self, step: Step, actual: Environment) -> None:
        """Refuse an environment that has got a protected name since the comparison.

        Raises:
            InvalidArgumentError: The new name is protected.
        """
        name = actual.name or ""
        names = (step.environment, step.environment_name)
        if is_protected(name, self._protected) and not any(is_protected(one, self._protected) for one in names if one):
            if step.kind is StepKind.DELETE_PROJECT and actual.uid in step.seen:
                return
            raise InvalidArgumentError(
                "plan",
                f"changes {step.label}, which now has the protected name {name}. Compare again with "
                "launch.state.diff(state)",
            )


def _due(step: Step, now: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """Return the settings to write.

    Raises:
        ConflictError: Someone has changed one of these settings.
    """
    due = {name: value for name, value in step.after.items() if now[name] != value}
    others = [name for name in due if name in step.before and step.before[name] != now[name]]
    if others:
        expected = {name: step.before[name] for name in others}
        found = {name: now[name] for name in others}
        shown = [f"{name} was {_json(expected[name])} and is {_json(found[name])} now" for name in others]
        raise _conflict(step, ", ".join(shown), expected, found)
    return due


def _check_written(
    step: Step, written: Environment, due: Mapping[str, JSONValue], variables: Mapping[str, str] | None
) -> None:
    """Compare the response to a write with the written values, as far as the response contains them.

    Raises:
        ConcurrentChangeError: The response has other values: someone wrote at the same time, or the service ignored
            a value.
    """
    settings, shown = settings_of(written), variables_of(written)
    wrong = [name for name, value in due.items() if settings[name] not in (None, value)]
    if variables is not None and shown:
        wrong += [name for name in step.variables if shown.get(name) != variables.get(name)]
    if wrong:
        raise ConcurrentChangeError(
            f"{step.label} was written, but the service returned other values for {', '.join(wrong)}. Someone "
            "wrote at the same time, or the service ignored the values. Check the environment, then compare again",
            keys=wrong,
        )


def _conflict(
    step: Step, what: str, expected: Mapping[str, JSONValue], found: Mapping[str, JSONValue]
) -> ConflictError:
    error = ConflictError(
        f"Someone has changed {step.label} since the comparison ({what}), so nothing was written. Compare "
        "again, and check the plan before you apply it",
        operation=str(step.kind),
    )
    error.expected, error.found = expected, found
    return error


async def _run_repeatable(do: Callable[[Work, Step], Awaitable[None]], work: Work, step: Step) -> None:
    """Run a repeatable step. After a lost or malformed response its error is retryable, not ambiguous."""
    try:
        await do(work, step)
    except LaunchError as error:
        if error.ambiguous or may_pass(error):
            error.ambiguous, error.retryable = False, True
        raise


def _summary(changed: Collection[str]) -> str:
    count = len(changed)
    return f"{count} changed" if count else "already up to date"


def _json(value: JSONValue) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
