"""`Watching`: wait for deployments and follow them, with shared polls for all callers of a client.

A wait returns a deployment that went live, superseded or not, and raises an error for any other end. A wait continues
after a failed poll, and ends when polls have failed for 60 s. The deployment continues in any case.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Self, TypeAlias

import attrs

from launch_async._breather import Breather
from launch_async._text import listed, shown_seconds
from launch_async.errors import DeploymentFailed, DeploymentsFailed, InvalidArgumentError, LaunchError, WaitTimeout
from launch_async.http.operation import check_callback, check_timeout, check_uid
from launch_async.http.pipeline import Pipeline
from launch_async.models.deployment import Deployment, DeploymentRef
from launch_async.models.log import LogLine, LogStage, ServerLogLine
from launch_async.models.page import Listed
from launch_async.resources.deployments import Deployments
from launch_async.watch.deployment_poller import DeploymentPoller
from launch_async.watch.following import Following, Logs
from launch_async.watch.log_cursor import LogCursor
from launch_async.watch.log_level import LogLevel, at_least, check_level
from launch_async.watch.merging import FollowedLine, merged
from launch_async.watch.poll_queue import PollQueue
from launch_async.watch.report import DeploymentReport, LogDigest
from launch_async.watch.server_tail import ServerTail
from launch_async.watch.task_scope import task_scope

__all__ = ["DeploymentLike", "Watching"]

DeploymentLike: TypeAlias = DeploymentRef | Deployment | str
"""A deployment: a reference, the deployment itself, or the JSON of a reference."""

_LOG: Final = logging.getLogger(__name__)
_MAKE_A_REFERENCE: Final = "A UID alone is not enough: pass DeploymentRef(project_uid, environment_uid, deployment_uid)"


@attrs.define
class _Seen:
    """The known states of the deployments that one call waits for.

    Attributes:
        states: The last state of each; None before the first poll.
        errors: The error of the last poll of each; None if the poll succeeded.
    """

    states: dict[DeploymentRef, Deployment | None]
    errors: dict[DeploymentRef, LaunchError | None] = attrs.field(factory=dict[DeploymentRef, "LaunchError | None"])

    @classmethod
    def of(cls, targets: Iterable[Deployment | DeploymentRef]) -> Self:
        """Return the states that are known before the first poll."""
        return cls({_ref_of(target): target if isinstance(target, Deployment) else None for target in targets})

    @property
    def last_error(self) -> LaunchError | None:
        """The error of the last poll of a deployment that has not ended; None if these polls succeeded."""
        return next((error for ref in self._late if (error := self.errors.get(ref)) is not None), None)

    @property
    def _late(self) -> dict[DeploymentRef, Deployment | None]:
        return {ref: last for ref, last in self.states.items() if last is None or not last.status.is_final}

    def too_late(self, timeout: float) -> WaitTimeout:
        """Return the error of a wait whose deadline has passed. Raise it from `last_error`."""
        late = self._late
        named = [f"{ref.deployment_uid} ({last.status if last else 'status unknown'})" for ref, last in late.items()]
        subject = "The deployment" if len(self.states) == 1 else f"{len(named)} of {len(self.states)} deployments"
        why = f"The last poll failed: {self.last_error}. " if self.last_error is not None else ""
        return WaitTimeout(
            f"{subject} did not end within {shown_seconds(timeout)}: {listed(named, 3)}. {why}"
            "The build continues at the service. Wait again with the same reference",
            last=next((last for last in late.values() if last is not None), None),
        )


class Watching:
    """Waits and followed logs of a client. It has nothing to close."""

    def __init__(self, pipeline: Pipeline, deployments: Deployments) -> None:
        self._queue = PollQueue(pipeline, deployments)
        self._poller = DeploymentPoller(self._queue)
        self._logs = Logs(self._poller)

    def learn_builds(self, project_uid: str, environment_uid: str, listed: Sequence[Deployment]) -> None:
        """Learn from an environment's newest deployments how long its builds take. The next wait does not list them."""
        self._poller.learn_builds((project_uid, environment_uid), listed)

    async def poll_once(self, ref: DeploymentLike) -> Deployment:
        """Return the state of a deployment now."""
        return await self._queue.deployment(_ref_of(_target(ref)))

    async def wait(
        self,
        ref: DeploymentLike,
        *,
        timeout: float = 3600.0,
        on_update: Callable[[Deployment], object] | None = None,
        urgent: bool = False,
        expected: float | None = None,
    ) -> Deployment:
        """Wait until a deployment has succeeded, and return it.

        `urgent` and `expected` have the meaning that `DeploymentPoller.watching` documents.
        """
        check_timeout(timeout)
        check_callback(on_update=on_update)
        target = _target(ref)
        seen, scope = _Seen.of([target]), asyncio.timeout(timeout)
        try:
            async with scope:
                ended = await self._end(target, seen, on_update, urgent=urgent, expected=expected)
        except TimeoutError:
            if not scope.expired():
                raise
            raise seen.too_late(timeout) from seen.last_error
        if not ended.status.is_success:
            raise DeploymentFailed(await self._report(ended))
        return ended

    async def watch(
        self,
        ref: DeploymentLike,
        *,
        on_log: Callable[[LogLine], object] | None = None,
        on_update: Callable[[Deployment], object] | None = None,
        timeout: float = 3600.0,
    ) -> Deployment:
        """Wait for a deployment to succeed, and pass every line of its log to `on_log`."""
        if on_log is None:
            return await self.wait(ref, timeout=timeout, on_update=on_update)
        check_timeout(timeout)
        target = _target(ref)
        seen, digest, scope = _Seen.of([target]), LogDigest(), asyncio.timeout(timeout)
        following = Following(self._logs, target, LogCursor())
        try:
            async with scope, contextlib.aclosing(following.events()) as events:
                async for event in events:
                    if isinstance(event, LogLine):
                        digest.add(event)
                        on_log(event)
                        continue
                    seen.states[event.ref] = event
                    if on_update is not None:
                        on_update(event)
        except TimeoutError:
            if not scope.expired():
                raise
        # The end of the deployment is known even if the time-out came while the SDK read the last lines.
        ended = seen.states[_ref_of(target)]
        if ended is None or not ended.status.is_final:
            seen.errors[_ref_of(target)] = following.last_error
            raise seen.too_late(timeout) from seen.last_error
        if not ended.status.is_success:
            raise DeploymentFailed(digest.report(ended))
        return ended

    async def wait_all(
        self, refs: Iterable[DeploymentLike], *, timeout: float = 3600.0, return_failures: bool = False
    ) -> list[Deployment]:
        """Wait until all deployments have ended, and return them in the given order."""
        targets = _targets(refs)
        async with contextlib.aclosing(self._ends(targets, timeout)) as ends:
            ended = {ref: deployment async for ref, deployment in ends}
        ordered = Listed(ended[_ref_of(target)] for target in targets)
        failed = [deployment for deployment in dict.fromkeys(ordered) if not deployment.status.is_success]
        if failed and not return_failures:
            reports = await asyncio.gather(*(self._report(deployment) for deployment in failed))
            raise DeploymentsFailed(reports, ordered)
        return ordered

    async def as_completed(
        self, refs: Iterable[DeploymentLike], *, timeout: float = 3600.0
    ) -> AsyncGenerator[Deployment, None]:
        """Yield each deployment when it has ended, with success or failure."""
        async with contextlib.aclosing(self._ends(_targets(refs), timeout)) as ends:
            async for _, deployment in ends:
                yield deployment

    async def follow_logs(
        self,
        ref: DeploymentLike,
        *,
        cursor: LogCursor | str | None = None,
        stage: LogStage | str | None = None,
        level: LogLevel | None = None,
    ) -> AsyncGenerator[LogLine, None]:
        """Yield each line of a build log once, until the deployment has ended and no lines are left."""
        check_level(level)
        place = LogCursor.from_json(cursor) if isinstance(cursor, str) else cursor or LogCursor()
        following = Following(self._logs, _target(ref), place)
        async with contextlib.aclosing(following.events()) as events:
            async for event in events:
                if isinstance(event, LogLine) and _is_wanted(event, stage, level):
                    yield event

    async def follow_all(
        self, refs: Iterable[DeploymentLike], *, stage: LogStage | str | None = None, level: LogLevel | None = None
    ) -> AsyncGenerator[FollowedLine, None]:
        """Yield each line of several build logs once. Lines that arrive together are in time order."""
        check_level(level)
        targets = {_ref_of(target): target for target in _targets(refs)}

        def source(ref: DeploymentRef) -> AsyncGenerator[Deployment | LogLine, None]:
            return Following(self._logs, targets[ref], LogCursor()).events()

        async with contextlib.aclosing(merged(targets, source)) as lines:
            async for followed in lines:
                if _is_wanted(followed.line, stage, level):
                    yield followed

    async def tail_server_logs(
        self, ref: DeploymentLike, *, since: datetime | timedelta | None = None, until: datetime | None = None
    ) -> AsyncGenerator[ServerLogLine, None]:
        """Yield each line of a server log once, without an end or until a moment."""
        server_tail = ServerTail(self._queue, _ref_of(_target(ref)), since=since, until=until)
        async with contextlib.aclosing(server_tail.lines()) as lines:
            async for line in lines:
                yield line

    async def _end(
        self,
        target: Deployment | DeploymentRef,
        seen: _Seen,
        on_update: Callable[[Deployment], object] | None = None,
        *,
        urgent: bool = False,
        expected: float | None = None,
    ) -> Deployment:
        """Wait until a deployment has ended, with success or failure, and return it. Keep its last state in `seen`."""
        with self._poller.watching(target, urgent=urgent, expected=expected) as watched:
            version = 0
            while True:
                try:
                    deployment = await watched.next_state(version)
                finally:
                    seen.errors[watched.ref] = watched.last_error
                version = watched.version
                seen.states[watched.ref] = deployment
                if on_update is not None:
                    on_update(deployment)
                if deployment.status.is_final:
                    return deployment

    async def _ends(
        self, targets: Sequence[Deployment | DeploymentRef], timeout: float
    ) -> AsyncGenerator[tuple[DeploymentRef, Deployment], None]:
        """Yield each of several deployments when it has ended."""
        seen = _Seen.of(targets)
        queue: asyncio.Queue[tuple[DeploymentRef, Deployment | Exception]] = asyncio.Queue()
        errors: list[Exception] = []

        async def one(target: Deployment | DeploymentRef) -> None:
            try:
                outcome: Deployment | Exception = await self._end(target, seen)
            except Exception as error:  # noqa: BLE001, RUF100 - it is raised by the iterator
                outcome = error
            queue.put_nowait((_ref_of(target), outcome))

        check_timeout(timeout)
        deadline = asyncio.get_running_loop().time() + timeout
        distinct = {_ref_of(target): target for target in targets}
        is_late = False
        async with task_scope(one(target) for target in distinct.values()):
            for _ in distinct:
                try:
                    async with asyncio.timeout_at(deadline):
                        ref, outcome = await queue.get()
                except TimeoutError:
                    is_late = True
                    break
                if isinstance(outcome, Deployment):
                    yield ref, outcome
                else:
                    errors.append(outcome)
        if is_late:
            raise seen.too_late(timeout) from seen.last_error
        if errors:
            errors[0].add_note(f"The SDK could not poll {len(errors)} of {len(distinct)} deployments")
            raise errors[0]

    async def _report(self, deployment: Deployment) -> DeploymentReport:
        """Return the report of a deployment that has ended. It has no log lines if the log cannot be read."""
        digest, breather = LogDigest(), Breather()
        try:
            for line in await self._queue.log(deployment.ref, None):
                digest.add(line)
                await breather.breathe()
        except LaunchError as error:
            _LOG.warning(
                "The log of deployment %s cannot be read, so the report has no log lines: %s", deployment.uid, error
            )
        return digest.report(deployment)


def _target(ref: DeploymentLike) -> Deployment | DeploymentRef:
    """Check that the argument identifies a deployment, and return it."""
    target = _from_text(ref) if isinstance(ref, str) else ref
    if not isinstance(target, Deployment | DeploymentRef):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(
            "ref", f"must be a Deployment, a DeploymentRef or its JSON, not {type(target).__name__}"
        )
    place = _ref_of(target)
    for name in ("project_uid", "environment_uid", "deployment_uid"):
        check_uid(f"ref.{name}", getattr(place, name))
    return target


def _from_text(text: str) -> DeploymentRef:
    try:
        return DeploymentRef.from_json(text)
    except ValueError:
        is_json = text.lstrip().startswith(("{", "["))
        problem = "must be the JSON from DeploymentRef.to_json()"
        raise InvalidArgumentError("ref", problem if is_json else f"{problem}. {_MAKE_A_REFERENCE}") from None


def _targets(refs: Iterable[DeploymentLike]) -> list[Deployment | DeploymentRef]:
    if isinstance(refs, str) or not isinstance(refs, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(
            "refs", f"must be a list of deployments or references, not one {type(refs).__name__}"
        )
    return [_target(ref) for ref in refs]


def _ref_of(target: Deployment | DeploymentRef) -> DeploymentRef:
    return target.ref if isinstance(target, Deployment) else target


def _is_wanted(line: LogLine, stage: LogStage | str | None, level: LogLevel | None) -> bool:
    return (stage is None or line.stage == stage) and (level is None or at_least(line.message, level))
