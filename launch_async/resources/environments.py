"""Environments and their CDN cache: `Environments` in the API reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import attrs

from launch_async.errors import InvalidArgumentError
from launch_async.http.operation import DELETE, READ, WRITE, Operation, check_count, check_text
from launch_async.http.pipeline import Call, Pipeline
from launch_async.models.base import UNSET, Unset
from launch_async.models.environment import Environment, PasswordProtection
from launch_async.models.framework_preset import FrameworkPreset
from launch_async.models.requests import (
    CachePath,
    EnvironmentInput,
    PasswordProtectionInput,
    RevalidateCacheRequest,
    UpdateEnvironmentRequest,
)
from launch_async.resources._cache import CachePurges, quota_reclassifier
from launch_async.resources._create.proof import NameProof
from launch_async.resources._create.reconciling import CreationOptions, ReconcilingCreate
from launch_async.resources._inputs import MAX_NAME, changed, check_preset, environment_input, given, variable_inputs
from launch_async.resources._resource import Resource, has_name, has_uid
from launch_async.resources.pager import Pager
from launch_async.wire.converter import encode
from launch_async.wire.secret import hidden, hidden_json, kind_of

__all__ = ["Environments", "environment_creation"]

_PARENT: Final = "/projects/{project_uid}/environments"
_ITEM: Final = _PARENT + "/{environment_uid}"
_LIST: Final = Operation("listEnvironments", "GET", _PARENT, READ)
_GET: Final = Operation("getEnvironment", "GET", _ITEM, READ)
_CREATE: Final = Operation("createEnvironment", "POST", _PARENT, WRITE)
_UPDATE: Final = Operation("updateEnvironment", "PUT", _ITEM, WRITE)
_DELETE: Final = Operation("deleteEnvironment", "DELETE", _ITEM, DELETE)
_REVALIDATE: Final = Operation("revalidateCdnCache", "POST", _ITEM + "/revalidate-cdn-cache", WRITE)
_MAX_TAGS: Final = 100


class Environments(Resource):
    """The environments of a project."""

    def __init__(self, pipeline: Pipeline, purges: CachePurges | None = None) -> None:
        super().__init__(pipeline)
        self._purges = purges or CachePurges()

    def list(self, project_uid: str, *, limit: int | None = None, skip: int = 0) -> Pager[Environment]:
        """List a project's environments.

        Args:
            project_uid: The project.
            limit: Items per page, 1 to 100; 100 by default.
            skip: Number of items to skip at the start.

        Returns:
            A pager: iterate it for every environment, or ask it for a page, the total or a list.

        Raises:
            InvalidArgumentError: The UID is malformed, or `limit` or `skip` is out of bounds (FACTS §4).

        API: `listEnvironments`; scope `launch.projects:read` or `launch:manage`.
        """
        return self._list(
            _LIST,
            Environment,
            {"project_uid": project_uid},
            "environments",
            partial(attrs.evolve, project_uid=project_uid),
            limit=limit,
            skip=skip,
        )

    async def get(self, project_uid: str, environment_uid: str) -> Environment:
        """Return one environment, its variables in clear.

        Raises:
            InvalidArgumentError: A UID is malformed.
            NotFoundError: No such environment in this organization (404).

        API: `getEnvironment`; scope `launch.projects:read` or `launch:manage`.
        """
        environment = await self._one(
            _GET,
            Environment,
            _uids(project_uid, environment_uid),
            key="environment",
            check=has_uid(environment_uid),
        )
        return attrs.evolve(environment, project_uid=project_uid)

    async def create_from_git(
        self,
        project_uid: str,
        name: str,
        *,
        git_branch: str,
        description: str | None = None,
        framework_preset: FrameworkPreset | str = FrameworkPreset.OTHER,
        output_directory: str | None = None,
        build_command: str | None = None,
        server_command: str | None = None,
        environment_variables: Mapping[str, str] | None = None,
        auto_deploy_on_push: bool | None = None,
        is_streaming_enabled: bool | None = None,
        is_contentstack_authentication_enabled: bool | None = None,
    ) -> Environment:
        """Add an environment to a Git project; its first deployment starts at once.

        App (M2M) tokens cannot do this (FACTS §3).

        Args:
            project_uid: The project.
            name: Name of the environment, unique in the project, at most 200 characters.
            git_branch: Branch to deploy.
            description: Free text.
            framework_preset: How the site is built and served.
            output_directory: Folder that is served; the preset's own by default.
            build_command: Command that builds the site.
            server_command: Command that starts the server.
            environment_variables: At most 128 and 14 KB, none empty.
            auto_deploy_on_push: Whether a push deploys.
            is_streaming_enabled: Whether responses are streamed.
            is_contentstack_authentication_enabled: Whether visitors must be logged in to Contentstack.

        Raises:
            InvalidArgumentError: An argument breaks a rule of FACTS §4.
            ConflictError: An environment of that name exists (409).
            GitProviderError: Launch cannot reach the Git account (401).
            MissingScopeError: The token is known to belong to an app; nothing was sent.
            AmbiguousOutcome: The answer was lost, and a look-up cannot tell whether it happened.

        API: `createEnvironment`; scope `launch.projects:write` or `launch:manage`, a user's token.
        """
        # Rebound: a traceback with local variables must not show them.
        environment_variables = hidden(environment_variables)
        body = environment_input(
            "name",
            name,
            framework_preset,
            output_directory,
            build_command,
            server_command,
            environment_variables,
            is_streaming_enabled,
            is_contentstack_authentication_enabled,
            git_branch=check_text("git_branch", git_branch, rule="openapi.yaml"),
            auto_deploy_on_push=given(auto_deploy_on_push),
            description=description,
        )
        return await self._create(project_uid, body)

    async def create_from_upload(
        self,
        project_uid: str,
        name: str,
        *,
        upload_uid: str,
        description: str | None = None,
        framework_preset: FrameworkPreset | str = FrameworkPreset.OTHER,
        output_directory: str | None = None,
        build_command: str | None = None,
        server_command: str | None = None,
        environment_variables: Mapping[str, str] | None = None,
        is_streaming_enabled: bool | None = None,
        is_contentstack_authentication_enabled: bool | None = None,
    ) -> Environment:
        """Add an environment to a file-upload project; its first deployment starts at once.

        Args:
            project_uid: The project.
            name: Name of the environment, unique in the project, at most 200 characters.
            upload_uid: Of a ZIP that was sent to `uploads.url_for_environment()`.
            description: Free text.
            framework_preset: How the site is built and served.
            output_directory: Folder that is served; the preset's own by default.
            build_command: Command that builds the site.
            server_command: Command that starts the server.
            environment_variables: At most 128 and 14 KB, none empty.
            is_streaming_enabled: Whether responses are streamed.
            is_contentstack_authentication_enabled: Whether visitors must be logged in to Contentstack.

        Raises:
            InvalidArgumentError: An argument breaks a rule of FACTS §4.
            ConflictError: An environment of that name exists (409).
            AmbiguousOutcome: The answer was lost, and a look-up cannot tell whether it happened.

        API: `createEnvironment`; scope `launch.projects:write` or `launch:manage`.
        """
        # Rebound: a traceback with local variables must not show them.
        environment_variables = hidden(environment_variables)
        body = environment_input(
            "name",
            name,
            framework_preset,
            output_directory,
            build_command,
            server_command,
            environment_variables,
            is_streaming_enabled,
            is_contentstack_authentication_enabled,
            upload_uid=check_text("upload_uid", upload_uid, rule="FACTS §5"),
            description=description,
        )
        return await self._create(project_uid, body)

    async def update(
        self,
        project_uid: str,
        environment_uid: str,
        *,
        name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        framework_preset: FrameworkPreset | str | Unset = UNSET,
        output_directory: str | Unset | None = UNSET,
        build_command: str | Unset | None = UNSET,
        server_command: str | Unset | None = UNSET,
        git_branch: str | Unset | None = UNSET,
        auto_deploy_on_push: bool | Unset | None = UNSET,
        environment_variables: Mapping[str, str] | Unset = UNSET,
        password_protection: PasswordProtection | Unset | None = UNSET,
        is_streaming_enabled: bool | Unset = UNSET,
        is_contentstack_authentication_enabled: bool | Unset = UNSET,
        has_lytics_enabled: bool | Unset = UNSET,
        is_cache_priming_enabled: bool | Unset = UNSET,
    ) -> Environment:
        """Change an environment. What is left out (UNSET) keeps its value; None is sent as null and removes the value.

        The API has null for `description`, `output_directory`, `build_command`, `server_command`, `git_branch`,
        `auto_deploy_on_push` and `password_protection`. Any other argument cannot be None.

        `environment_variables` is the whole new list: `launch.variables` changes single ones safely. Changes reach the
        site with the next deployment.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            name: New name, at most 200 characters.
            description: Free text; None for none.
            framework_preset: How the site is built and served.
            output_directory: Folder that is served; None for none.
            build_command: Command that builds the site; None for none.
            server_command: Command that starts the server; None for none.
            git_branch: Branch to deploy; None for none.
            auto_deploy_on_push: Whether a push deploys; None for the service's own choice.
            environment_variables: The whole new list: at most 128 and 14 KB, none empty.
            password_protection: Basic authentication in front of the site; None for none.
            is_streaming_enabled: Whether responses are streamed.
            is_contentstack_authentication_enabled: Whether visitors must be logged in to Contentstack.
            has_lytics_enabled: Whether the Lytics tag is injected.
            is_cache_priming_enabled: Whether the CDN is warmed after each deployment.

        Raises:
            InvalidArgumentError: Nothing to change was given, or an argument breaks a rule of FACTS §4.
            ConflictError: An environment of that name exists (409).
            NotFoundError: No such environment in this organization (404).

        API: `updateEnvironment`; scope `launch.projects:write` or `launch:manage`.
        """
        # Rebound: a traceback with local variables must not show them.
        environment_variables = hidden(environment_variables)
        password_protection = hidden_json(password_protection)
        body = UpdateEnvironmentRequest(
            name=UNSET if name is UNSET else check_text("name", name, longest=MAX_NAME),
            description=description,
            framework_preset=UNSET if framework_preset is UNSET else check_preset(framework_preset),
            output_directory=output_directory,
            build_command=build_command,
            server_command=server_command,
            git_branch=git_branch,
            auto_deploy_on_push=auto_deploy_on_push,
            environment_variables=UNSET if environment_variables is UNSET else variable_inputs(environment_variables),
            password_protection=_protection(password_protection)
            if password_protection is not UNSET and password_protection is not None
            else password_protection,
            is_streaming_enabled=changed("is_streaming_enabled", is_streaming_enabled),
            is_contentstack_authentication_enabled=changed(
                "is_contentstack_authentication_enabled", is_contentstack_authentication_enabled
            ),
            has_lytics_enabled=changed("has_lytics_enabled", has_lytics_enabled),
            is_cache_priming_enabled=changed("is_cache_priming_enabled", is_cache_priming_enabled),
        )
        if not encode(body):
            raise InvalidArgumentError("name", "give at least one thing to change", rule="FACTS §4")
        environment = await self._one(
            _UPDATE,
            Environment,
            _uids(project_uid, environment_uid),
            key="environment",
            body=body,
            check=has_uid(environment_uid),
        )
        return attrs.evolve(environment, project_uid=project_uid)

    async def delete(self, project_uid: str, environment_uid: str) -> None:
        """Delete an environment with its deployments and domains.

        Raises:
            InvalidArgumentError: A UID is malformed.
            NotFoundError: No such environment in this organization (404).

        API: `deleteEnvironment`; scope `launch.projects:delete` or `launch:manage`.
        """
        await self._send(_DELETE, _uids(project_uid, environment_uid))

    async def revalidate_cache(
        self,
        project_uid: str,
        environment_uid: str,
        *,
        path: str | None = None,
        is_prefix: bool = False,
        cache_tags: Sequence[str] | None = None,
        hostnames: Sequence[str] | None = None,
    ) -> None:
        """Purge responses from the environment's CDN cache: exactly one of a path, tags or host names.

        Host names beside a path would not be refused by the service: it would purge the whole host (FACTS §8). Each
        call counts against the organization's daily quota. A deployment purges everything by itself: a call right after
        one of this client's own deployments logs a warning.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            path: Path that starts with `/`; on all host names of the environment.
            is_prefix: Whether everything below the path is purged, too.
            cache_tags: 1 to 100 tags; what carries any of them is purged.
            hostnames: Bare host names that are purged wholly.

        Raises:
            InvalidArgumentError: Not exactly one was given, or it breaks a rule of FACTS §8.
            NotFoundError: No such environment in this organization (404).
            QuotaExceededError: The daily quota is used up, as the usage call confirms (FACTS §11 row 24).
            RateLimitError: Refused as too fast, again and again (429).

        API: `revalidateCdnCache`; scope `launch.projects:write` or `launch:manage`.
        """
        body = check_revalidation(path, is_prefix=is_prefix, cache_tags=cache_tags, hostnames=hostnames)
        call = Call(
            operation=_REVALIDATE,
            path=_REVALIDATE.render(_uids(project_uid, environment_uid)),
            body=encode(body),
            reclassify=quota_reclassifier(self._pipeline),
        )
        self._purges.hint(environment_uid)
        await self._pipeline.call(call)

    async def _create(self, project_uid: str, body: EnvironmentInput) -> Environment:
        return await self._creation(project_uid, body).once()

    def _creation(
        self, project_uid: str, body: EnvironmentInput, options: CreationOptions[Environment] | None = None
    ) -> ReconcilingCreate[Environment]:
        named: list[str] = []

        async def send(timeout: float) -> Environment:
            environment = await self._one(
                _CREATE,
                Environment,
                {"project_uid": project_uid},
                key="environment",
                body=body,
                timeout=timeout,
                user_only=body.git_branch is not UNSET,
                check=has_name(body.name),
                named=named,
            )
            return attrs.evolve(environment, project_uid=project_uid)

        async def look_up() -> Sequence[Environment]:
            return [one async for one in self.list(project_uid) if one.name == body.name]

        return self._once(
            _CREATE,
            f"environment {body.name!r}",
            parent=project_uid,
            proof=NameProof[Environment](),
            send=send,
            named=named,
            look_up=look_up,
            options=options,
        )


def environment_creation(
    environments: Environments, project_uid: str, body: EnvironmentInput, options: CreationOptions[Environment]
) -> ReconcilingCreate[Environment]:
    """Return the creation of an environment, for a workflow that has it created in its own way."""
    return environments._creation(project_uid, body, options)  # noqa: SLF001


def _uids(project_uid: str, environment_uid: str) -> dict[str, str]:
    return {"project_uid": project_uid, "environment_uid": environment_uid}


def _protection(protection: PasswordProtection) -> PasswordProtectionInput:
    if not isinstance(protection, PasswordProtection):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError("password_protection", f"expected PasswordProtection, got {kind_of(protection)}")
    return PasswordProtectionInput(
        is_enabled=given(protection.is_enabled),
        username=given(protection.username),
        password=given(protection.password),
    )


def check_revalidation(
    path: str | None, *, is_prefix: bool, cache_tags: Sequence[str] | None, hostnames: Sequence[str] | None
) -> RevalidateCacheRequest:
    """Return the body of a revalidation.

    Raises:
        InvalidArgumentError: Not exactly one strategy was given, or it breaks a rule of FACTS §8.
    """
    rule = "FACTS §8"
    strategies = {"path": path, "cache_tags": cache_tags, "hostnames": hostnames}
    chosen = [name for name, value in strategies.items() if value is not None]
    if len(chosen) != 1:
        problem = f"exactly one of path, cache_tags and hostnames is needed, got {' and '.join(chosen) or 'none'}"
        raise InvalidArgumentError(chosen[1] if len(chosen) > 1 else "path", problem, rule=rule)
    if is_prefix and path is None:
        raise InvalidArgumentError("is_prefix", "goes with path only", rule=rule)
    if path is not None:
        if not path.startswith("/"):
            raise InvalidArgumentError("path", f"{path[:60]!r} does not start with /", rule="openapi.yaml")
        return RevalidateCacheRequest(cache_path=CachePath(path=path, is_prefix=is_prefix))
    values = cache_tags if cache_tags is not None else hostnames or ()
    if isinstance(values, str):
        raise InvalidArgumentError(chosen[0], "is one string; give a list of them", rule="openapi.yaml")
    unique = tuple(dict.fromkeys(values))
    check_count(chosen[0], unique, most=_MAX_TAGS if cache_tags is not None else len(unique), rule=rule)
    for value in unique:
        check_text(chosen[0], value, rule=rule)
    if cache_tags is not None:
        return RevalidateCacheRequest(cache_tags=unique)
    return RevalidateCacheRequest(hostnames=unique)
