"""Deployments: the builds of an environment, and their results."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Self, cast

import attrs

from launch_async._views import Displayable
from launch_async.models.base import LOCAL, IdentifiedModel, OpenEnum


class DeploymentStatus(OpenEnum):
    """Status of a deployment. The SDK treats an unknown status as in flight.

    The status of a deployment that has ended changes only if another deployment of the environment goes live. A newer
    deployment supersedes the LIVE deployment. A rollback in the console makes a superseded deployment LIVE again,
    without a build.

    Attributes:
        QUEUED: In flight: the deployment waits for a running deployment of the same environment.
        DEPLOYING: In flight: the deployment is building or publishing.
        LIVE: Success: the deployment has ended, and visitors see it.
        DEPLOYED: Success, superseded: the deployment was LIVE until another deployment replaced it. An older name of
            ARCHIVED.
        FAILED: Failure: the build or its publication failed.
        SKIPPED: Failure: the deployment was queued, and a newer deployment replaced it.
        CANCELLED: Failure: a user cancelled the deployment, or the organization reached its limit of build hours.
        ARCHIVED: Success, superseded: the deployment was LIVE until another deployment replaced it.
    """

    QUEUED = "QUEUED"
    DEPLOYING = "DEPLOYING"
    LIVE = "LIVE"
    DEPLOYED = "DEPLOYED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"
    ARCHIVED = "ARCHIVED"

    @property
    def is_success(self) -> bool:
        """Whether the deployment succeeded: it is LIVE, or it was LIVE until another deployment replaced it."""
        return self.is_serving or self.is_superseded

    @property
    def is_serving(self) -> bool:
        """Whether visitors of the site see this deployment (LIVE)."""
        return self is DeploymentStatus.LIVE

    @property
    def is_superseded(self) -> bool:
        """Whether the deployment was LIVE until another deployment replaced it (ARCHIVED or DEPLOYED)."""
        return self in _SUPERSEDED

    @property
    def is_final(self) -> bool:
        """Whether the deployment has ended, with success or failure.

        A rollback in the console may still make a superseded deployment LIVE again.
        """
        return self.is_success or self in _FAILURE

    @property
    def is_in_flight(self) -> bool:
        """Whether the deployment has not ended yet. This is also true for a status that this SDK does not know."""
        return not self.is_final


_NO_STATUS = DeploymentStatus("")
_SUPERSEDED = frozenset({DeploymentStatus.DEPLOYED, DeploymentStatus.ARCHIVED})
_FAILURE = frozenset({DeploymentStatus.FAILED, DeploymentStatus.SKIPPED, DeploymentStatus.CANCELLED})


@attrs.frozen
class DeploymentRef:
    """A reference to one deployment. Another process can load it from JSON and continue with the deployment.

    Attributes:
        project_uid: UID of the project.
        environment_uid: UID of the environment.
        deployment_uid: UID of the deployment.
    """

    project_uid: str
    environment_uid: str
    deployment_uid: str

    def to_json(self) -> str:
        """Return the reference as one JSON object."""
        return json.dumps(attrs.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the reference from the text that `to_json` returned.

        Raises:
            ValueError: The text is not a reference.
        """
        document: object = json.loads(text)
        names = [field.name for field in attrs.fields(cls)]
        found = [cast("dict[str, object]", document).get(name) for name in names] if isinstance(document, dict) else []
        uids = [uid for uid in found if isinstance(uid, str)]
        if len(uids) != len(names):
            raise ValueError(
                f"The text is not a deployment reference. Pass the text that DeploymentRef.to_json() returned: a JSON "
                f"object with the strings {', '.join(names)}"
            )
        return cls(*uids)


@attrs.frozen(slots=False, kw_only=True)
class Deployment(Displayable, IdentifiedModel):
    """A deployment (`Deployment` in `openapi.yaml`). The service may leave out any field except `uid`.

    Attributes:
        uid: 24 lower-case hex digits.
        status: Status of the deployment; an empty, unknown status if the service sends none.
        deployment_number: Number of the deployment within its environment.
        deployment_url: Host name as the service sends it, usually without a scheme; `url` is absolute.
        preview_url: Host name of the preview, as the service sends it.
        environment: UID of the environment, if the service sends it; `environment_uid` is always set.
        git_branch: Branch that was deployed.
        commit_hash: Commit that was deployed.
        commit_message: Message of the commit.
        commit_url: URL of the commit.
        is_rollback_eligible: Whether the console offers a rollback to this deployment, which would make it LIVE again
            without a build; None if the service does not send it.
        created_at: Time of the creation.
        updated_at: Time of the last change.
        project_uid: UID of the project, filled in by the client.
        environment_uid: UID of the environment, filled in by the client.
        scheme: Scheme of `url` if the service sends none, filled in by the client: `https`, or `http` if the client
            itself uses plain http to this machine.
    """

    status: DeploymentStatus = _NO_STATUS
    deployment_number: int | None = None
    deployment_url: str | None = None
    preview_url: str | None = None
    environment: str | None = None
    git_branch: str | None = None
    commit_hash: str | None = None
    commit_message: str | None = None
    commit_url: str | None = None
    is_rollback_eligible: bool | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    project_uid: str = attrs.field(default="", metadata=LOCAL)
    environment_uid: str = attrs.field(default="", metadata=LOCAL)
    scheme: str = attrs.field(default="https", metadata=LOCAL)

    @property
    def url(self) -> str | None:
        """Absolute URL of the site; None if the service has not sent a URL yet."""
        if not self.deployment_url or "://" in self.deployment_url:
            return self.deployment_url or None
        return f"{self.scheme}://{self.deployment_url}"

    @property
    def ref(self) -> DeploymentRef:
        """Reference to this deployment. You can store it and load it in another process."""
        return DeploymentRef(self.project_uid, self.environment_uid, self.uid)
