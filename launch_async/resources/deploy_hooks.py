"""Deploy hooks: secret URLs that start a deployment. You create them in the Launch console."""

from __future__ import annotations

from functools import partial
from typing import Final

from launch_async.errors import InvalidArgumentError
from launch_async.http.operation import Operation, check_text, is_uid
from launch_async.http.pipeline import Call
from launch_async.resources._resource import Resource, parsed_if_any, undisclosed
from launch_async.wire.secret import Secret

__all__ = ["DeployHooks"]

_TRIGGER: Final = Operation("triggerDeployHook", "POST", "/manage/deploy/{deploy_hook_uid}", authenticated=False)


class DeployHooks(Resource):
    """Deploy hooks. They need no credentials, because the UID of a hook is a secret."""

    async def trigger(self, hook_uid: str, *, commit: str | None = None) -> str:
        """Start a deployment with a deploy hook.

        Args:
            hook_uid: The last part of the hook's URL, 24 lower-case hex digits. The SDK never shows it.
            commit: Full hash of a commit or its first seven characters, for Git projects only.

        Returns:
            The message of the service, such as `Deployment triggered successfully`. It does not contain the UID of the
            deployment.

        Raises:
            InvalidArgumentError: The UID is malformed.
            NotFoundError: The hook does not exist (404).

        API: `triggerDeployHook`.
        """
        hook_uid = Secret(hook_uid)
        if not is_uid(hook_uid):
            problem = "must be 24 lower-case hex digits. The SDK does not show the value, because it is a secret"
            raise InvalidArgumentError("hook_uid", problem)
        if commit is not None:
            check_text("commit", commit, rule="reference/facts.md#4-resources")
        document = await self._pipeline.read(
            Call(
                operation=_TRIGGER,
                path=_TRIGGER.path.replace("{deploy_hook_uid}", hook_uid),
                query={"commit": commit},
                secrets=(hook_uid,),
            ),
            partial(undisclosed, partial(parsed_if_any, _TRIGGER)),
        )
        message = document.get("message") if isinstance(document, dict) else None
        return message if isinstance(message, str) else ""
