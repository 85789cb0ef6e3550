"""Log lines: of a build, and of a running server."""

from __future__ import annotations

from datetime import datetime

import attrs

from launch_async.models.base import OpenEnum, WireModel


class LogStage(OpenEnum):
    """Part of a build that a line belongs to; an open set (FACTS §11 row 25)."""

    INSTALLING_DEPENDENCIES = "INSTALLING_DEPENDENCIES"
    BUILD = "BUILD"


@attrs.frozen(slots=False, kw_only=True)
class LogLine(WireModel):
    """One line of a deployment's build log (`DeploymentLog` in `openapi.yaml`).

    Attributes:
        message: The text.
        stage: Part of the build.
        timestamp: When it was written; None if the service gave none or one that cannot be read, whose text is then
            in `extra["timestamp"]`.
        deployment_uid: UID of the deployment.
    """

    message: str = ""
    stage: LogStage | None = None
    timestamp: datetime | None = None
    deployment_uid: str | None = None

    def __str__(self) -> str:
        return self.message


@attrs.frozen(slots=False, kw_only=True)
class ServerLogLine(WireModel):
    """One line of a server's log (`ServerLog` in `openapi.yaml`).

    Attributes:
        message: The text.
        source: What wrote it.
        timestamp: When it was written; the wire's text or epoch milliseconds. None if it cannot be read; its text is
            then in `extra["timestamp"]`.
    """

    message: str = ""
    source: str | None = None
    timestamp: datetime | None = None

    def __str__(self) -> str:
        return self.message
