"""`DeploymentPoller`: shared polls for all callers that wait for deployments of an environment.

The SDK runs no background task. The caller whose poll is due first sends the poll, and all other callers share the
result. If that caller is cancelled, another caller polls. One listing covers several deployments of an environment.
The first poll of a deployment is also a listing, because a listing shows how long earlier builds took. A call that has
listed the deployments right before it created one passes this listing on instead (`DeploymentPoller.learn_builds`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Generator, Iterable
from typing import Final

import attrs

from launch_async._text import without_escapes
from launch_async.errors import LaunchError
from launch_async.models.deployment import Deployment, DeploymentRef, DeploymentStatus
from launch_async.watch.poll_queue import PollQueue
from launch_async.watch.report import build_lengths
from launch_async.watch.schedule import Durations, FailureStreak, fair_interval, until_next_poll

__all__ = ["DeploymentPoller", "PolledDeployment"]

_LOG: Final = logging.getLogger(__name__)
_SMALL_PAGE_SIZE: Final = 10
_PAGE_SIZE: Final = 100
_MAX_ENVIRONMENTS: Final = 256
_NEW_DEPLOYMENT_S: Final = 5.0
_RECOMPUTE_S: Final = 1.0
_FIRST_POLL_SHARE: Final = 0.6
_LISTING_TIMEOUT_S: Final = 5.0
"""Maximum seconds between sending a listing and its response. A listing only saves requests, so it is not worth a long
wait."""

_LISTING_PAUSE_S: Final = 60.0
"""Seconds between a failed listing and the next attempt."""


class DeploymentPoller:
    """The deployments that a client polls now, and the build times of their environments.

    Attributes:
        polls: The queue that sends the requests.
        going: The polled deployments that have no known end.
    """

    def __init__(self, polls: PollQueue) -> None:
        self.polls = polls
        self.going: set[PolledDeployment] = set()
        self._environments: dict[tuple[str, str], _Environment] = {}
        self._durations: dict[tuple[str, str], Durations] = {}
        self._unknown: set[DeploymentStatus] = set()

    @contextlib.contextmanager
    def watching(
        self, target: Deployment | DeploymentRef, *, urgent: bool = False, expected: float | None = None
    ) -> Generator[PolledDeployment, None, None]:
        """Share the polls of a deployment with all callers that are in this context.

        Args:
            target: The deployment, or a reference to it. A deployment that was created just now is polled later, if
                many deployments share the budget.
            urgent: Whether to find its end as soon as the budget allows.
            expected: Seconds that its build probably takes. It is used until builds of the environment are known.
        """
        ref = target.ref if isinstance(target, Deployment) else target
        place = (ref.project_uid, ref.environment_uid)
        if place not in self._environments:
            self._environments[place] = _Environment(self, place, self._durations_of(place))
        environment = self._environments[place]
        if ref.deployment_uid not in environment.watched:
            environment.watched[ref.deployment_uid] = PolledDeployment(ref, environment)
            self.going.add(environment.watched[ref.deployment_uid])
        watched = environment.watched[ref.deployment_uid]
        watched.watchers += 1
        watched.urgent += urgent
        if expected is not None:
            environment.assume(expected)
        if isinstance(target, Deployment) and watched.deployment is None:
            watched.begin(target)
        try:
            yield watched
        finally:
            watched.watchers -= 1
            watched.urgent -= urgent
            if not watched.watchers:
                environment.watched.pop(ref.deployment_uid, None)
                self.going.discard(watched)
            if not environment.watched:
                self._environments.pop(place, None)

    @property
    def interval(self) -> float:
        """Minimum seconds between two polls of one deployment, so that all polls together stay within the budget."""
        return fair_interval(len(self.going), self.polls.rate)

    def note(self, deployment: Deployment) -> None:
        """Log a warning once for each unknown status. The deployment counts as running."""
        if not deployment.status.is_known and deployment.status not in self._unknown:
            self._unknown.add(deployment.status)
            _LOG.warning(
                "Deployment %s has the unknown status %r. The SDK treats it as running until the status changes",
                deployment.uid,
                str(deployment.status),
                extra={"deployment_uid": deployment.uid, "status": str(deployment.status)},
            )

    def learn_builds(self, place: tuple[str, str], listed: Iterable[Deployment]) -> None:
        """Learn the build times of an environment from its newest deployments, for the next caller that waits."""
        durations = self._durations_of(place)
        for uid, seconds in build_lengths(listed).items():
            durations.add(uid, seconds)
        durations.are_current = True

    def _durations_of(self, place: tuple[str, str]) -> Durations:
        durations = self._durations.pop(place, None) or Durations()
        self._durations[place] = durations
        if len(self._durations) > _MAX_ENVIRONMENTS:
            del self._durations[next(iter(self._durations))]
        return durations


@attrs.define(eq=False)
class PolledDeployment:
    """One polled deployment and its last known state.

    Attributes:
        ref: Reference to the deployment.
        deployment: Its last known state; None before the first poll.
        version: Number of times that the state has changed.
        failure: The error that ended the polls; None while polls continue.
        watchers: Number of callers that wait for the deployment.
        urgent: Number of callers that asked for `urgent` polls.
        polled_at: When its last poll began, in the loop's time.
    """

    ref: DeploymentRef
    _environment: _Environment
    deployment: Deployment | None = None
    version: int = 0
    failure: LaunchError | None = None
    watchers: int = 0
    urgent: int = 0
    polled_at: float = float("-inf")
    _known_at: float | None = None
    _known_age: float = 0.0
    _pause: float | None = None
    _failures: FailureStreak = attrs.field(factory=FailureStreak)

    @property
    def is_over(self) -> bool:
        """Whether the deployment has ended, or cannot be polled."""
        return self.failure is not None or (self.deployment is not None and self.deployment.status.is_final)

    @property
    def last_error(self) -> LaunchError | None:
        """The error of the last poll; None if the poll succeeded."""
        return self._failures.last

    @property
    def age(self) -> float:
        """Seconds since the deployment was created; 0 if the time of creation is not known."""
        created = self.deployment.created_at if self.deployment else None
        return max(0.0, (self._environment.poller.polls.now - created).total_seconds()) if created else 0.0

    @property
    def due(self) -> float:
        """When the next poll is due for a caller that only waits for the end, in the loop's time.

        Polls become more frequent when other deployments end, because fewer deployments then share the budget.
        """
        if self._known_at is None:
            return 0.0
        if self._pause is not None:
            return self._known_at + max(self._pause, self._interval)
        expected, urgent, interval = self._environment.durations.expected, self.urgent > 0, self._interval
        if expected is None and math.isinf(self.polled_at):
            # The first poll shows how long builds take, so it must come early in the build.
            interval *= _FIRST_POLL_SHARE
        return self._known_at + until_next_poll(self._known_age, expected, interval=interval, urgent=urgent)

    async def next_state(self, seen: int) -> Deployment:
        """Poll whenever a poll is due, and return the state when its version is not `seen`."""
        loop = asyncio.get_running_loop()
        while True:
            if self.deployment is not None and self.version != seen:
                return self.deployment
            if self.failure is not None:
                raise self.failure
            due, now = self.due, loop.time()
            if now < due:
                # The poll can become due earlier when other deployments end.
                await self.wait_for_change(seen, until=min(due, now + max(_RECOMPUTE_S, self._interval / 4)))
            else:
                await self.poll(since=due)

    async def wait_for_change(self, seen: int, *, until: float) -> None:
        """Wait until a moment of the loop's time, or until any caller's poll brings a state other than `seen`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while self.version == seen and self.failure is None:
                    await self._environment.news.wait()

    async def poll(self, *, since: float) -> None:
        """Poll the deployment, unless any caller has polled it at `since` (the loop's time) or later."""
        while self.polled_at < since and not self.is_over:
            await self._environment.poll()

    def begin(self, deployment: Deployment) -> None:
        """Record the state that a caller passed. The state is current if the deployment was created just now.

        If few deployments share the budget, the SDK lists the deployments immediately, because that can find an early
        failure, and shows how long builds take. It does not do so if a listing was read right before the creation.
        """
        self.learn(deployment)
        is_fresh = deployment.created_at is not None and self.age < _NEW_DEPLOYMENT_S
        if is_fresh and (self._environment.was_listed or self._environment.poller.interval >= _RECOMPUTE_S):
            self._plan_next_poll()

    def learn(self, deployment: Deployment) -> None:
        """Record a state."""
        self._environment.poller.note(deployment)
        if deployment != self.deployment:
            self.deployment = deployment
            self.version += 1
        if self.is_over:
            self._environment.poller.going.discard(self)

    def after_poll(self, began: float, outcome: Deployment | LaunchError) -> None:
        """Record the outcome of a poll, and plan the next poll."""
        self.polled_at = began
        if isinstance(outcome, Deployment):
            self._failures.clear()
            self.learn(outcome)
            self._plan_next_poll()
        elif self._failures.is_final(outcome, asyncio.get_running_loop().time()):
            self.failure = outcome
            self._environment.poller.going.discard(self)
            uid = self.ref.deployment_uid
            last = self.deployment and without_escapes(self.deployment.status)
            known = f"Deployment {uid} was last {last}. It" if last else f"If deployment {uid} exists, it"
            outcome.add_note(f"{known} continues at the service")
        else:
            self._plan_next_poll(self._failures.delay)
            _LOG.info("A poll of deployment %s failed; the SDK tries again: %s", self.ref.deployment_uid, outcome)

    @property
    def _interval(self) -> float:
        return self._environment.poller.interval

    def _plan_next_poll(self, pause: float | None = None) -> None:
        self._known_at, self._known_age = asyncio.get_running_loop().time(), self.age
        self._pause = pause


class _Environment:
    """The watched deployments of one environment. At most one poll at a time runs for all of them.

    Attributes:
        was_listed: Whether the newest deployments were listed right before the first of the watched ones was created.
    """

    def __init__(self, poller: DeploymentPoller, place: tuple[str, str], durations: Durations) -> None:
        self.poller = poller
        self.durations = durations
        self.watched: dict[str, PolledDeployment] = {}
        self.news = asyncio.Event()
        self._place = place
        self._polling: asyncio.Event | None = None
        self.was_listed = durations.are_current
        durations.are_current = False
        self._is_listed = self.was_listed
        self._listing_is_useful = True
        self._lists_again_at = float("-inf")

    def assume(self, seconds: float) -> None:
        """Record how long builds probably take, so that the first poll does not need to find out."""
        if self.durations.expected is None:
            self.durations.add("", seconds)
            self._is_listed = True

    async def poll(self) -> None:
        """Poll every watched deployment that has not ended, or wait until a running poll has ended."""
        if self._polling is not None:
            await self._polling.wait()
            return
        polling = self._polling = asyncio.Event()
        try:
            await self._poll()
        finally:
            self._polling = None
            polling.set()
            self.news.set()
            self.news = asyncio.Event()

    async def _poll(self) -> None:
        began = asyncio.get_running_loop().time()
        open_ones = [one for one in self.watched.values() if not one.is_over]
        wants_listing = not self._is_listed or (len(open_ones) > 1 and self._listing_is_useful)
        listed = await self._list(len(open_ones)) if wants_listing and began >= self._lists_again_at else {}
        for one in open_ones:
            found = listed.get(one.ref.deployment_uid)
            one.after_poll(began, found or await self._single(one))

    async def _list(self, wanted: int) -> dict[str, Deployment]:
        """Return the listed deployments; none after an error, because each deployment can also be polled separately."""
        limit = _PAGE_SIZE if wanted > 1 else _SMALL_PAGE_SIZE
        try:
            page = await self.poller.polls.newest(*self._place, limit=limit, response_timeout=_LISTING_TIMEOUT_S)
        except LaunchError as error:
            self._lists_again_at = asyncio.get_running_loop().time() + _LISTING_PAUSE_S
            _LOG.info(
                "The deployments of environment %s cannot be listed now; the SDK polls each deployment: %s",
                self._place[1],
                error,
            )
            return {}
        listed = {one.uid: one for one in page}
        self._is_listed = True
        if wanted > 1:
            self._listing_is_useful = len(listed.keys() & self.watched.keys()) > 1
        for uid, seconds in build_lengths(listed.values()).items():
            self.durations.add(uid, seconds)
        return listed

    async def _single(self, one: PolledDeployment) -> Deployment | LaunchError:
        try:
            return await self.poller.polls.deployment(one.ref)
        except LaunchError as error:
            return error
