"""`Site`: the project, environment and deployment that `create_site` creates."""

from __future__ import annotations

import attrs

from launch_async._views import Displayable
from launch_async.models.deployment import Deployment
from launch_async.models.environment import Environment
from launch_async.models.project import Project

__all__ = ["Site"]


@attrs.frozen
class Site(Displayable):
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
        """Absolute URL of the site; None if the service has not assigned one yet."""
        return self.deployment.url
