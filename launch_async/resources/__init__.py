"""The operations of the API, one module per section of its reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.resources.deploy_hooks import DeployHooks as DeployHooks
    from launch_async.resources.deployments import Deployments as Deployments
    from launch_async.resources.domains import Domains as Domains
    from launch_async.resources.environments import Environments as Environments
    from launch_async.resources.finding import FoundEnvironment as FoundEnvironment, FoundProject as FoundProject
    from launch_async.resources.pager import Pager as Pager
    from launch_async.resources.projects import Projects as Projects
    from launch_async.resources.uploads import Uploads as Uploads
    from launch_async.resources.usage import Usage as Usage
else:
    __getattr__, __dir__ = lazy(__name__)
