"""A release: deploy, check the live site, and restore the previous version if a check fails.

    deployed -> checked -> passed                                         done
                        -> failed, on_failure="keep"                      DeploymentUnhealthy
                        -> failed, on_failure="restore"
                             -> the previous version is deployed again    DeploymentUnhealthy, with `restored`
                             -> there is no previous version, or          DeploymentUnhealthy with the reason
                                another deployment is live or in progress

With a journal, the SDK writes each step before it takes the step, so `resume` can continue after a crash at any point.
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
from launch_async.resources._create.sending import SendRecord
from launch_async.resources.deployments import Deployments, newest_deployments
from launch_async.watch.audience import Observers
from launch_async.watch.waiting import Watching

__all__ = ["Releasing"]

_VARIABLES: Final = "Variables and settings are not restored: the new deployment uses the current ones"


class Releasing:
    """Checks releases, and restores previous versions."""

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
        """Yield a release before its deployment, with the live deployment as the version to restore."""
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
                deadline.begin("reading the live deployment")
                async with deadline.enforced("deploy"):
                    before = Before.of(await self._recent(place))
                release.note(before=before.to_dict())
                release = attrs.evolve(release, before=before)
            yield release

    async def ended(self, release: Release, created: Deployment, timeout: float) -> Deployment:
        """Wait for the deployment of a release, and run its checks.

        Raises:
            DeploymentFailed: The deployment failed.
            DeploymentUnhealthy: Its site failed a check.
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
        """Run the checks of a release against its live deployment, and return the deployment.

        Raises:
            DeploymentUnhealthy: Its site failed a check.
        """
        results = await self.results(deployment, release.checks) if release.checks else ()
        if all(result.passed for result in results):
            release.note(outcome="healthy")
            return deployment
        release.note(results=[result.to_dict() for result in results])
        raise await self._failure(release, deployment, results)

    async def results(self, deployment: Deployment, checks: Sequence[CheckLike]) -> tuple[CheckResult, ...]:
        """Return the results of checks of a live deployment's site."""
        return await verify(deployment.url, checks, self._pipeline.to_sites())

    async def resume(
        self,
        journal: str | os.PathLike[str],
        checks: CheckLike | Iterable[CheckLike],
        timeout: float,
        *,
        observers: Observers,
    ) -> Deployment | None:
        """Implement `LaunchClient.resume_release`."""
        given, deadline = checks_of(checks), Deadline.after(timeout, on_step=observers.on_step)
        kept = ReleaseJournal.reopened(Path(journal))
        try:
            self._check_owner(kept.release)
            names = [name_of(check) for check in given]
            is_decided = kept.is_over or "results" in kept.facts
            if not is_decided and names != kept.release["checks"]:
                expected = ", ".join(map(str, cast("list[str]", kept.release["checks"]))) or "none"
                raise InvalidArgumentError(
                    "verify", f"differs from the checks that the release began with. Pass these checks: {expected}"
                )
            async with deadline.enforced("resume_release"):
                deadline.begin("reading the state of the release")
                release = attrs.evolve(await self._read(kept, given, timeout), observers=observers)
                deployment = await self._begun_deployment(release, kept, deadline)
            return None if deployment is None else await self._finished(release, kept, deployment, deadline)
        finally:
            kept.close()

    async def _begun_deployment(self, release: Release, kept: ReleaseJournal, deadline: Deadline) -> Deployment | None:
        """Return the deployment of an interrupted release; None if it was never created."""
        if kept.facts.get("deployment") is not None:
            return await self._by_uid(release.place, kept.facts["deployment"])
        found = await self._interrupted(release, kept, "sends", kept.release.get("commit_hash"), deadline)
        if found is not None:
            release.note(deployment=found.uid)
        return found

    async def _finished(
        self, release: Release, kept: ReleaseJournal, deployment: Deployment, deadline: Deadline
    ) -> Deployment:
        """Finish a release. If it has ended, return its outcome again."""
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
        """Return the deployment of a creation that an earlier process sent; its outcome is not in the journal."""
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
                raise ConfigurationError(
                    f"The release began with {name} {about[name]}, but this client has {mine}. Use a client "
                    "with the same settings"
                )

    async def _recent(self, place: Place) -> Sequence[Deployment]:
        return await newest_deployments(self._deployments, place.project_uid, place.environment_uid)

    async def _failure(
        self, release: Release, deployment: Deployment, results: Sequence[CheckResult]
    ) -> DeploymentUnhealthy:
        """Restore the previous version if requested; return the error that describes the outcome."""
        restored, cause = None, None
        if release.on_failure == "keep":
            done = "The deployment is still live. Call launch.restore(...) to restore the previous version"
        elif all(result.is_refused for result in results if not result.passed and result.is_decided):
            done = "The deployment is still live. Nothing was restored, because no check could read the site"
        else:
            try:
                restored, done = await self._restore_previous(release, deployment)
            except LaunchError as error:
                cause, done = error, f"Restoring the previous version failed: {_text_of(error)}{_again(release, error)}"
        if cause is None or isinstance(cause, DeploymentFailed):
            release.note(outcome="unhealthy", done=done)
        unhealthy = _unhealthy(deployment, results, restored, done)
        unhealthy.__cause__ = cause
        unhealthy.ambiguous = cause is not None and cause.ambiguous
        return unhealthy

    async def _restore_previous(self, release: Release, bad: Deployment) -> tuple[Deployment | None, str]:
        """Restore the version before a bad deployment, unless someone has deployed another version since."""
        observers = release.observers
        deadline = Deadline.after(release.timeout, on_step=observers.on_step)
        async with deadline.enforced("restore"):
            deadline.begin("choosing the version to restore")
            created = await self._restored_before(release, deadline)
            if created is None:
                recent = await self._recent(release.place)
                if other := _other_since(recent, bad):
                    return None, f"Nothing was restored, because {other}"
                previous = None if release.before is None else release.before.served_before(recent, bad)
                if previous is None:
                    return None, "No earlier version was live, so nothing was restored. Deploy a working version"
                if previous.uid == bad.uid or (bad.commit_hash and bad.commit_hash == previous.commit_hash):
                    return None, "Nothing was restored, because the same version was live before"
                created = await self._copied(release, previous, deadline)
        restored = await self._watching.wait(created, timeout=deadline.remaining, on_update=observers.on_update)
        self._purges.deployed(restored.environment_uid)
        return restored, f"Deployment {restored.uid} has restored the previous version. {_VARIABLES}"

    async def _restored_before(self, release: Release, deadline: Deadline) -> Deployment | None:
        """Return the restoring deployment that an earlier process has created."""
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
        """Deploy the previous version again."""
        release.note(restored_commit=previous.commit_hash)
        with release.creating("restore_sends") as log:
            created = await self._copying.restore(previous, release.place, deadline, log, release.observers.on_progress)
        release.note(restored=created.uid)
        return created


def _unhealthy(
    deployment: Deployment, results: Sequence[CheckResult], restored: Deployment | None, done: str
) -> DeploymentUnhealthy:
    address = f" at {deployment.url}" if deployment.url else ""
    return DeploymentUnhealthy(
        f"Deployment {deployment.uid} is live{address}, and {failures_in(results)} {done}.",
        deployment=deployment,
        results=results,
        restored=restored,
    )


def _other_since(recent: Sequence[Deployment], bad: Deployment) -> str:
    """Return a text about a newer deployment that is live or in progress; empty if the listing shows none."""
    own = next((one for one in recent if one.uid == bad.uid), None)
    for one in newest_first(recent):
        if is_newer(one, bad) and (one.status.is_serving or one.status.is_in_flight):
            state = "is live" if one.status.is_serving else f"is {one.status}"
            return f"another person or program has created deployment {one.uid} since then, which {state}"
    now = serving(recent)
    if own is not None and not own.status.is_serving and now is not None:
        return f"deployment {now.uid} is live again"
    return ""


def _again(release: Release, error: LaunchError) -> str:
    """Return how to try again, if no deployment can be in progress."""
    if error.ambiguous or isinstance(error, DeploymentFailed):
        return ""
    if release.journal is not None:
        return f". Call launch.resume_release({str(release.journal.path)!r}) to try again"
    return f". Call launch.restore({release.place.project_uid!r}, {release.place.environment_uid!r}) to try again"


def _text_of(error: LaunchError) -> str:
    return error.report.headline if isinstance(error, DeploymentFailed) else error.message.rstrip(".")
