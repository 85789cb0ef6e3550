"""`DeploymentPoller`: shared polls for all callers that wait for deployments of an environment.

There is no task in the background. Whoever's poll is due first makes it, everybody else takes part in the result, and
if that one is cancelled another one polls. Several deployments of an environment are covered by one listing; so is
the first poll of any, because the listing also says how long earlier builds took.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Generator
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
_FIRST_PAGE: Final = 10
_PAGE: Final = 100
_REMEMBERED: Final = 256
_FRESH: Final = 5.0
_RETHINK: Final = 1.0
_FIRST_ROUND: Final = 0.6
_LISTING_PATIENCE: Final = 5.0
"""Seconds that a listing may take once it is sent: it only saves requests, and nobody waits longer for that."""

_LISTING_REST: Final = 60.0
"""Seconds after a listing that has failed, until another one is tried."""


class DeploymentPoller:
    """The deployments that a client polls now, and how long the builds of their environments take.

    Attributes:
        polls: The requests.
        going: Those that have not ended, as far as is known.
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
        """Share what is known about a deployment for as long as somebody is in this context.

        Args:
            target: The deployment, or what names it. One that was created just now is not polled at once.
            urgent: Whether its end is wanted as soon as the budget allows.
            expected: Seconds that its build probably takes, where its environment has told nothing yet.
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
            environment.suppose(expected)
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
        """The least seconds between two polls of one deployment, so that all together keep within the budget."""
        return fair_interval(len(self.going), self.polls.rate)

    def note(self, deployment: Deployment) -> None:
        """Warn of a status that nobody knows, once: the deployment counts as running (FACTS §6)."""
        if not deployment.status.is_known and deployment.status not in self._unknown:
            self._unknown.add(deployment.status)
            _LOG.warning(
                "Deployment %s has the unknown status %r. The SDK treats it as running until the status changes",
                deployment.uid,
                str(deployment.status),
                extra={"deployment_uid": deployment.uid, "status": str(deployment.status)},
            )

    def _durations_of(self, place: tuple[str, str]) -> Durations:
        durations = self._durations.pop(place, None) or Durations()
        self._durations[place] = durations
        if len(self._durations) > _REMEMBERED:
            del self._durations[next(iter(self._durations))]
        return durations


@attrs.define(eq=False)
class PolledDeployment:
    """What is known about one deployment that is polled.

    Attributes:
        ref: Names the deployment.
        deployment: Its last known state; None before the first poll.
        version: Counts the states that were different from the one before.
        failure: Why nobody polls any more, if looking has failed for good.
        watchers: How many are interested.
        urgent: How many of them are in a hurry.
        looked_at: When the last poll of it began, in the loop's time.
    """

    ref: DeploymentRef
    _environment: _Environment
    deployment: Deployment | None = None
    version: int = 0
    failure: LaunchError | None = None
    watchers: int = 0
    urgent: int = 0
    looked_at: float = float("-inf")
    _known_at: float | None = None
    _known_age: float = 0.0
    _pause: float | None = None
    _failures: FailureStreak = attrs.field(factory=FailureStreak)

    @property
    def is_over(self) -> bool:
        """Whether the deployment has ended, or cannot be polled."""
        return self.failure is not None or (self.deployment is not None and self.deployment.status.is_final)

    @property
    def setback(self) -> LaunchError | None:
        """Why the last poll has failed; None if it has not."""
        return self._failures.last

    @property
    def age(self) -> float:
        """Seconds since the deployment was created; 0 if that is not known."""
        created = self.deployment.created_at if self.deployment else None
        return max(0.0, (self._environment.poller.polls.now - created).total_seconds()) if created else 0.0

    @property
    def due(self) -> float:
        """When somebody who only waits for its end should poll again, in the loop's time.

        The fewer deployments go on, the sooner: what the others no longer need is there for this one.
        """
        if self._known_at is None:
            return 0.0
        if self._pause is not None:
            return self._known_at + max(self._pause, self._interval)
        expected, urgent, interval = self._environment.durations.expected, self.urgent > 0, self._interval
        if expected is None and math.isinf(self.looked_at):
            # This poll finds out how long builds take, so it is made while they are young.
            interval *= _FIRST_ROUND
        return self._known_at + until_next_poll(self._known_age, expected, interval=interval, urgent=urgent)

    async def next_state(self, seen: int) -> Deployment:
        """Return the state once it is another than that of version `seen`, looking whenever a poll is due."""
        loop = asyncio.get_running_loop()
        while True:
            if self.deployment is not None and self.version != seen:
                return self.deployment
            if self.failure is not None:
                raise self.failure
            due, now = self.due, loop.time()
            if now < due:
                # Once others have ended, it may be due sooner.
                await self.rest(seen, until=min(due, now + max(_RETHINK, self._interval / 4)))
            else:
                await self.poll(since=due)

    async def rest(self, seen: int, *, until: float) -> None:
        """Return at a moment of the loop's time, or before if somebody's poll brings a state other than `seen`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while self.version == seen and self.failure is None:
                    await self._environment.news.wait()

    async def poll(self, *, since: float) -> None:
        """Look at the deployment, unless somebody has at `since` (the loop's time) or later."""
        while self.looked_at < since and not self.is_over:
            await self._environment.poll()

    def begin(self, deployment: Deployment) -> None:
        """Take in the state that somebody has brought along; it is the state of now if it was created just now.

        Where few share the budget a poll costs nobody anything, and finds a build that has failed at once.
        """
        self.learn(deployment)
        is_fresh = deployment.created_at is not None and self.age < _FRESH
        if is_fresh and self._environment.poller.interval >= _RETHINK:
            self._plan_next_poll()

    def learn(self, deployment: Deployment) -> None:
        """Take in a state."""
        self._environment.poller.note(deployment)
        if deployment != self.deployment:
            self.deployment = deployment
            self.version += 1
        if self.is_over:
            self._environment.poller.going.discard(self)

    def after_poll(self, began: float, outcome: Deployment | LaunchError) -> None:
        """Take in what a poll brought, and plan the next one."""
        self.looked_at = began
        if isinstance(outcome, Deployment):
            self._failures.clear()
            self.learn(outcome)
            self._plan_next_poll()
        elif self._failures.is_final(outcome, asyncio.get_running_loop().time()):
            self.failure = outcome
            self._environment.poller.going.discard(self)
            state = "never seen" if self.deployment is None else f"last seen {without_escapes(self.deployment.status)}"
            outcome.add_note(f"Deployment {self.ref.deployment_uid} was {state}. It continues at the service")
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
    """The watched deployments of one environment, and the one poll at a time that is made for them."""

    def __init__(self, poller: DeploymentPoller, place: tuple[str, str], durations: Durations) -> None:
        self.poller = poller
        self.durations = durations
        self.watched: dict[str, PolledDeployment] = {}
        self.news = asyncio.Event()
        self._place = place
        self._looking: asyncio.Event | None = None
        self._is_listed = False
        self._listing_pays = True
        self._lists_again_at = float("-inf")

    def suppose(self, seconds: float) -> None:
        """Take in how long builds probably take: the first poll need not find it out."""
        if self.durations.expected is None:
            self.durations.add("", seconds)
            self._is_listed = True

    async def poll(self) -> None:
        """Look at every watched deployment that goes on, or wait until the poll that somebody makes has ended."""
        if self._looking is not None:
            await self._looking.wait()
            return
        looking = self._looking = asyncio.Event()
        try:
            await self._poll()
        finally:
            self._looking = None
            looking.set()
            self.news.set()
            self.news = asyncio.Event()

    async def _poll(self) -> None:
        began = asyncio.get_running_loop().time()
        open_ones = [one for one in self.watched.values() if not one.is_over]
        wants_listing = not self._is_listed or (len(open_ones) > 1 and self._listing_pays)
        listed = await self._list(len(open_ones)) if wants_listing and began >= self._lists_again_at else {}
        for one in open_ones:
            found = listed.get(one.ref.deployment_uid)
            one.after_poll(began, found or await self._single(one))

    async def _list(self, wanted: int) -> dict[str, Deployment]:
        """Return what a listing shows. Whatever is wrong with it, each deployment can be asked for by itself."""
        limit = _PAGE if wanted > 1 else _FIRST_PAGE
        try:
            page = await self.poller.polls.newest(*self._place, limit=limit, patience=_LISTING_PATIENCE)
        except LaunchError as error:
            self._lists_again_at = asyncio.get_running_loop().time() + _LISTING_REST
            _LOG.info(
                "The deployments of environment %s cannot be listed now; the SDK polls each deployment: %s",
                self._place[1],
                error,
            )
            return {}
        listed = {one.uid: one for one in page}
        self._is_listed = True
        if wanted > 1:
            self._listing_pays = len(listed.keys() & self.watched.keys()) > 1
        for uid, seconds in build_lengths(listed.values()).items():
            self.durations.add(uid, seconds)
        return listed

    async def _single(self, one: PolledDeployment) -> Deployment | LaunchError:
        try:
            return await self.poller.polls.deployment(one.ref)
        except LaunchError as error:
            return error
