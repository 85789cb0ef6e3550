"""`DeploymentReport`: the result of one deployment, for people, programs and notebooks."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import attrs

from launch_async._text import without_escapes
from launch_async._views import Displayable
from launch_async.models.base import JSONValue
from launch_async.models.deployment import Deployment, DeploymentRef, DeploymentStatus
from launch_async.models.log import LogLine
from launch_async.watch.log_level import level_of, plain

__all__ = ["DeploymentReport", "LogDigest", "build_lengths", "build_seconds"]

_TAIL_LINES: Final = 20
_MAX_LINE_LENGTH: Final = 300
_NO_STATUS: Final = "without a status"
_ADVICE: Final = {
    DeploymentStatus.FAILED: "Fix the error shown in the build log, then deploy again. The previous version is live.",
    DeploymentStatus.SKIPPED: (
        "A newer deployment replaced this one in the queue before it started. Wait for the newer one, or deploy again."
    ),
    DeploymentStatus.CANCELLED: (
        "A user cancelled the deployment, or the organization has no build hours left. Check both, then deploy again."
    ),
}


@attrs.frozen(kw_only=True)
class DeploymentReport(Displayable):
    """The result of one deployment.

    Attributes:
        deployment: Its last known state.
        stage: Build stage of the last log line; None without a log.
        first_error: First log line that looks like an error; None if there is none.
        log_tail: The last lines of the log, at most 20.
        stage_seconds: Seconds from the first to the last log line of each build stage, in order; empty without a log.
    """

    deployment: Deployment
    stage: str | None = None
    first_error: str | None = None
    log_tail: tuple[LogLine, ...] = ()
    stage_seconds: Mapping[str, float] = attrs.field(factory=dict[str, float])

    @classmethod
    def of(cls, deployment: Deployment, lines: Iterable[LogLine] = ()) -> DeploymentReport:
        """Return the report of a deployment and its log, with the oldest line first."""
        digest = LogDigest()
        for line in lines:
            digest.add(line)
        return digest.report(deployment)

    @property
    def ref(self) -> DeploymentRef:
        """A reference to the deployment, which you can store."""
        return self.deployment.ref

    @property
    def status(self) -> DeploymentStatus:
        """The final status."""
        return self.deployment.status

    @property
    def seconds(self) -> float | None:
        """Seconds from its creation to its end; None if the service does not return the times."""
        return build_seconds(self.deployment)

    @property
    def url(self) -> str | None:
        """Absolute URL of the site; None if it has none."""
        return self.deployment.url

    @property
    def advice(self) -> str:
        """The next step, depending on the status."""
        if self.status.is_serving:
            return "Nothing to do: the deployment is live."
        if self.status.is_superseded:
            return (
                "Nothing to do: the deployment went live, and another deployment has replaced it. To go back to this "
                "version, restore it."
            )
        known = _ADVICE.get(self.status)
        return known or "The SDK does not know this status. Check the deployment in the console."

    @property
    def headline(self) -> str:
        """The result in one short line for a table: status, time, stage and first error."""
        first = f": {self.first_error}" if self.first_error and not self.status.is_success else ""
        return f"{self._end}{first}"

    @property
    def summary(self) -> str:
        """The result in a few sentences, for an error message or a chat message."""
        sentences = [f"Deployment {self.deployment.uid} ended {self._end}."]
        if self.first_error and not self.status.is_success:
            sentences.append(f'First error: "{self.first_error}".')
        elif self.url and self.status.is_success:
            sentences.append(f"The site is {self.url}.")
        if not self.status.is_success:
            sentences += [self.advice, f"Full log: {self._log_call}"]
        return " ".join(sentences)

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the report as plain data for JSON."""
        created, changed = self.deployment.created_at, self.deployment.updated_at
        return {
            "project_uid": self.deployment.project_uid,
            "environment_uid": self.deployment.environment_uid,
            "deployment_uid": self.deployment.uid,
            "deployment_number": self.deployment.deployment_number,
            "status": str(self.status),
            "success": self.status.is_success,
            "stage": self.stage,
            "seconds": self.seconds,
            "stage_seconds": {**self.stage_seconds},
            "created_at": created.isoformat() if created else None,
            "updated_at": changed.isoformat() if changed else None,
            "url": self.url,
            "first_error": self.first_error,
            "log_tail": [line.message for line in self.log_tail],
            "summary": self.summary,
            "advice": self.advice,
        }

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def __str__(self) -> str:
        tail = "".join(
            f"\n  {without_escapes(part)}" for line in self.log_tail for part in line.message.splitlines() or [""]
        )
        return f"{self.summary}{f'{chr(10)}Last lines:{tail}' if tail and not self.status.is_success else ''}"

    @property
    def _end(self) -> str:
        after = "" if self.seconds is None else f" after {self.seconds:.0f} s"
        stage = f" in stage {self.stage}" if self.stage and not self.status.is_success else ""
        return f"{self.status or _NO_STATUS}{after}{stage}"

    @property
    def _log_call(self) -> str:
        uids = ", ".join(repr(uid) for uid in attrs.astuple(self.ref))
        return f"launch.deployments.logs({uids})"


class LogDigest:
    """Collects the parts of a log that a report needs, line by line, without keeping the whole log."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._first_error: str | None = None
        self._tail: deque[LogLine] = deque(maxlen=_TAIL_LINES)
        self._stages: dict[str, tuple[datetime, datetime]] = {}

    def add(self, line: LogLine) -> None:
        """Add the next line."""
        self._tail.append(line)
        self._stage = str(line.stage) if line.stage else self._stage
        if line.stage and line.timestamp:
            first, last = self._stages.get(str(line.stage), (line.timestamp, line.timestamp))
            self._stages[str(line.stage)] = min(first, line.timestamp), max(last, line.timestamp)
        if self._first_error is None:
            text = plain(line.message)
            if level_of(line.message) == "error":
                self._first_error = text if len(text) <= _MAX_LINE_LENGTH else f"{text[:_MAX_LINE_LENGTH]}..."

    def report(self, deployment: Deployment) -> DeploymentReport:
        """Return the report of the deployment that wrote this log."""
        return DeploymentReport(
            deployment=deployment,
            stage=self._stage,
            first_error=self._first_error,
            log_tail=tuple(self._tail),
            stage_seconds={name: (last - first).total_seconds() for name, (first, last) in self._stages.items()},
        )


def build_seconds(deployment: Deployment) -> float | None:
    """Return the seconds from a deployment's creation to its end; None if the end is not known.

    A superseded deployment changed again after its end, so `updated_at` is not its end.
    """
    created, changed, status = deployment.created_at, deployment.updated_at, deployment.status
    if created is None or changed is None or not status.is_final or status.is_superseded:
        return None
    return max(0.0, (changed - created).total_seconds())


def build_lengths(deployments: Iterable[Deployment]) -> dict[str, float]:
    """Return the known build times of an environment's successful deployments, in seconds by UID.

    A LIVE deployment that is older than a superseded deployment is live because of a rollback. Its `updated_at` is the
    time of the rollback, so its build time is not known.
    """
    successes = [one for one in deployments if one.status.is_success]
    newest = max((one.deployment_number or 0 for one in successes), default=0)
    lengths = {one.uid: build_seconds(one) for one in successes if (one.deployment_number or 0) == newest}
    return {uid: seconds for uid, seconds in lengths.items() if seconds is not None}
