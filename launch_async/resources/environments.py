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
            A pager. Iterate over it to get every environment, or call a method to get a page, the total or a list.

        Raises:
            InvalidArgumentError: The UID is malformed, or `limit` is not from 1 to 100, or `skip` is negative.

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
        """Return one environment. The values of its variables are in clear text.

        Raises:
            InvalidArgumentError: A UID is malformed.
            NotFoundError: The organization has no such environment (404).

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
        """Add an environment to a Git project. The service starts its first deployment immediately.

        The call needs a user's token: the service refuses the tokens of apps (M2M).

        Args:
            project_uid: The project.
            name: Name of the environment, unique in the project, at most 200 characters.
            git_branch: Branch to deploy.
            description: Description of the environment.
            framework_preset: Framework of the site, which decides how Launch builds and runs it.
            output_directory: Folder with the built site. The default is the folder of the preset.
            build_command: Command that builds the site.
            server_command: Command that starts the server.
            environment_variables: At most 128 variables and 14 KB in total. No name and no value may be empty.
            auto_deploy_on_push: Whether a push to the branch starts a deployment.
            is_streaming_enabled: Whether the site streams its responses.
            is_contentstack_authentication_enabled: Whether visitors must log in to Contentstack.

        Raises:
            InvalidArgumentError: An argument is empty or too long, the framework preset is unknown, or the variables
                break a limit. The SDK sent no request.
            ConflictError: The project already has an environment with this name (409).
            GitProviderError: Launch cannot access the Git account (401).
            MissingScopeError: The token belongs to an app. The SDK sent no request.
            AmbiguousOutcome: The response was lost, and the listing does not show whether the service created the
                environment.

        API: `createEnvironment`; scope `launch.projects:write` or `launch:manage`, a user's token.
        """
        # Rebind the names, so that a traceback with local variables does not show the values.
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
        """Add an environment to a file-upload project. The service starts its first deployment immediately.

        Args:
            project_uid: The project.
            name: Name of the environment, unique in the project, at most 200 characters.
            upload_uid: Upload UID of a ZIP that you sent to a URL from `uploads.url_for_environment()`.
            description: Description of the environment.
            framework_preset: Framework of the site, which decides how Launch builds and runs it.
            output_directory: Folder with the built site. The default is the folder of the preset.
            build_command: Command that builds the site.
            server_command: Command that starts the server.
            environment_variables: At most 128 variables and 14 KB in total. No name and no value may be empty.
            is_streaming_enabled: Whether the site streams its responses.
            is_contentstack_authentication_enabled: Whether visitors must log in to Contentstack.

        Raises:
            InvalidArgumentError: An argument is empty or too long, the framework preset is unknown, or the variables
                break a limit. The SDK sent no request.
            ConflictError: The project already has an environment with this name (409).
            AmbiguousOutcome: The response was lost, and the listing does not show whether the service created the
                environment.

        API: `createEnvironment`; scope `launch.projects:write` or `launch:manage`.
        """
        # Rebind the names, so that a traceback with local variables does not show the values.
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
            upload_uid=check_text("upload_uid", upload_uid, rule="reference/facts.md#5-upload-flow"),
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
        """Change an environment. An argument that you leave out (UNSET) keeps its value.

        None removes a value: the SDK sends null. You can pass None for `description`, `output_directory`,
        `build_command`, `server_command`, `git_branch`, `auto_deploy_on_push` and `password_protection`, but for no
        other argument.

        `environment_variables` replaces the whole list of variables. To change single variables, use
        `launch.variables`. The changes apply from the next deployment.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            name: New name, at most 200 characters.
            description: Description of the environment; None removes it.
            framework_preset: Framework of the site, which decides how Launch builds and runs it.
            output_directory: Folder with the built site; None removes it.
            build_command: Command that builds the site; None removes it.
            server_command: Command that starts the server; None removes it.
            git_branch: Branch to deploy; None removes it.
            auto_deploy_on_push: Whether a push to the branch starts a deployment; None for the service's default.
            environment_variables: The whole new list: at most 128 variables and 14 KB in total. No name and no value
                may be empty.
            password_protection: User name and password that visitors must enter; None removes the protection.
            is_streaming_enabled: Whether the site streams its responses.
            is_contentstack_authentication_enabled: Whether visitors must log in to Contentstack.
            has_lytics_enabled: Whether Launch adds the Lytics tag to the pages.
            is_cache_priming_enabled: Whether Launch fills the CDN cache after each deployment.

        Raises:
            InvalidArgumentError: There is nothing to change, an argument is empty or too long, the framework preset is
                unknown, or the variables break a limit. The SDK sent no request.
            ConflictError: The project already has an environment with this name (409).
            NotFoundError: The organization has no such environment (404).

        API: `updateEnvironment`; scope `launch.projects:write` or `launch:manage`.
        """
        # Rebind the names, so that a traceback with local variables does not show the values.
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
            raise InvalidArgumentError(
                "name", "there is nothing to change. Pass at least one setting", rule="reference/facts.md#4-resources"
            )
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
            NotFoundError: The organization has no such environment (404).

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
        """Purge responses from the environment's CDN cache, by exactly one of a path, cache tags or host names.

        The SDK refuses a path together with host names, because the service would purge the whole host. Each call
        counts against the organization's daily quota. A deployment purges the whole cache automatically. A call within
        60 s of a deployment that this client made logs a warning.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            path: Path that starts with `/`. The service purges it on all host names of the environment.
            is_prefix: Whether the service also purges everything below the path.
            cache_tags: 1 to 100 tags. The service purges every response that has at least one of the tags.
            hostnames: Host names without a scheme or a path. The service purges everything on these hosts.

        Raises:
            InvalidArgumentError: You passed none or several of `path`, `cache_tags` and `hostnames`, or a value is not
                allowed. The SDK sent no request.
            NotFoundError: The organization has no such environment (404).
            QuotaExceededError: The daily quota is used up. The SDK checked this with `usage.cache_revalidations()`.
            RateLimitError: The service refused the request and all retries because of the rate limit (429).

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
    """Return the creation of an environment, for a workflow that sets the options of the creation."""
    return environments._creation(project_uid, body, options)  # noqa: SLF001


def _uids(project_uid: str, environment_uid: str) -> dict[str, str]:
    return {"project_uid": project_uid, "environment_uid": environment_uid}


def _protection(protection: PasswordProtection) -> PasswordProtectionInput:
    if not isinstance(protection, PasswordProtection):  # pyright: ignore[reportUnnecessaryIsInstance]
        problem = f"must be a PasswordProtection, not {kind_of(protection)}"
        raise InvalidArgumentError("password_protection", problem)
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
        InvalidArgumentError: None or several of path, tags and host names are set, or a value is not allowed.
    """
    rule = "reference/facts.md#8-cdn-revalidation"
    strategies = {"path": path, "cache_tags": cache_tags, "hostnames": hostnames}
    chosen = [name for name, value in strategies.items() if value is not None]
    if len(chosen) != 1:
        several = f", not {' and '.join(chosen)}" if chosen else ""
        problem = f"pass exactly one of path, cache_tags and hostnames{several}"
        raise InvalidArgumentError(chosen[1] if len(chosen) > 1 else "path", problem, rule=rule)
    if is_prefix and path is None:
        raise InvalidArgumentError("is_prefix", "works only together with path", rule=rule)
    if path is not None:
        if not path.startswith("/"):
            raise InvalidArgumentError("path", f"must start with a slash, not {path[:60]!r}", rule="openapi.yaml")
        return RevalidateCacheRequest(cache_path=CachePath(path=path, is_prefix=is_prefix))
    values = cache_tags if cache_tags is not None else hostnames or ()
    if isinstance(values, str):
        raise InvalidArgumentError(chosen[0], f"must be a list of strings, not {values[:60]!r}", rule="openapi.yaml")
    unique = tuple(dict.fromkeys(values))
    check_count(chosen[0], unique, most=_MAX_TAGS if cache_tags is not None else len(unique), rule=rule)
    for value in unique:
        check_text(chosen[0], value, rule=rule)
    if cache_tags is not None:
        return RevalidateCacheRequest(cache_tags=unique)
    return RevalidateCacheRequest(hostnames=unique)
