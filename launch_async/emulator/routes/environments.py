"""Environments: list, create with a first deployment, read, change, delete, and purge from the CDN."""

from collections.abc import Mapping

from launch_async.emulator import errors
from launch_async.emulator.clock import iso, milliseconds
from launch_async.emulator.ledger import Purge
from launch_async.emulator.routes.creation import (
    GIT,
    check_git_allowed,
    deploy,
    new_environment,
    received_upload,
)
from launch_async.emulator.routes.validation import (
    CHANGED_ENVIRONMENT,
    NEW_ENVIRONMENT,
    REVALIDATION,
    check,
    check_required,
)
from launch_async.emulator.service import Call, JsonResponse
from launch_async.emulator.shapes import as_list, as_object
from launch_async.emulator.state import NEWEST_COMMIT, Environment, Organization, Project

DAY = 86_400.0


async def list_environments(call: Call) -> JsonResponse:
    """Return one page of the environments of a project."""
    return call.page("environments", list(call.project().environments.values()))


async def get_environment(call: Call) -> JsonResponse:
    """Return one environment, with its variables in clear text."""
    return JsonResponse(200, {"environment": call.shown(call.environment())})


async def create_environment(call: Call) -> JsonResponse:
    """Create an environment and start its first deployment."""
    project = call.project()
    body = await call.json()
    check(body, NEW_ENVIRONMENT, "ENVIRONMENT")
    check_required(body, call.service.options.required_settings, "ENVIRONMENT")
    git = project.kind == GIT
    if git:
        check_git_allowed(call)
    elif "uploadUid" not in body:
        raise errors.invalid_fields([("uploadUid", "launch.ENVIRONMENT.UPLOAD_UID.REQUIRED", "uploadUid is required.")])
    upload = None if git else received_upload(call, body["uploadUid"], "ENVIRONMENT")
    limit = call.service.options.environment_limit
    if limit is not None and len(project.environments) >= limit:
        raise errors.coded(403, "launch.ENVIRONMENT.LIMIT_REACHED", "The project cannot have more environments.")
    if upload is not None:
        await call.service.storage.unpacked(upload)
    _check_name(call, project, str(body["name"]), None)
    environment = new_environment(call, project, body)
    await deploy(call, environment, upload=upload, commit_hash=NEWEST_COMMIT if git else None)
    return JsonResponse(call.service.options.create_status, {"environment": call.shown(environment)})


async def update_environment(call: Call) -> JsonResponse:
    """Change some fields of an environment.

    An option chooses whether new variables replace the old variables or are merged with them.
    """
    call.environment()
    body = await call.json()
    environment = call.environment()  # another request may have deleted it while the body arrived
    if not body:
        raise errors.coded(400, "launch.BODY_EMPTY", "Nothing to update.")
    check(body, CHANGED_ENVIRONMENT, "ENVIRONMENT")
    if "name" in body:
        _check_name(call, environment.project, str(body["name"]), environment)
    known = {rule.name for rule in CHANGED_ENVIRONMENT}
    changed = {name: body[name] for name in body if name in known}
    if "environmentVariables" in changed and call.service.options.variables_update == "merge":
        changed["environmentVariables"] = _merged(environment.settings, changed)
        check(changed, CHANGED_ENVIRONMENT, "ENVIRONMENT")
    call.service.state.change_environment(environment, changed)
    environment.updated_at = call.now
    return JsonResponse(200, {"environment": call.shown(environment)})


async def delete_environment(call: Call) -> JsonResponse:
    """Delete an environment with its deployments and its site."""
    environment = call.environment()
    call.service.state.drop_environment(environment)
    await call.service.sites.close(environment)
    return JsonResponse(204)


async def revalidate_cdn_cache(call: Call) -> JsonResponse:
    """Purge a path, tags or host names from the CDN, which counts against the daily quota of the organization.

    As in the service, a body with both hostnames and cachePath purges everything of the host names.
    """
    environment = call.environment()
    body = await call.json()
    check(body, REVALIDATION, "REVALIDATE_CDN_CACHE")
    strategies = {name for name in ("cachePath", "cacheTags", "hostnames") if name in body}
    if not strategies or strategies not in ({"cachePath"}, {"cacheTags"}, {"hostnames"}, {"cachePath", "hostnames"}):
        message = "Exactly one of cachePath, cacheTags and hostnames is required."
        raise errors.coded(400, "launch.REVALIDATE_CDN_CACHE.INVALID", message)
    organization = call.organization
    _drop_old_revalidations(organization, call.now)
    if len(organization.revalidations) >= organization.revalidation_quota:
        status = call.service.options.quota_status
        raise errors.coded(status, "launch.REVALIDATE_CDN_CACHE.LIMIT_REACHED", "The daily quota is used up.")
    organization.revalidations.append(call.now)
    call.service.state.record_change(organization)
    call.service.ledger.purged += _purges(environment, body)
    options = call.service.options
    return JsonResponse(
        options.revalidate_status, {} if options.revalidate_body and options.revalidate_status != 204 else None
    )


async def get_cache_revalidation_usage(call: Call) -> JsonResponse:
    """Return how much of the daily quota is used."""
    organization = call.organization
    _drop_old_revalidations(organization, call.now)
    oldest = organization.revalidations[0] if organization.revalidations else call.now
    form = iso if call.service.options.usage_reset == "iso" else milliseconds
    return JsonResponse(
        200,
        {
            "currentCacheRevalidations": len(organization.revalidations),
            "maxCacheRevalidations": organization.revalidation_quota,
            "usageReset": form(oldest + DAY),
        },
    )


def _purges(environment: Environment, body: Mapping[str, object]) -> list[Purge]:
    """Return the purges of a valid body. A repeated tag counts once."""
    if "hostnames" in body:
        return [Purge(environment.uid, "hostname", str(name)) for name in as_list(body["hostnames"]) or []]
    if "cacheTags" in body:
        return [Purge(environment.uid, "tag", str(tag)) for tag in dict.fromkeys(as_list(body["cacheTags"]) or [])]
    path = as_object(body["cachePath"]) or {}
    return [Purge(environment.uid, "prefix" if path.get("isPrefix") else "path", str(path["path"]))]


def _merged(settings: Mapping[str, object], changed: Mapping[str, object]) -> list[object]:
    """Return the old and the new variables, merged by key."""
    merged: dict[object, object] = {}
    for source in (settings, changed):
        for variable in as_list(source.get("environmentVariables")) or []:
            merged[(as_object(variable) or {}).get("key")] = variable
    return list(merged.values())


def _drop_old_revalidations(organization: Organization, now: float) -> None:
    while organization.revalidations and organization.revalidations[0] <= now - DAY:
        organization.revalidations.popleft()


def _check_name(call: Call, project: Project, name: str, but: Environment | None) -> None:
    if call.service.state.named(project, name) not in (None, but):
        raise errors.coded(409, "launch.ENVIRONMENT.DUPLICATE_NAME", "Name already in use.")
