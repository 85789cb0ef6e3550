"""A release as data: what is deployed where, what its site must pass, and what was there before it."""

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
    """What an environment had when a release began.

    Attributes:
        serving: The deployment that served; None where none did.
        newest: The newest deployment; None where there was none.
        going: UIDs of the deployments that were on their way.
    """

    serving: Deployment | None
    newest: Deployment | None
    going: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return its UIDs, for a journal."""
        uids = [None if one is None else one.uid for one in (self.serving, self.newest)]
        return {"serving": uids[0], "newest": uids[1], "going": list(self.going)}

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
        journal: Where to write how far it is; None for nowhere.
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
        """Create something inside: the log that is given writes under a name when it is sent."""
        try:
            yield JournalledSends(self.journal, name)
        except LaunchError as error:
            if not error.ambiguous:
                # It was refused, or never left.
                self.note(**{name: None})
            raise

    def note(self, **facts: object) -> None:
        """Write a step."""
        if self.journal is not None:
            self.journal.note(**facts)
