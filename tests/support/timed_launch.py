"""The emulator in virtual time: builds use the clock of the loop, so that hours take milliseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import attrs

from launch_async import LaunchClient
from launch_async.auth.access_token import AccessToken
from launch_async.emulator import Clock, InMemoryTransport, LaunchEmulator, LogLine
from launch_async.http import Request, Response
from launch_async.models import Deployment, DeploymentRef
from launch_async.rate_limit import RateLimiter, UnlimitedRateLimiter
from launch_async.wire.documents import structure
from tests.support.virtual_time import loop_time

PROJECT = "a" * 24
"""The UID of a project that does not exist."""


@attrs.frozen
class Line:
    """A line of a log: written `at` seconds after the loop's time 0, and readable `late` seconds later."""

    message: str
    at: float = 0.0
    late: float = 0.0
    stage: str = "BUILD"
    stamp: str | None = None


@attrs.frozen
class Build:
    """The times and the outcome of one deployment, in the loop's time."""

    created: float = 0.0
    begins: float = 0.0
    ends: float = 60.0
    outcome: str = "LIVE"
    lines: Sequence[Line] = ()
    running: str = "DEPLOYING"
    environment: int = 0


class Undated:
    """A transport that removes `Date` headers, because these tests measure fractions of seconds."""

    def __init__(self, transport: InMemoryTransport) -> None:
        self._transport = transport

    async def send(self, request: Request) -> Response:
        """Send a request."""
        answer = await self._transport.send(request)
        headers = {name: value for name, value in answer.headers.items() if name != "Date"}
        return Response(answer.status, headers, answer.body)

    async def close(self) -> None:
        """Do nothing."""


class Launch:
    """One project of an emulator in virtual time. Its builds and environments are known by their numbers.

    Args:
        builds: The deployments, from the beginning or later.
        bound: Whether a log's `timestamp` excludes the line of that moment.
        latency: Seconds for a request and its answer.
        server_lines: The server log of the first build.
        environments: The number of environments, if it is larger than the builds need.
        rate_limit: Accepted requests per second. None means no limit.
        is_dated: Whether answers have a `Date` header.
    """

    def __init__(
        self,
        builds: Iterable[Build] = (),
        *,
        bound: Literal["inclusive", "exclusive"] = "exclusive",
        latency: float = 0.05,
        server_lines: Iterable[Line] = (),
        environments: int = 1,
        rate_limit: int | None = None,
        is_dated: bool = False,
    ) -> None:
        self.builds = list(builds)
        self._is_dated = is_dated
        self.emulator = LaunchEmulator(
            port=None,
            clock=Clock(loop_time),
            log_bound=bound,
            latency=latency / 2,
            rate_limit=rate_limit,
            token_seconds=1e9,
        )
        self._start = self.emulator.clock.now()
        count = max([environments, *(build.environment + 1 for build in self.builds)])
        names = [f"environment-{number}" for number in range(count)]
        project = self.emulator.add_project("project", environments=names, git=True)
        self.project_uid = project.uid
        self.environment_uids = list(project.environments)
        self.uids = [self._add(build) for build in self.builds]
        for line in server_lines:
            self.emulator.add_server_log(self.uids[0], line.message, at=self._start + line.at, late=line.late)

    @property
    def beginning(self) -> datetime:
        """The time of the service at the loop's time 0."""
        return datetime.fromtimestamp(self._start, UTC)

    def client(self, limiter: RateLimiter | None = None) -> LaunchClient:
        """Return a client of this service."""
        return LaunchClient(
            AccessToken(self.emulator.access_token),
            base_url=self.emulator.url,
            transport=self.emulator.transport() if self._is_dated else Undated(self.emulator.transport()),
            limiter=limiter or UnlimitedRateLimiter(),
        )

    def ref(self, index: int) -> DeploymentRef:
        """Return a reference to one of the builds."""
        return DeploymentRef(self.project_uid, self.environment_uids[self.builds[index].environment], self.uids[index])

    def missing(self, environment: int = 0) -> DeploymentRef:
        """Return a reference to a deployment that does not exist."""
        return DeploymentRef(self.project_uid, self.environment_uids[environment], "f" * 24)

    def index(self, deployment_uid: str) -> int:
        """Return the number of a build."""
        return self.uids.index(deployment_uid)

    def deployment(self, index: int) -> Deployment:
        """Return the current state of a deployment."""
        ref = self.ref(index)
        shown = self.emulator._service.state.deployments[ref.deployment_uid].to_json()
        return attrs.evolve(
            structure(shown, Deployment), project_uid=ref.project_uid, environment_uid=ref.environment_uid
        )

    def begin(self, build: Build) -> None:
        """Add a deployment without a request."""
        self.builds.append(build)
        self.uids.append(self._add(build))

    def fail(self, *operations: str, status: int = 500) -> None:
        """Let operations fail until `recover` is called."""
        for operation in operations:
            self.emulator.faults.add("status_before", operation=operation, status=status)

    def recover(self) -> None:
        """Let all operations work again."""
        self.emulator.faults.clear()

    @property
    def seen(self) -> list[tuple[float, str, str]]:
        """Every request: its arrival time, its operation, and the deployment in its path."""
        return [
            (entry.arrival, entry.operation, (entry.path.strip("/").split("/")[5:6] or [""])[0])
            for entry in self.emulator.ledger.requests
        ]

    @property
    def asked(self) -> Counter[str]:
        """The number of requests for each operation."""
        return Counter(entry.operation for entry in self.emulator.ledger.requests)

    def _add(self, build: Build) -> str:
        return self.emulator.add_deployment(
            self.environment_uids[build.environment],
            build.outcome,
            seconds=build.ends - build.begins,
            queue_seconds=build.begins - build.created,
            lines=[
                LogLine(line.message, line.stage, at=line.at - build.begins, late=line.late, timestamp=line.stamp)
                for line in build.lines
            ],
            running_status=build.running,
            at=self._start + build.created,
        )
