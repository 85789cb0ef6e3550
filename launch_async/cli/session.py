"""Makes the client of one command from the environment, the options before the command, or the stored login."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import attrs
import click

from launch_async.auth.tokens import Authtoken
from launch_async.cli.kept_login import kept_login
from launch_async.cli.output import Output
from launch_async.cli.shell import CommandError
from launch_async.errors import ConfigurationError, LaunchError

if TYPE_CHECKING:
    from launch_async.resources.finding import FoundEnvironment
    from launch_sync import DeploymentRef, LaunchClient

__all__ = ["Session", "log_to_standard_error", "pass_session"]

R = TypeVar("R")


@attrs.define
class Session:
    """The options before a command, and the client that they make.

    Attributes:
        output: The output of the command.
        region: Name of the region; None for the value of the environment.
        organization_uid: UID of the organization; None for the value of the environment.
        base_url: Address of the API; None for the value of the environment.
        requests_per_second: Requests per second that the plan of the organization allows; None for 10.
    """

    output: Output = attrs.field(factory=Output)
    region: str | None = None
    organization_uid: str | None = None
    base_url: str | None = None
    requests_per_second: int | None = None
    _client: LaunchClient | None = None
    _exits: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)

    @property
    def client(self) -> LaunchClient:
        """The client. The first use opens it, and `close` closes it."""
        if self._client is None:
            self._client = self._exits.enter_context(self._open())
        return self._client

    def close(self) -> None:
        """Close the client if it is open."""
        self._exits.close()

    def use(self, client: LaunchClient) -> None:
        """Use a client of the caller, who also closes it."""
        self._client = client

    def find(self, project: str, environment: str) -> FoundEnvironment:
        """Return the UIDs of an environment, given by names, globs or UIDs."""
        return self.client.find(project, environment)

    def find_deployment(self, project: str, environment: str, deployment_uid: str | None) -> DeploymentRef:
        """Return the deployment with a UID, or the newest deployment of an environment."""
        from launch_sync import DeploymentRef

        found = self.find(project, environment)
        if deployment_uid is not None:
            return DeploymentRef(found.project_uid, found.environment_uid, deployment_uid)
        page = self.client.deployments.list(found.project_uid, found.environment_uid).page()
        if not page:
            raise click.UsageError(f"The environment {project}/{environment} has no deployment yet.")
        return max(page, key=lambda deployment: deployment.deployment_number or 0).ref

    def _open(self) -> LaunchClient:
        from launch_sync import LaunchClient, RateLimit

        settings: dict[str, object] = {
            "region": self.region,
            "base_url": self.base_url,
            "organization_uid": self.organization_uid,
        }
        options = {} if self.requests_per_second is None else {"rate_limit": RateLimit(self.requests_per_second)}
        try:
            return LaunchClient.from_env(**settings, **options)  # type: ignore[arg-type]
        except ConfigurationError:
            kept = kept_login()
            if kept is None:
                raise
        settings["organization_uid"] = self.organization_uid or kept.organization_uid
        settings["region"] = self.region or kept.region
        return LaunchClient.from_env(Authtoken(kept.authtoken), **settings, **options)  # type: ignore[arg-type]


def pass_session(function: Callable[..., R]) -> Callable[..., R]:
    """Pass the session to a command as the first argument. An error of the SDK becomes a `CommandError`."""

    @functools.wraps(function)
    def with_session(*given: object, **options: object) -> R:
        context = click.get_current_context()
        try:
            return function(context.obj, *given, **options)
        except LaunchError as error:
            raise CommandError(error, context.command) from error

    return with_session


def log_to_standard_error(level: str) -> None:
    """Write the SDK's log to standard error."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=level.upper())
