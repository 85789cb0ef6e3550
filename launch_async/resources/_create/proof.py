"""What proves that something found is what a creation asked for: one rule for each kind.

- A project, an environment: its name. No two have the same below one parent.
- A deployment of a commit: its commit.
- A deployment of an upload: the bytes of its ZIP.
- A deployment of the environment's own source: its commit, if the last deployment before this call has the same, or if
  there was none and nobody else has deployed since; or its ZIP, if the deployment before it has the same.

A rule says nothing of when something was made: `ReconcilingCreate` does. What a rule cannot decide is no proof.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

import attrs

from launch_async.models.deployment import Deployment

__all__ = [
    "Before",
    "CommitProof",
    "Finding",
    "NameProof",
    "OwnSourceProof",
    "Proof",
    "UploadProof",
    "Verdict",
    "ZipOf",
]

C_contra = TypeVar("C_contra", contravariant=True)
N = TypeVar("N")
B = TypeVar("B", covariant=True)

ZipOf = Callable[[Deployment], Awaitable[str | None]]
"""Returns the SHA-256 of the ZIP that a deployment was built from; None where it cannot be had."""


class Verdict(enum.Enum):
    """What something found is."""

    ASKED_FOR = enum.auto()
    """It is what was asked for."""
    OTHER = enum.auto()
    """It is something else."""
    NOT_YET = enum.auto()
    """It cannot be known before it has ended."""
    UNKNOWN = enum.auto()
    """It cannot be known."""


@attrs.frozen
class Finding:
    """A verdict, and why it is no proof."""

    verdict: Verdict
    why: str = ""


_ASKED_FOR: Final = Finding(Verdict.ASKED_FOR)
_OTHER: Final = Finding(Verdict.OTHER)


@attrs.frozen
class Before(Generic[B]):
    """What was made before something, as far as that is seen.

    Attributes:
        earlier: What was made before it, the newest first.
        calls: What may have been made last before this call first sent its request; empty if nothing was there.
        is_expected: Whether no more was made since than this program has asked for.
    """

    earlier: Sequence[B] = ()
    calls: Sequence[B] = ()
    is_expected: bool = True

    @property
    def it(self) -> B | None:
        """What was made right before it; None if it is the first."""
        return next(iter(self.earlier), None)


class Proof(Protocol[C_contra]):
    """A rule for one creation."""

    @property
    def is_possible(self) -> bool:
        """Whether anything can be proven at all."""
        ...

    @property
    def is_exact(self) -> bool:
        """Whether it names its source, so that `fits` can tell."""
        ...

    def fits(self, one: C_contra) -> bool:
        """Whether something may be what was asked for, as far as that can be seen without a request."""
        ...

    async def judge(self, one: C_contra, before: Before[C_contra]) -> Finding:
        """Return what something is, given what was made before it."""
        ...


class NameProof(Generic[N]):
    """Proves by a name; only what has the name is looked at."""

    is_possible = True
    is_exact = True

    def fits(self, one: N) -> bool:
        """See `Proof.fits`."""
        return True

    async def judge(self, one: N, before: Before[N]) -> Finding:
        """See `Proof.judge`."""
        return _ASKED_FOR


@attrs.frozen
class CommitProof:
    """Proves by a commit, whichever of the two hashes is the short one."""

    commit_hash: str
    is_possible: bool = attrs.field(default=True, init=False)
    is_exact: bool = attrs.field(default=True, init=False)

    def fits(self, one: Deployment) -> bool:
        """See `Proof.fits`."""
        shown = one.commit_hash
        return not shown or shown.startswith(self.commit_hash) or self.commit_hash.startswith(shown)

    async def judge(self, one: Deployment, before: Before[Deployment]) -> Finding:
        """See `Proof.judge`."""
        if not one.commit_hash:
            return Finding(Verdict.UNKNOWN, "the service does not say its commit")
        return _ASKED_FOR if self.fits(one) else _OTHER


@attrs.frozen
class UploadProof:
    """Proves by the bytes of the ZIP; the SHA-256 of what was uploaded is None where nobody knows it."""

    sha256: str | None
    zip_of: ZipOf
    is_exact: bool = attrs.field(default=True, init=False)
    _others: set[str] = attrs.field(factory=set[str], init=False)

    @property
    def is_possible(self) -> bool:
        """See `Proof.is_possible`."""
        return self.sha256 is not None

    def fits(self, one: Deployment) -> bool:
        """See `Proof.fits`."""
        return one.uid not in self._others

    async def judge(self, one: Deployment, before: Before[Deployment]) -> Finding:
        """See `Proof.judge`."""
        if self.sha256 is None:
            return Finding(Verdict.UNKNOWN, "create() does not know the uploaded ZIP to compare with; deploy() does")
        found = await self.zip_of(one)
        if found is None:
            return _no_zip(one)
        if found == self.sha256:
            return _ASKED_FOR
        self._others.add(one.uid)
        return _OTHER


@attrs.frozen
class OwnSourceProof:
    """Proves by the source that the environment has itself: the newest commit, or the ZIP that was deployed last."""

    zip_of: ZipOf
    is_possible: bool = attrs.field(default=True, init=False)
    is_exact: bool = attrs.field(default=False, init=False)

    def fits(self, one: Deployment) -> bool:
        """See `Proof.fits`."""
        return True

    async def judge(self, one: Deployment, before: Before[Deployment]) -> Finding:
        """See `Proof.judge`."""
        if one.commit_hash:
            if all(call.commit_hash == one.commit_hash for call in before.calls) and (
                before.calls or before.is_expected
            ):
                return _ASKED_FOR
            return Finding(Verdict.UNKNOWN, "its commit is another one than before, so somebody may have chosen it")
        found = await self.zip_of(one)
        if found is None:
            return _no_zip(one, "the service shows neither its commit nor its ZIP")
        calls = [await self.zip_of(call) for call in before.calls]
        if (calls and set(calls) == {found}) or (before.it is not None and await self.zip_of(before.it) == found):
            return _ASKED_FOR
        sources = _possible_sources(one, before.earlier)
        known = [await self.zip_of(other) for other in sources]
        if known and None not in known and found not in known:
            return _OTHER
        return Finding(Verdict.UNKNOWN, "its ZIP is another one than before, which did not succeed or cannot be had")


def _possible_sources(one: Deployment, earlier: Sequence[Deployment]) -> list[Deployment]:
    """Return the deployments whose ZIP the service may have deployed again; none if some of them may not be listed yet.

    They go back to the last one that succeeded.
    """
    sources: list[Deployment] = []
    number = one.deployment_number
    for other in earlier:
        if number is None or other.deployment_number != number - 1:
            return []
        sources.append(other)
        if other.status.is_success:
            return sources
        number = other.deployment_number
    return sources if number == 1 else []


def _no_zip(one: Deployment, why: str = "its ZIP cannot be had") -> Finding:
    if one.status.is_in_flight:
        return Finding(Verdict.NOT_YET, "its ZIP can be compared only when it has ended; deploy() waits for that")
    return Finding(Verdict.UNKNOWN, why)
