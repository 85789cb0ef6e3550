"""Deployments: one build of an environment, and how it ended."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Self, cast

import attrs

from launch_async._views import Displayable
from launch_async.models.base import LOCAL, IdentifiedModel, OpenEnum


class DeploymentStatus(OpenEnum):
    """State of a deployment (FACTS §6). Any other value counts as in flight.

    A deployment that has ended keeps its status, with one exception: which of the successful deployments of an
    environment serves may change at any time. A newer deployment supersedes the LIVE one, and a rollback in the console
    makes a superseded one LIVE again, without a build.

    Attributes:
        QUEUED: In flight: it waits for a running deployment of the same environment.
        DEPLOYING: In flight: it is building or publishing.
        LIVE: A success: it has ended and serves now.
        DEPLOYED: A success, superseded: it was LIVE, and another one serves instead. An older name of ARCHIVED.
        FAILED: A failure.
        SKIPPED: A failure: it was queued, and a newer one took its place.
        CANCELLED: A failure: a user or the limit of build hours ended it.
        ARCHIVED: A success, superseded: it was LIVE, and another one serves instead.
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
        """Whether the deployment ended well: it serves now, or it did until another one replaced it."""
        return self.is_serving or self.is_superseded

    @property
    def is_serving(self) -> bool:
        """Whether the deployment is the one that the site's visitors get (LIVE)."""
        return self is DeploymentStatus.LIVE

    @property
    def is_superseded(self) -> bool:
        """Whether the deployment was LIVE until another one replaced it (ARCHIVED or DEPLOYED)."""
        return self in _SUPERSEDED

    @property
    def is_final(self) -> bool:
        """Whether the deployment has ended, well or not, so that a wait for it is over.

        A rollback in the console may still make a superseded deployment LIVE again.
        """
        return self.is_success or self in _FAILURE

    @property
    def is_in_flight(self) -> bool:
        """Whether the deployment goes on; a status that this SDK does not know counts as such."""
        return not self.is_final


_UNSTATED = DeploymentStatus("")
_SUPERSEDED = frozenset({DeploymentStatus.DEPLOYED, DeploymentStatus.ARCHIVED})
_FAILURE = frozenset({DeploymentStatus.FAILED, DeploymentStatus.SKIPPED, DeploymentStatus.CANCELLED})


@attrs.frozen
class DeploymentRef:
    """Names one deployment, so that another process can take over: plain data, JSON in and out.

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
        """Read what `to_json` wrote.

        Raises:
            ValueError: The text is not such an object.
        """
        document: object = json.loads(text)
        names = [field.name for field in attrs.fields(cls)]
        found = [cast("dict[str, object]", document).get(name) for name in names] if isinstance(document, dict) else []
        uids = [uid for uid in found if isinstance(uid, str)]
        if len(uids) != len(names):
            raise ValueError(f"a deployment reference is a JSON object with the strings {', '.join(names)}")
        return cls(*uids)


@attrs.frozen(slots=False, kw_only=True)
class Deployment(Displayable, IdentifiedModel):
    """A deployment (`Deployment` in `openapi.yaml`). Any field but `uid` may be missing (FACTS §4).

    Attributes:
        uid: 24 lower-case hex digits.
        status: How far it is; empty and unknown where the service sends none.
        deployment_number: Its number among the environment's deployments.
        deployment_url: Host name as the service sends it, usually without a scheme; `url` is absolute.
        preview_url: Host name of the preview, as the service sends it.
        environment: UID of its environment, where the service sends it; `environment_uid` is always there.
        git_branch: Branch that was deployed.
        commit_hash: Commit that was deployed.
        commit_message: Its message.
        commit_url: Its address.
        is_rollback_eligible: Whether the console offers to roll back to it, which would make it LIVE again without a
            build; None where the service does not say.
        created_at: When it was created.
        updated_at: When it last changed.
        project_uid: UID of its project, filled in by the client.
        environment_uid: UID of its environment, filled in by the client.
        scheme: Scheme of `url` where the service sends none, filled in by the client: `https`, or `http` where the
            client talks plain http to this machine.
    """

    status: DeploymentStatus = _UNSTATED
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
        """Absolute URL of the site; None while the service gives none."""
        if not self.deployment_url or "://" in self.deployment_url:
            return self.deployment_url or None
        return f"{self.scheme}://{self.deployment_url}"

    @property
    def ref(self) -> DeploymentRef:
        """A reference to this deployment that can be stored."""
        return DeploymentRef(self.project_uid, self.environment_uid, self.uid)
