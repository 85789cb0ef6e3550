"""The table of the API's operations, and the router that finds the operation of a path."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from attrs import evolve, frozen

from launch_async.emulator.auth import login
from launch_async.emulator.options import EmulatorOptions
from launch_async.emulator.routes import deployments, domains, environments, projects
from launch_async.emulator.service import Operation
from launch_async.emulator.state import Record

READ = "launch.projects:read"
WRITE = "launch.projects:write"
DELETE = "launch.projects:delete"

_P = "/projects/{project_uid}"
_E = _P + "/environments/{environment_uid}"
_D = _E + "/deployments/{deployment_uid}"

PUBLIC = (
    Operation("listProjects", "GET", "/projects", projects.list_projects, READ),
    Operation("createProject", "POST", "/projects", projects.create_project, WRITE),
    Operation("getProject", "GET", _P, projects.get_project, READ),
    Operation("updateProject", "PUT", _P, projects.update_project, WRITE),
    Operation("deleteProject", "DELETE", _P, projects.delete_project, DELETE),
    Operation(
        "updateProjectGitRepository",
        "PATCH",
        _P + "/git-repository",
        projects.update_git_repository,
        WRITE,
        users_only=True,
    ),
    Operation("listEnvironments", "GET", _P + "/environments", environments.list_environments, READ),
    Operation("createEnvironment", "POST", _P + "/environments", environments.create_environment, WRITE),
    Operation("getEnvironment", "GET", _E, environments.get_environment, READ),
    Operation("updateEnvironment", "PUT", _E, environments.update_environment, WRITE),
    Operation("deleteEnvironment", "DELETE", _E, environments.delete_environment, DELETE),
    Operation("revalidateCdnCache", "POST", _E + "/revalidate-cdn-cache", environments.revalidate_cdn_cache, WRITE),
    Operation("getProjectUploadUrl", "GET", "/projects/upload/signed_url", deployments.get_upload_url, WRITE),
    Operation(
        "getEnvironmentUploadUrl", "GET", _P + "/environments/upload/signed_url", deployments.get_upload_url, WRITE
    ),
    Operation(
        "getDeploymentUploadUrl", "GET", _E + "/deployments/upload/signed_url", deployments.get_upload_url, WRITE
    ),
    Operation("getDeploymentDownloadUrl", "GET", _D + "/download/signed_url", deployments.get_download_url, READ),
    Operation("listDeployments", "GET", _E + "/deployments", deployments.list_deployments, READ),
    Operation("createDeployment", "POST", _E + "/deployments", deployments.create_deployment, WRITE),
    Operation("getDeployment", "GET", _D, deployments.get_deployment, READ),
    Operation("getDeploymentLogs", "GET", _D + "/logs/deployment-logs", deployments.get_deployment_logs, READ),
    Operation("getServerLogs", "GET", _D + "/logs/server-logs", deployments.get_server_logs, READ),
    Operation("streamLiveServerLogs", "GET", _D + "/logs/live", deployments.stream_live_server_logs, READ),
    Operation(
        "getCacheRevalidationUsage",
        "GET",
        "/usage-analytics/revalidate-cdn-cache",
        environments.get_cache_revalidation_usage,
    ),
)
OPEN = (
    Operation(
        "triggerDeployHook",
        "POST",
        "/manage/deploy/{deploy_hook_uid}",
        deployments.trigger_deploy_hook,
        access="open",
        counted=False,
    ),
    Operation("getOpenapi", "GET", "/openapi", deployments.get_openapi, access="open", counted=False),
    Operation("oauthToken", "POST", "/apps-api/apps/token", login.issue_tokens, access="open", counted=False),
    Operation("oauthTokenAlt", "POST", "/apps-api/token", login.issue_tokens, access="open", counted=False),
    Operation("oauthTokenDevHub", "POST", "/token", login.issue_tokens, access="open", counted=False),
    Operation("oauthIntrospect", "POST", "/apps-api/introspect", login.introspect, access="open", counted=False),
    Operation("login", "POST", "/v3/user-session", login.log_in, access="open", counted=False),
    Operation("logout", "DELETE", "/v3/user-session", login.log_out, access="open", counted=False),
    Operation("listOrganizations", "GET", "/v3/organizations", login.list_organizations, access="open", counted=False),
)
# The vendor does not document the last operation.
DOMAINS = (
    Operation("listDomains", "GET", _E + "/domains", domains.list_domains, READ),
    Operation("updateDomain", "PUT", _E + "/domains/{domain_uid}", domains.update_domain, WRITE),
    Operation("revalidateDomain", "POST", _E + "/domains/{domain_uid}/revalidate", domains.revalidate_domain, WRITE),
)


def offered(options: EmulatorOptions) -> list[Operation]:
    """Return the operations of an emulator with these options."""
    return [
        variant
        for operation in (*PUBLIC, *OPEN, *(DOMAINS if options.domains else ()))
        for variant in _variants(operation, options)
    ]


def _variants(operation: Operation, options: EmulatorOptions) -> list[Operation]:
    """Return the variants of an operation that the options choose: none, one or two."""
    match operation.id:
        case "updateEnvironment":
            methods = ("PUT", "PATCH") if options.environment_update == "either" else (options.environment_update,)
            return [evolve(operation, method=method) for method in methods]
        case "oauthToken" | "oauthTokenAlt" | "oauthTokenDevHub":
            return [operation] if options.oauth_path in ("any", operation.template) else []
        case "getCacheRevalidationUsage" if options.usage_scope != "any":
            return [evolve(operation, scope=options.usage_scope)]
        case _:
            return [operation]


@frozen
class Match:
    """The operation of a request, with its path parameters. Without an operation, the methods that the path allows."""

    operation: Operation | None
    parameters: Mapping[str, str]
    allowed: tuple[str, ...] = ()


class Router:
    """Finds operations. A literal segment takes precedence over a parameter."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], Operation]]] = {}
        self._by_method: dict[tuple[str, int], list[tuple[tuple[str, ...], Operation]]] = {}
        for operation in operations:
            segments = tuple(operation.template.strip("/").split("/"))
            self._by_length.setdefault(len(segments), []).append((segments, operation))
            self._by_method.setdefault((operation.method, len(segments)), []).append((segments, operation))
        for candidates in self._by_method.values():
            candidates.sort(key=lambda candidate: sum(segment.startswith("{") for segment in candidate[0]))

    def match(self, method: str, raw_path: str) -> Match:
        """Return the operation for a method and a quoted path."""
        given = raw_path[1:].split("/")
        for segments, operation in self._by_method.get((method, len(given)), ()):
            parameters = _parameters(segments, given)
            if parameters is not None:
                return Match(operation, parameters)
        candidates = self._by_length.get(len(given), ())
        allowed = (operation.method for segments, operation in candidates if _parameters(segments, given) is not None)
        return Match(None, {}, tuple(allowed))


def describe(operations: Sequence[Operation]) -> Record:
    """Return a document in the form of the vendor's document: OpenAPI 3.0.0, info.version 1.0."""
    paths: dict[str, dict[str, object]] = {}
    for operation in operations:
        parameters = [
            _parameter(part[1:-1], "path", "string", required=True)
            for part in operation.template.split("/")
            if part.startswith("{")
        ]
        parameters += [_parameter(*query, required=query[0] in REQUIRED) for query in QUERIES.get(operation.id, ())]
        parameters.append(_parameter("x-cs-api-version", "header", "string"))
        paths.setdefault(operation.template, {})[operation.method.lower()] = {
            "operationId": operation.id,
            "summary": _summary(operation.id),
            "description": (operation.handler.__doc__ or "").partition("\n")[0],
            "parameters": parameters,
            "responses": {"default": {"description": "See the API reference."}},
        }
    return {"openapi": "3.0.0", "info": {"title": "Launch API", "version": "1.0"}, "paths": paths}


_PAGE = (("limit", "query", "integer"), ("skip", "query", "integer"))
QUERIES: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "listProjects": _PAGE,
    "listEnvironments": _PAGE,
    "listDeployments": _PAGE,
    "listDomains": _PAGE,
    "getDeploymentLogs": (("timestamp", "query", "string"),),
    "getServerLogs": (("startTime", "query", "string"), ("endTime", "query", "string")),
}
"""Query parameters of each operation: name, place and type."""
REQUIRED = ("startTime", "endTime")


def _parameter(name: str, place: str, kind: str, *, required: bool = False) -> Record:
    return {"name": name, "in": place, "required": required, "schema": {"type": kind}}


def _summary(operation_id: str) -> str:
    """Return ``getServerLogs`` as ``Get Server Logs``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", operation_id[0].upper() + operation_id[1:])


def _parameters(segments: tuple[str, ...], given: list[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    for segment, value in zip(segments, given, strict=True):
        if segment.startswith("{"):
            parameters[segment[1:-1]] = unquote(value)
        elif segment != value:
            return None
    return parameters
