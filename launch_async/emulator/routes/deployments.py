"""Deployments: list, create and read; their logs; deploy hooks; uploads and downloads of archives."""

import re
from collections.abc import Mapping

from aiohttp import web

from launch_async.emulator import errors
from launch_async.emulator.clock import iso_milliseconds, milliseconds, parse_iso
from launch_async.emulator.live_logs import LiveLogResponse
from launch_async.emulator.routes.creation import GIT, check_git_allowed, deploy, received_upload
from launch_async.emulator.routes.validation import NEW_DEPLOYMENT, check
from launch_async.emulator.service import Call, JsonResponse
from launch_async.emulator.state import NEWEST_COMMIT


async def list_deployments(call: Call) -> JsonResponse:
    """Return one page of the deployments of an environment."""
    return call.page("deployments", list(call.environment().deployments.values()))


async def get_deployment(call: Call) -> JsonResponse:
    """Return one deployment."""
    return JsonResponse(200, {"deployment": call.shown(call.deployment())})


async def create_deployment(call: Call) -> JsonResponse:
    """Deploy a commit or an archive. An empty body deploys the newest commit or the previous archive."""
    environment = call.environment()
    body = await call.json()
    check(body, NEW_DEPLOYMENT, "DEPLOYMENT")
    git = environment.project.kind == GIT
    foreign = "uploadUid" if git else "commitHash"
    if foreign in body:
        code = f"launch.DEPLOYMENT.{'UPLOAD_UID' if git else 'COMMIT_HASH'}.NOT_ALLOWED"
        raise errors.invalid_fields([(foreign, code, f"{foreign} is not possible for a project of this type.")])
    if git:
        check_git_allowed(call)
        deployment = await deploy(call, environment, commit_hash=_commit(call, body))
    else:
        upload = received_upload(call, body["uploadUid"], "DEPLOYMENT") if "uploadUid" in body else environment.upload
        deployment = await deploy(call, environment, upload=upload)
    return JsonResponse(call.service.options.create_status, {"deployment": call.shown(deployment)})


async def get_deployment_logs(call: Call) -> JsonResponse:
    """Return the build log, oldest line first. With timestamp, return only the lines after that time."""
    deployment = call.deployment()
    text = call.request.query.get("timestamp")
    after = None if text is None else parse_iso(text)
    if text is not None and after is None:
        code = "launch.DEPLOYMENT_LOGS.TIMESTAMP.INVALID"
        raise errors.invalid_fields([("timestamp", code, "timestamp must be an ISO 8601 date.")])
    inclusive = call.service.options.log_bound == "inclusive"
    oldest = _oldest(call)
    lines = [
        line
        for stamp, line in call.service.builds.lines(deployment, call.now)
        if stamp >= oldest and (after is None or stamp > after or (inclusive and stamp == after))
    ]
    most = call.service.options.build_log_lines
    return JsonResponse(200, {"deploymentLogs": lines if most is None else lines[-most:]})


async def get_server_logs(call: Call) -> JsonResponse:
    """Return the lines that the server of a site has written between startTime and endTime."""
    deployment = call.deployment()
    if not deployment.server_rendered and call.service.options.static_server_logs_fail:
        raise _no_server_logs()
    start, end = max(_epoch(call, "startTime"), _oldest(call)), _epoch(call, "endTime")
    lines = [
        {"source": line.source, "message": line.message, "timestamp": iso_milliseconds(line.stamp)}
        for line in sorted(deployment.server_lines or (), key=lambda line: line.stamp)
        if start <= line.stamp <= end and line.visible_at <= call.now
    ]
    key = call.service.options.server_logs_key
    return JsonResponse(200, lines if key == "bare" else {key: lines})


async def stream_live_server_logs(call: Call) -> web.StreamResponse:
    """Send the lines that the server of a site writes from now on, as Server-Sent Events."""
    status = call.service.options.live_logs_status
    if status != 200:
        raise errors.coded(status, "launch.LIVE_LOGS.NOT_AVAILABLE", "Live logs are not available.")
    deployment = call.deployment()
    if not deployment.server_rendered and call.service.options.static_server_logs_fail:
        raise _no_server_logs()
    session = call.service.live_logs.open(deployment, call.request.headers.get("Last-Event-ID"))
    return LiveLogResponse(session, call.request)


async def get_upload_url(call: Call) -> JsonResponse:
    """Return a signed URL for the upload of an archive."""
    if "environment_uid" in call.parameters:
        call.environment()
    elif "project_uid" in call.parameters:
        call.project()
    upload = call.service.storage.new_upload(call.organization)
    return JsonResponse(200, call.service.storage.upload_target(upload))


async def get_download_url(call: Call) -> JsonResponse:
    """Return a signed URL of the archive that a file-upload deployment was built from.

    For a deployment that a test has added without a request, the URL leads to a sample archive.
    """
    deployment = call.deployment()
    if deployment.environment.project.kind == GIT:
        raise errors.coded(404, "launch.DEPLOYMENT.UPLOADED_FILE_NOT_FOUND_ERROR", "Uploaded file not found.")
    return JsonResponse(200, call.service.storage.download_target(deployment.upload))


async def trigger_deploy_hook(call: Call) -> JsonResponse:
    """Deploy an environment without credentials. The URL is a secret."""
    environment = call.service.state.hooks.get(call.parameters["deploy_hook_uid"])
    if environment is None:
        raise errors.coded(404, "launch.DEPLOY_HOOK.NOT_FOUND", "Deploy hook not found.")
    commit = call.request.query.get("commit")
    if environment.project.kind == GIT:
        if commit is not None and not re.fullmatch("[0-9a-fA-F]{7,64}", commit):
            raise errors.coded(404, "launch.DEPLOYMENT.NOT_FOUND", "Commit not found.")
        await deploy(call, environment, commit_hash=commit or NEWEST_COMMIT)
    else:
        await deploy(call, environment, upload=environment.upload)
    return JsonResponse(200, {"message": "Deployment triggered successfully"})


async def get_openapi(call: Call) -> JsonResponse:
    """Return the API document."""
    return JsonResponse(200, call.service.openapi)


def _commit(call: Call, body: Mapping[str, object]) -> str:
    """Return the commit of a body, by default the newest one.

    Raises:
        Refusal: 400, if the options require a commit or a full hash.
    """
    options, code = call.service.options, "launch.DEPLOYMENT.COMMIT_HASH"
    if "commitHash" not in body and options.git_needs_commit:
        raise errors.invalid_fields([("commitHash", f"{code}.REQUIRED", "commitHash is required.")])
    commit = str(body.get("commitHash", NEWEST_COMMIT))
    if options.commit_form == "full" and len(commit) < len(NEWEST_COMMIT):
        raise errors.invalid_fields([("commitHash", f"{code}.INVALID", "commitHash is not a full hash.")])
    return commit


def _oldest(call: Call) -> int:
    """Return the epoch milliseconds of the oldest log line that is still kept."""
    retention = call.service.options.log_retention
    return 0 if retention is None else milliseconds(call.now - retention)


def _no_server_logs() -> errors.Refusal:
    return errors.coded(500, "launch.SERVER_LOGS.GET_FAILED", "Server logs could not be fetched.")


def _epoch(call: Call, name: str) -> int:
    text = call.request.query.get(name, "")
    if not re.fullmatch("[0-9]{1,4000}", text):
        if call.service.options.server_logs_window_status == 500:
            raise _no_server_logs()
        code = f"launch.SERVER_LOGS.{'START_TIME' if name == 'startTime' else 'END_TIME'}.INVALID"
        raise errors.invalid_fields([(name, code, f"{name} must be epoch milliseconds.")])
    return int(text)
