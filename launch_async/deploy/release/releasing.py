"""A release: deployed, checked when it is live, and put back if it fails.

    deployed -> checked -> passed                                         done
                        -> failed, on_failure="keep"                      DeploymentUnhealthy
                        -> failed, on_failure="restore"
                             -> what served before is deployed again      DeploymentUnhealthy, with `restored`
                             -> nothing served before, or another one     DeploymentUnhealthy, which says so
                                serves or is on its way meanwhile

With a journal, each arrow is written down before it is taken: `resume` goes on wherever a process was killed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import attrs

from launch_async.deploy.deadline import Deadline
from launch_async.deploy.release.check import CheckLike, CheckResult, OnFailure, checks_of, name_of
from launch_async.deploy.release.copying import Copying, Place
from launch_async.deploy.release.journal import ReleaseJournal
from launch_async.deploy.release.release import Before, Release
from launch_async.deploy.release.serving import is_newer, newest_first, serving
from launch_async.deploy.release.verifying import failures_in, verify
from launch_async.errors import (
    ConfigurationError,
    DeploymentFailed,
    DeploymentUnhealthy,
    InvalidArgumentError,
    LaunchError,
)
from launch_async.http.pipeline import Pipeline
from launch_async.models.deployment import Deployment
from launch_async.resources._cache import CachePurges
from launch_async.resources._create.recent import recent_deployments
from launch_async.resources._create.sending import SendRecord
from launch_async.resources.deployments import Deployments
from launch_async.watch.audience import Observers
from launch_async.watch.waiting import Watching

__all__ = ["Releasing"]

_VARIABLES: Final = "Variables and settings are not put back: it has those that the environment has now"


class Releasing:
    """Checks releases, and puts back what served before."""

    def __init__(
        self,
        pipeline: Pipeline,
        deployments: Deployments,
        watching: Watching,
        copying: Copying,
        purges: CachePurges,
    ) -> None:
        self._pipeline = pipeline
        self._deployments = deployments
        self._watching = watching
        self._copying = copying
        self._purges = purges

    @contextlib.asynccontextmanager
    async def begun(
        self,
        place: Place,
        checks: tuple[CheckLike, ...],
        on_failure: OnFailure,
        deadline: Deadline,
        journal: str | os.PathLike[str] | None,
        source: Mapping[str, object],
        observers: Observers,
    ) -> AsyncGenerator[Release]:
        """Give a release that is about to be deployed: what serves now is what would be put back."""
        release = Release(
            place=place,
            checks=checks,
            on_failure=on_failure,
            before=None,
            timeout=deadline.timeout,
            observers=observers,
        )
        with contextlib.ExitStack() as kept:
            if journal is not None:
                names = [name_of(check) for check in checks]
                about = {**self._owner(), **attrs.asdict(place), **source, "checks": names, "on_failure": on_failure}
                opened = ReleaseJournal.begun(Path(journal), about)
                kept.callback(opened.close)
                release = attrs.evolve(release, journal=opened)
            if on_failure == "restore":
                deadline.begin("looking what serves now")
                async with deadline.held("deploy"):
                    before = Before.of(await self._recent(place))
                release.note(before=before.to_dict())
                release = attrs.evolve(release, before=before)
            yield release

    async def ended(self, release: Release, created: Deployment, timeout: float) -> Deployment:
        """Return a deployment of a release that has ended well, and whose site passes all checks.

        Raises:
            DeploymentFailed: It ended otherwise.
            DeploymentUnhealthy: Its site does not pass.
        """
        observers = release.observers
        try:
            ended = await self._watching.watch(
                created, on_log=observers.on_log, on_update=observers.on_update, timeout=timeout
            )
        except DeploymentFailed:
            release.note(outcome="failed")
            raise
        self._purges.deployed(ended.environment_uid)
        return await self.checked(release, ended)

    async def checked(self, release: Release, deployment: Deployment) -> Deployment:
        """Return a live deployment whose site passes all checks.

        Raises:
            DeploymentUnhealthy: It does not.
        """
        results = await self.results(deployment, release.checks) if release.checks else ()
        if all(result.passed for result in results):
            release.note(outcome="healthy")
            return deployment
        release.note(results=[result.to_dict() for result in results])
        raise await self._failure(release, deployment, results)

    async def results(self, deployment: Deployment, checks: Sequence[CheckLike]) -> tuple[CheckResult, ...]:
        """Return what came of checks of a live deployment's site."""
        return await verify(deployment.url, checks, self._pipeline.to_sites())

    async def resume(
        self,
        journal: str | os.PathLike[str],
        checks: CheckLike | Iterable[CheckLike],
        timeout: float,
        *,
        observers: Observers,
    ) -> Deployment | None:
        """Do what `LaunchClient.resume_release` promises."""
        given, deadline = checks_of(checks), Deadline.after(timeout, on_step=observers.on_step)
        kept = ReleaseJournal.reopened(Path(journal))
        try:
            self._check_owner(kept.release)
            names = [name_of(check) for check in given]
            is_decided = kept.is_over or "results" in kept.facts
            if not is_decided and names != kept.release["checks"]:
                told = ", ".join(map(str, cast("list[str]", kept.release["checks"]))) or "none"
                raise InvalidArgumentError("verify", f"the release began with other checks; give these again: {told}")
            async with deadline.held("resume_release"):
                deadline.begin("reading how far the release is")
                release = attrs.evolve(await self._read(kept, given, timeout), observers=observers)
                deployment = await self._begun_deployment(release, kept, deadline)
            return None if deployment is None else await self._finished(release, kept, deployment, deadline)
        finally:
            kept.close()

    async def _begun_deployment(self, release: Release, kept: ReleaseJournal, deadline: Deadline) -> Deployment | None:
        """Return the deployment of a release that was begun; None if it was never created."""
        if kept.facts.get("deployment") is not None:
            return await self._by_uid(release.place, kept.facts["deployment"])
        found = await self._interrupted(release, kept, "sends", kept.release.get("commit_hash"), deadline)
        if found is not None:
            release.note(deployment=found.uid)
        return found

    async def _finished(
        self, release: Release, kept: ReleaseJournal, deployment: Deployment, deadline: Deadline
    ) -> Deployment:
        """Do what is left of a release; what is over is told again."""
        outcome, known = kept.facts.get("outcome"), kept.facts.get("results")
        if outcome == "healthy":
            release.observers.show(deployment)
            return deployment
        if known is None:
            return await self.ended(release, deployment, deadline.remaining)
        results = [CheckResult(**document) for document in cast("list[dict[str, Any]]", known)]
        if outcome is None:
            raise await self._failure(release, deployment, results)
        uid = kept.facts.get("restored")
        restored = None if uid is None else await self._by_uid(release.place, uid)
        raise _unhealthy(deployment, results, restored, str(kept.facts.get("done")))

    async def _interrupted(
        self, release: Release, kept: ReleaseJournal, name: str, commit_hash: object, deadline: Deadline
    ) -> Deployment | None:
        """Return what a creation of an earlier process has made, of which the journal knows only that it was sent."""
        record = kept.facts.get(name)
        if record is None:
            return None
        commit = commit_hash if isinstance(commit_hash, str) else None
        found = await self._copying.found(release.place, deadline, SendRecord.from_dict(record), commit)
        if found is None:
            release.note(**{name: None})
        return found

    async def _read(self, kept: ReleaseJournal, checks: tuple[CheckLike, ...], timeout: float) -> Release:
        about, before = kept.release, None
        place = Place(str(about["project_uid"]), str(about["environment_uid"]))
        if kept.facts.get("before") is not None and not kept.is_over:
            uids = cast("dict[str, Any]", kept.facts["before"])
            before = Before(
                serving=None if uids["serving"] is None else await self._by_uid(place, uids["serving"]),
                newest=None if uids["newest"] is None else await self._by_uid(place, uids["newest"]),
                going=tuple(uids["going"]),
            )
        on_failure = cast("OnFailure", about["on_failure"])
        return Release(place=place, checks=checks, on_failure=on_failure, before=before, timeout=timeout, journal=kept)

    async def _by_uid(self, place: Place, uid: object) -> Deployment:
        return await self._deployments.get(place.project_uid, place.environment_uid, str(uid))

    def _owner(self) -> dict[str, object]:
        return {"base_url": self._pipeline.base_url, "organization_uid": self._pipeline.organization_uid}

    def _check_owner(self, about: Mapping[str, object]) -> None:
        for name, mine in self._owner().items():
            if about[name] != mine and None not in (about[name], mine):
                raise ConfigurationError(f"the release was begun with {name} {about[name]}, this client has {mine}")

    async def _recent(self, place: Place) -> Sequence[Deployment]:
        return await recent_deployments(self._deployments, place.project_uid, place.environment_uid)

    async def _failure(
        self, release: Release, deployment: Deployment, results: Sequence[CheckResult]
    ) -> DeploymentUnhealthy:
        """Put back what served before if that is to be done; return the error that says what was done."""
        restored, cause = None, None
        if release.on_failure == "keep":
            done = "It still serves: restore(...) puts back what served before"
        elif all(result.is_refused for result in results if not result.passed and result.is_decided):
            done = "It still serves, because nothing says that it is bad: nothing was put back"
        else:
            try:
                restored, done = await self._put_back(release, deployment)
            except LaunchError as error:
                cause, done = error, f"Putting back what served before failed: {_told(error)}{_again(release, error)}"
        if cause is None or isinstance(cause, DeploymentFailed):
            release.note(outcome="unhealthy", done=done)
        unhealthy = _unhealthy(deployment, results, restored, done)
        unhealthy.__cause__ = cause
        unhealthy.ambiguous = cause is not None and cause.ambiguous
        return unhealthy

    async def _put_back(self, release: Release, bad: Deployment) -> tuple[Deployment | None, str]:
        """Put back what served before a bad deployment, unless somebody has deployed something else since."""
        observers = release.observers
        deadline = Deadline.after(release.timeout, on_step=observers.on_step)
        async with deadline.held("restore"):
            deadline.begin("looking for what to put back")
            created = await self._put_back_before(release, deadline)
            if created is None:
                recent = await self._recent(release.place)
                if other := _other_since(recent, bad):
                    return None, f"Nothing was put back, because {other}"
                previous = None if release.before is None else release.before.served_before(recent, bad)
                if previous is None:
                    return None, "Nothing good served before it, so nothing can be put back: deploy one that works"
                if previous.uid == bad.uid or (bad.commit_hash and bad.commit_hash == previous.commit_hash):
                    return None, "The same version served before, so that putting it back would change nothing"
                created = await self._copied(release, previous, deadline)
        restored = await self._watching.wait(created, timeout=deadline.remaining, on_update=observers.on_update)
        self._purges.deployed(restored.environment_uid)
        return restored, f"Deployment {restored.uid} serves instead, with what served before. {_VARIABLES}"

    async def _put_back_before(self, release: Release, deadline: Deadline) -> Deployment | None:
        """Return what an earlier process has put back, or had begun to."""
        kept = release.journal
        if kept is None:
            return None
        if kept.facts.get("restored") is not None:
            return await self._by_uid(release.place, kept.facts["restored"])
        commit = kept.facts.get("restored_commit")
        found = await self._interrupted(release, kept, "restore_sends", commit, deadline)
        if found is not None:
            release.note(restored=found.uid)
        return found

    async def _copied(self, release: Release, previous: Deployment, deadline: Deadline) -> Deployment:
        """Deploy again what served before."""
        release.note(restored_commit=previous.commit_hash)
        with release.creating("restore_sends") as log:
            created = await self._copying.put_back(
                previous, release.place, deadline, log, release.observers.on_progress
            )
        release.note(restored=created.uid)
        return created


def _unhealthy(
    deployment: Deployment, results: Sequence[CheckResult], restored: Deployment | None, done: str
) -> DeploymentUnhealthy:
    return DeploymentUnhealthy(
        f"Deployment {deployment.uid} is live at {deployment.url}, and {failures_in(results)} {done}.",
        deployment=deployment,
        results=results,
        restored=restored,
    )


def _other_since(recent: Sequence[Deployment], bad: Deployment) -> str:
    """Say which deployment serves or is on its way instead of a bad one, if any; what is listed late says nothing."""
    own = next((one for one in recent if one.uid == bad.uid), None)
    for one in newest_first(recent):
        if is_newer(one, bad) and (one.status.is_serving or one.status.is_in_flight):
            state = "serves" if one.status.is_serving else f"is {one.status}"
            return f"deployment {one.uid}, which somebody has made since, {state}"
    now = serving(recent)
    if own is not None and not own.status.is_serving and now is not None:
        return f"deployment {now.uid} serves again already"
    return ""


def _again(release: Release, error: LaunchError) -> str:
    """Say how to try once more, where nothing may be on its way."""
    if error.ambiguous or isinstance(error, DeploymentFailed):
        return ""
    if release.journal is not None:
        return f". launch.resume_release({str(release.journal.path)!r}) tries again"
    return f". launch.restore({release.place.project_uid!r}, {release.place.environment_uid!r}) tries again"


def _told(error: LaunchError) -> str:
    return error.report.headline if isinstance(error, DeploymentFailed) else error.message.rstrip(".")
