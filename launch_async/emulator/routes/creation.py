"""The common steps to create a project, an environment and a deployment."""

from collections.abc import Mapping

from launch_async.emulator import errors
from launch_async.emulator.builds.sites import output_folder
from launch_async.emulator.routes.validation import CHANGED_ENVIRONMENT
from launch_async.emulator.service import Call
from launch_async.emulator.state import Deployment, Environment, Project, Upload

GIT = "GITPROVIDER"
_SETTINGS = tuple(rule.name for rule in CHANGED_ENVIRONMENT)


def check_git_allowed(call: Call) -> None:
    """Check that a caller may use Git: a user with a connected Git account.

    Raises:
        Refusal: For an app token, 403 or 401, which an option chooses. Without an account, 401
            ``launch.GIT_PROVIDER.UNAUTHORIZED_ACCESS``.
    """
    if call.caller.kind == "app":
        raise errors.no_git_for_apps(call.service.options.app_token_git_status)
    if not call.service.options.git_connected:
        raise errors.no_git_for_apps(401)


def received_upload(call: Call, uid: object, noun: str) -> Upload:
    """Return the archive of an uploadUid.

    Raises:
        Refusal: 404 for an unknown uploadUid, 400 if its signed URL has received nothing or a form.
    """
    upload = call.service.state.uploads.get(str(uid))
    if upload is None or upload.organization is not call.organization:
        raise errors.coded(404, f"launch.{noun}.UPLOADED_FILE_NOT_FOUND_ERROR", "Uploaded file not found.")
    if not upload.received:
        raise errors.coded(400, "launch.DEPLOYMENT.FILE_UPLOAD_FAILED", "No file was uploaded for this uploadUid.")
    if upload.is_form:
        code = "launch.DEPLOYMENT.INVALID_FILE_TYPE"
        raise errors.coded(400, code, "Invalid file type. Found: multipart/form-data.")
    return upload


def new_environment(call: Call, project: Project, body: Mapping[str, object], delay: float = 0.0) -> Environment:
    """Create an environment from a checked body. Lists show it ``delay`` seconds from now."""
    service = call.service
    settings = {name: body[name] for name in _SETTINGS if name in body}
    settings.setdefault("environmentVariables", [])
    environment = Environment(
        uid=service.uids.launch(),
        project=project,
        settings=settings,
        created_at=call.now,
        updated_at=call.now,
        hook_uid=service.uids.launch(),
        visible_at=call.now + delay if delay else 0.0,
    )
    service.state.add(environment)
    service.created("environment", environment.uid, environment.name, project.uid)
    return environment


async def deploy(
    call: Call,
    environment: Environment,
    *,
    upload: Upload | None = None,
    commit_hash: str | None = None,
    delay: float = 0.0,
) -> Deployment:
    """Queue a deployment of an archive or a commit. Lists show it ``delay`` seconds from now.

    Raises:
        Refusal: 400, if another deployment is building and the options do not allow a queue.
    """
    service = call.service
    if service.options.while_building == "refuse" and environment.building is not None:
        raise errors.coded(400, "launch.DEPLOYMENT.CREATE_FAILED", "Another deployment is running.")
    await service.sites.open(environment)
    if upload is not None:
        await service.storage.unpacked(upload)
        environment.upload = upload
    now = service.clock.now()
    service.builds.apply_due_events(now)
    deployment = service.builds.create(
        environment, now, upload=upload, commit_hash=commit_hash, visible_at=now + delay if delay else 0.0
    )
    _check_output(deployment)
    service.created("deployment", deployment.uid, str(deployment.number), environment.uid)
    return deployment


def _check_output(deployment: Deployment) -> None:
    """Let a build without its output directory fail, unless a build command or a server creates the directory."""
    if deployment.folder is None or deployment.settings.get("buildCommand") or deployment.server_rendered:
        return
    if output_folder(deployment.folder, deployment.output_directory) is None:
        deployment.problem = f"the output directory {deployment.output_directory[:200]!r} does not exist"
