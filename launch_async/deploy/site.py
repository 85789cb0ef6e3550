"""A site as `create_site` leaves it: a project, its environment, and the deployment that serves it."""

from __future__ import annotations

import attrs

from launch_async.display import html as _html
from launch_async.models.deployment import Deployment, status_badge
from launch_async.models.environment import Environment
from launch_async.models.project import Project

__all__ = ["Site"]


@attrs.frozen
class Site:
    """A project with its first environment and deployment.

    Attributes:
        project: The project.
        environment: Its environment.
        deployment: The environment's first deployment.
    """

    project: Project
    environment: Environment
    deployment: Deployment

    @property
    def url(self) -> str | None:
        """Absolute URL of the site; None while the service gives none."""
        return self.deployment.url

    def _repr_html_(self) -> str:
        facts: dict[str, _html.Cell] = {
            "site": _html.link(self.url),
            "status": status_badge(self.deployment.status),
            "environment": self.environment.name,
            "framework": self.environment.framework_preset,
            "created": _html.when(self.deployment.created_at),
            "project": _html.code(self.project.uid),
            "environment uid": _html.code(self.environment.uid),
            "deployment": _html.code(self.deployment.uid),
        }
        return _html.card(f"Site {self.project.name or self.project.uid}", facts)
