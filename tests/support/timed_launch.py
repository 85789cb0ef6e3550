"""A Launch in virtual time, as a `Transport`: builds run on the loop's clock, so that hours take milliseconds."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import attrs

from launch_async import LaunchClient
from launch_async.auth.tokens import AccessToken
from launch_async.http import Request, Response
from launch_async.models import Deployment, DeploymentRef
from launch_async.rate_limit import RateLimiter, UnlimitedRateLimiter
from launch_async.wire.converter import structure

PROJECT = "a" * 24
_REFUSAL = b'{"errors":[{"code":"launch.ERROR","message":"no"}]}'


@attrs.frozen
class Line:
    """A line of a log: written `at` seconds of the loop's time, readable `late` seconds after that."""

    message: str
    at: float = 0.0
    late: float = 0.0
    stage: str = "BUILD"
    stamp: str | None = None


@attrs.define
class Build:
    """The course of one deployment in the loop's time."""

    created: float = 0.0
    begins: float = 0.0
    ends: float = 60.0
    outcome: str = "LIVE"
    lines: list[Line] = attrs.field(factory=list[Line])
    running: str = "DEPLOYING"
    environment: int = 0

    def status(self, now: float) -> tuple[str, float]:
        """Return the status, and since when."""
        if now >= self.ends:
            return self.outcome, self.ends
        return (self.running, self.begins) if now >= self.begins else ("QUEUED", self.created)


@attrs.define
class Launch:
    """The service: give it builds, ask `seen` what it was asked."""

    builds: list[Build] = attrs.field(factory=list[Build])
    bound: Literal["inclusive", "exclusive"] = "exclusive"
    latency: float = 0.05
    seen: list[tuple[float, str, str]] = attrs.field(factory=list[tuple[float, str, str]])
    failing: dict[str, int] = attrs.field(factory=dict[str, int])
    """Status codes that operations answer with now."""
    server_lines: list[Line] = attrs.field(factory=list[Line])
    beginning: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    """What the loop's time 0 is at the service."""

    def client(self, limiter: RateLimiter | None = None) -> LaunchClient:
        """Return a client of this service."""
        client = LaunchClient(
            AccessToken("token"),
            base_url="http://127.0.0.1:1",
            transport=self,
            limiter=limiter or UnlimitedRateLimiter(),
        )
        # It would read this machine's clock, on which time goes by although none does here.
        client._watching._queue._started = self.beginning.timestamp(), 0.0
        return client

    def ref(self, index: int) -> DeploymentRef:
        """Return a reference to one of the builds."""
        return DeploymentRef(PROJECT, f"{self.builds[index].environment:024x}", f"{index:024x}")

    def deployment(self, index: int, now: float) -> Deployment:
        """Return one of the deployments as it is at a moment of the loop's time."""
        found = structure(self._deployment(index, now), Deployment)
        ref = self.ref(index)
        return attrs.evolve(found, project_uid=ref.project_uid, environment_uid=ref.environment_uid)

    @property
    def asked(self) -> Counter[str]:
        """How often each operation was asked."""
        return Counter(operation for _, operation, _ in self.seen)

    async def send(self, request: Request) -> Response:
        """Answer one request."""
        await asyncio.sleep(self.latency)
        now = asyncio.get_running_loop().time()
        url = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        segments = url.path.strip("/").split("/")
        self.seen.append((now, request.operation, segments[5] if len(segments) > 5 else ""))
        if (status := self.failing.get(request.operation)) is not None:
            return Response(status, body=_REFUSAL)
        if len(segments) > 5 and int(segments[5], 16) >= len(self.builds):
            return Response(404, body=_REFUSAL)
        if request.operation == "listDeployments":
            document = self._page(int(segments[3], 16), now, int(query.get("limit", 10)))
        elif request.operation == "getDeployment":
            document = {"deployment": self._deployment(int(segments[5], 16), now)}
        elif request.operation == "getServerLogs":
            document = {"logs": self._server_log(int(query["startTime"]), int(query["endTime"]), now)}
        else:
            document = {"deploymentLogs": self._log(self.builds[int(segments[5], 16)], now, query.get("timestamp"))}
        return Response(200, body=json.dumps(document).encode())

    async def close(self) -> None:
        """Do nothing."""

    def _page(self, environment: int, now: float, limit: int) -> dict[str, object]:
        own = [
            index
            for index, build in enumerate(self.builds)
            if build.environment == environment and build.created <= now
        ]
        page = [self._deployment(index, now) for index in own[::-1][:limit]]
        return {"pagination": {"count": len(own), "limit": limit, "skip": None}, "deployments": page}

    def _deployment(self, index: int, now: float) -> dict[str, object]:
        build = self.builds[index]
        status, since = build.status(now)
        return {
            "uid": f"{index:024x}",
            "status": status,
            "deploymentNumber": index + 1,
            "createdAt": self._moment(build.created),
            "updatedAt": self._moment(since),
        }

    def _log(self, build: Build, now: float, after: str | None) -> list[dict[str, object]]:
        bound = datetime.fromisoformat(after) if after else None
        found: list[dict[str, object]] = []
        for line in sorted(build.lines, key=lambda line: line.at):
            stamp = datetime.fromisoformat(self._moment(line.at))
            beyond = bound is None or stamp > bound or (self.bound == "inclusive" and stamp == bound)
            if line.at + line.late <= now and beyond:
                written = self._moment(line.at) if line.stamp is None else line.stamp
                found.append({"message": line.message, "stage": line.stage, "timestamp": written})
        return found

    def _server_log(self, start: int, end: int, now: float) -> list[dict[str, object]]:
        return [
            {"message": line.message, "source": "server", "timestamp": self._moment(line.at)}
            for line in self.server_lines
            if line.at + line.late <= now
            and start <= datetime.fromisoformat(self._moment(line.at)).timestamp() * 1000 <= end
        ]

    def _moment(self, seconds: float) -> str:
        moment = self.beginning + timedelta(seconds=seconds)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
