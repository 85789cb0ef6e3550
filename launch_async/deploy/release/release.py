"""A release as data: its environment, its checks, and the state of the environment before it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence

import attrs

from launch_async.deploy.release.check import CheckLike, OnFailure
from launch_async.deploy.release.copying import Place
from launch_async.deploy.release.journal import JournalledSends, ReleaseJournal
from launch_async.deploy.release.serving import is_newer, newest_first, served_before, serving
from launch_async.errors import LaunchError
from launch_async.models.deployment import Deployment
from launch_async.resources._create.reconciling import CreationLog
from launch_async.watch.audience import Observers

__all__ = ["Before", "Release"]


@attrs.frozen(kw_only=True)
class Before:
    """The state of an environment when a release began.

    Attributes:
        serving: The live deployment; None if there was none.
        newest: The newest deployment; None if there was none.
        going: UIDs of the deployments that were in progress.
    """

    serving: Deployment | None
    newest: Deployment | None
    going: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return the UIDs, for a journal."""
        uids = [None if one is None else one.uid for one in (self.serving, self.newest)]
        return {"serving": uids[0], "newest": uids[1], "going": list(self.going)}

    @classmethod
    def of(cls, recent: Sequence[Deployment]) -> Before:
        """Return the state that a listing shows."""
        going = tuple(one.uid for one in recent if one.status.is_in_flight)
        return cls(serving=serving(recent), newest=next(iter(newest_first(recent)), None), going=going)

    def served_before(self, recent: Sequence[Deployment], release: Deployment) -> Deployment | None:
        """Return the deployment that was live before a release. It may have gone live during the release's build."""
        meanwhile = (
            one
            for one in served_before(recent, release)
            if one.uid in self.going or self.newest is None or is_newer(one, self.newest)
        )
        return next(meanwhile, self.serving)


@attrs.frozen(kw_only=True)
class Release:
    """One release.

    Attributes:
        place: The environment.
        checks: The checks of the live site.
        on_failure: The action after a failed check.
        before: The state of the environment before the release; None if the release does not need it.
        timeout: Seconds for restoring the previous version.
        journal: The journal of the release; None without one.
        observers: Callbacks that show the release's progress.
    """

    place: Place
    checks: tuple[CheckLike, ...]
    on_failure: OnFailure
    before: Before | None
    timeout: float
    journal: ReleaseJournal | None = None
    observers: Observers = attrs.field(factory=Observers)

    @contextlib.contextmanager
    def creating(self, name: str) -> Generator[CreationLog]:
        """Yield a log for a creation in the body. It writes to the journal under the given name."""
        try:
            yield JournalledSends(self.journal, name)
        except LaunchError as error:
            if not error.ambiguous:
                # The service refused the creation, or the SDK never sent it.
                self.note(**{name: None})
            raise

    def note(self, **facts: object) -> None:
        """Write a step to the journal, if there is one."""
        if self.journal is not None:
            self.journal.note(**facts)
