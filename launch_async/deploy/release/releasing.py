"""A release: deployed, checked when it is live, and put back if it fails. And `restore`, which puts back on request.

deployed -> checked -> passed                                         done
-> failed, on_failure="keep"                      DeploymentUnhealthy
-> failed, on_failure="restore"
-> what served before is deployed again      DeploymentUnhealthy, with `restored`
-> nothing served before, or another one     DeploymentUnhealthy, which says so
serves or is on its way meanwhile
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import attrs

from launch_async.deploy.deadline import Deadline
from launch_async.deploy.release.check import CheckLike, CheckResult, OnFailure
from launch_async.deploy.release.copying import Copying, Place
from launch_async.deploy.release.serving import is_newer, newest_first, served_before, serving
from launch_async.deploy.release.verifying import verify
from launch_async.errors import DeploymentFailed, DeploymentUnhealthy, InvalidArgumentError, LaunchError
from launch_async.http.operation import check_uid
from launch_async.http.pipeline import Pipeline
from launch_async.models.deployment import Deployment
from launch_async.resources._cache import CachePurges
from launch_async.resources._create.recent import recent_deployments
from launch_async.resources.deployments import Deployments, zip_hash_of
from launch_async.watch.waiting import Watching

__all__ = ["Before", "Release", "Releasing"]

_LOG: Final = logging.getLogger("launch_async.deploy")
_VARIABLES: Final = "Variables and settings are not put back: it has those that the environment has now"


@attrs.frozen(kw_only=True)
class Before:
    """What an environment had when a release began.

    Attributes:
        serving: The deployment that served; None where none did.
        newest: The newest deployment; None where there was none.
        going: UIDs of the deployments that were on their way.
    """

    serving: Deployment | None
    newest: Deployment | None
    going: tuple[str, ...] = ()

    @classmethod
    def of(cls, recent: Sequence[Deployment]) -> Before:
        """Read it off a listing."""
        going = tuple(one.uid for one in recent if one.status.is_in_flight)
        return cls(serving=serving(recent), newest=next(iter(newest_first(recent)), None), going=going)

    def served_before(self, recent: Sequence[Deployment], release: Deployment) -> Deployment | None:
        """Return what served right before a release: perhaps something that went live while the release was built."""
        meanwhile = (
            one
            for one in served_before(recent, release)
            if one.uid in self.going or self.newest is None or is_newer(one, self.newest)
        )
        return next(meanwhile, self.serving)


@attrs.frozen(kw_only=True)
class Release:
    """What is to be done about one deployment once it is live.

    Attributes:
        place: Where it is deployed.
        checks: What its site must pass.
        on_failure: What to do about it if it does not.
        before: What was there before it; None where that need not be known.
        timeout: Seconds for putting something back.
    """

    place: Place
    checks: tuple[CheckLike, ...]
    on_failure: OnFailure
    before: Before | None
    timeout: float


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

    async def begun(
        self, place: Place, checks: tuple[CheckLike, ...], on_failure: OnFailure, timeout: float
    ) -> Release:
        """Return a release that is about to be deployed: what serves now is what would be put back."""
        before = Before.of(await self._recent(place)) if on_failure == "restore" else None
        return Release(place=place, checks=checks, on_failure=on_failure, before=before, timeout=timeout)

    async def checked(self, release: Release, deployment: Deployment) -> Deployment:
        """Return a live deployment whose site passes all checks.

        Raises:
            DeploymentUnhealthy: It does not.
        """
        if not release.checks:
            return deployment
        results = await self.results(deployment, release.checks)
        if all(result.passed for result in results):
            return deployment
        raise await self._failure(release, deployment, results)

    async def results(self, deployment: Deployment, checks: Sequence[CheckLike]) -> tuple[CheckResult, ...]:
        """Return what came of checks of a live deployment's site."""
        if deployment.url is None:
            problem = "the service gives no URL of this deployment, so that nothing can be asked"
            return tuple(
                CheckResult(name=str(check), passed=False, problem=problem, is_refused=True) for check in checks
            )
        return await verify(deployment.url, checks, self._pipeline.to_sites())

    async def restore(
        self, project_uid: str, environment_uid: str, *, to: Deployment | str | None, timeout: float
    ) -> Deployment:
        """Do what `LaunchClient.restore` promises."""
        check_uid("project_uid", project_uid)
        check_uid("environment_uid", environment_uid)
        wanted = to.uid if isinstance(to, Deployment) else to
        if wanted is not None:
            check_uid("to", wanted)
        place, deadline = Place(project_uid, environment_uid), Deadline.after(timeout)
        async with deadline.held("restore"):
            deadline.begin("looking what served before")
            recent = await self._recent(place)
            now = serving(recent)
            if wanted is None:
                target = await self._predecessor(recent, now, place)
            else:
                target = await self._named(recent, wanted, place)
            if now is not None and target.uid == now.uid:
                _LOG.info("deployment %s serves already: nothing to restore", now.uid)
                return now
            created = await self._on_its_way(recent, target, now)
            created = created or await self._copying.copy(target, place, deadline, reuse_upload=False)
        return await self._ended(created, deadline)

    async def _recent(self, place: Place) -> Sequence[Deployment]:
        return await recent_deployments(self._deployments, place.project_uid, place.environment_uid)

    async def _ended(self, created: Deployment, deadline: Deadline) -> Deployment:
        ended = await self._watching.wait(created, timeout=deadline.remaining)
        self._purges.deployed(ended.environment_uid)
        return ended

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
                cause, done = error, f"Putting back what served before failed: {_told(error)}"
        unhealthy = DeploymentUnhealthy(
            f"{_findings(deployment, results)} {done}.", deployment=deployment, results=results, restored=restored
        )
        unhealthy.__cause__ = cause
        unhealthy.ambiguous = cause is not None and cause.ambiguous
        return unhealthy

    async def _put_back(self, release: Release, bad: Deployment) -> tuple[Deployment | None, str]:
        """Put back what served before a bad deployment, unless somebody has deployed something else since."""
        recent = await self._recent(release.place)
        if other := _other_since(recent, bad):
            return None, f"Nothing was put back, because {other}"
        previous = None if release.before is None else release.before.served_before(recent, bad)
        if previous is None:
            return (
                None,
                "Nothing good served before it, so that there is nothing to put back: deploy a version that works",
            )
        if bad.commit_hash and bad.commit_hash == previous.commit_hash:
            return None, "The same commit served before, so that putting it back would change nothing"
        restored = await self._restored(release, previous)
        return restored, f"Deployment {restored.uid} serves instead, of {_source(previous)}. {_VARIABLES}"

    async def _restored(self, release: Release, previous: Deployment) -> Deployment:
        """Deploy again what served before. If the service one day offers a rollback, it is called here."""
        deadline = Deadline.after(release.timeout)
        async with deadline.held("restore"):
            created = await self._copying.copy(previous, release.place, deadline, reuse_upload=False)
        return await self._ended(created, deadline)

    async def _predecessor(self, recent: Sequence[Deployment], now: Deployment | None, place: Place) -> Deployment:
        """Return the deployment that served before the one that serves now, and had something else.

        Raises:
            InvalidArgumentError: What serves now was put back already, so that nobody can tell what is meant.
            LaunchError: There is none.
        """
        earlier = served_before(recent, now)
        if now is None and earlier:
            return earlier[0]
        for position, one in enumerate(earlier):
            if now is not None and await self._are_alike(one, now):
                continue
            for older in earlier[position + 1 : position + 2 if now and not now.commit_hash else None]:
                if now is not None and await self._are_alike(older, now):
                    raise InvalidArgumentError(
                        "to",
                        f"deployment {now.uid}, which serves, has brought back {_source(older)} already, so that what "
                        f"served before it may be bad: name the deployment to restore, such as to={one.uid!r}",
                    )
            return one
        raise LaunchError(
            f"nothing else served in environment {place.environment_uid} before, so that there is nothing to restore: "
            "deploy a version that works",
            operation="restore",
        )

    async def _named(self, recent: Sequence[Deployment], uid: str, place: Place) -> Deployment:
        found = next((one for one in recent if one.uid == uid), None)
        target = found or await self._deployments.get(place.project_uid, place.environment_uid, uid)
        if not target.status.is_success:
            raise InvalidArgumentError("to", f"deployment {uid} is {target.status or 'of no status'}: it never served")
        return target

    async def _on_its_way(
        self, recent: Sequence[Deployment], target: Deployment, now: Deployment | None
    ) -> Deployment | None:
        """Return a newer deployment of the same as the target that goes on already, as of an earlier call."""
        going = [one for one in newest_first(recent) if one.status.is_in_flight and (not now or is_newer(one, now))]
        if going and await self._are_alike(going[0], target):
            _LOG.info("deployment %s brings back %s already", going[0].uid, _source(target))
            return going[0]
        return None

    async def _are_alike(self, one: Deployment, other: Deployment) -> bool:
        """Return whether two deployments are known to be of the same commit or the same ZIP."""
        if one.commit_hash or other.commit_hash:
            return one.commit_hash == other.commit_hash
        known = await zip_hash_of(self._deployments, one)
        return known is not None and known == await zip_hash_of(self._deployments, other)


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


def _findings(deployment: Deployment, results: Sequence[CheckResult]) -> str:
    failed = [result for result in results if not result.passed and result.is_decided]
    told = "; ".join(str(result) for result in failed).rstrip(".")
    share = f"{len(failed)} of {len(results)} checks failed"
    return f"Deployment {deployment.uid} is live at {deployment.url}, and {share}. {told[:1].upper()}{told[1:]}."


def _source(deployment: Deployment) -> str:
    number = "" if deployment.deployment_number is None else f", number {deployment.deployment_number}"
    what = f"commit {deployment.commit_hash[:12]}" if deployment.commit_hash else "the ZIP"
    return f"{what} of deployment {deployment.uid}{number}"


def _told(error: LaunchError) -> str:
    return error.report.headline if isinstance(error, DeploymentFailed) else error.message.rstrip(".")
