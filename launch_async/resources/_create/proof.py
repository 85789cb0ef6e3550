"""What proves that something found is what a creation asked for: one rule for each kind.

- A project, an environment: its name. No two have the same below one parent.
- A deployment of a commit: its commit.
- A deployment of an upload: the bytes of its ZIP.
- A deployment of the environment's own source: its commit, unless that was deployed earlier but not last before it. Or
  its ZIP, if the deployment before it has the same.

A rule says nothing of when something was made: `ReconcilingCreate` does. What a rule cannot decide is no proof.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

import attrs

from launch_async.models.deployment import Deployment

__all__ = ["CommitProof", "Finding", "NameProof", "OwnSourceProof", "Proof", "UploadProof", "Verdict", "ZipOf"]

C_contra = TypeVar("C_contra", contravariant=True)
N = TypeVar("N")

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

    async def judge(self, one: C_contra, among: Sequence[C_contra]) -> Finding:
        """Return what something is, seen among its like."""
        ...


class NameProof(Generic[N]):
    """Proves by a name; only what has the name is looked at."""

    is_possible = True
    is_exact = True

    def fits(self, one: N) -> bool:
        """See `Proof.fits`."""
        return True

    async def judge(self, one: N, among: Sequence[N]) -> Finding:
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

    async def judge(self, one: Deployment, among: Sequence[Deployment]) -> Finding:
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

    async def judge(self, one: Deployment, among: Sequence[Deployment]) -> Finding:
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

    async def judge(self, one: Deployment, among: Sequence[Deployment]) -> Finding:
        """See `Proof.judge`."""
        earlier = _before(one, among)
        if one.commit_hash:
            chosen = {other.commit_hash for other in earlier[1:]} - {other.commit_hash for other in earlier[:1]}
            if one.commit_hash in chosen:
                return Finding(Verdict.UNKNOWN, "its commit was deployed earlier, so somebody may have chosen it")
            return _ASKED_FOR
        found = await self.zip_of(one)
        if found is None:
            return _no_zip(one, "the service shows neither its commit nor its ZIP")
        if not earlier:
            return Finding(Verdict.UNKNOWN, "there is no deployment before it to compare it with")
        before = await self.zip_of(earlier[0])
        if before is None:
            return Finding(Verdict.UNKNOWN, "the ZIP of the deployment before it cannot be had")
        if found == before:
            return _ASKED_FOR
        if earlier[0].status.is_success:
            return _OTHER
        return Finding(Verdict.UNKNOWN, "its ZIP is not that of the deployment before it, which did not succeed")


def _no_zip(one: Deployment, why: str = "its ZIP cannot be had") -> Finding:
    if one.status.is_in_flight:
        return Finding(Verdict.NOT_YET, "its ZIP can be compared only when it has ended; deploy() waits for that")
    return Finding(Verdict.UNKNOWN, why)


def _before(one: Deployment, among: Sequence[Deployment]) -> list[Deployment]:
    """Return the deployments before one, the newest first."""
    number = one.deployment_number
    if number is None:
        return []
    numbered = [(other.deployment_number, other) for other in among if other.deployment_number is not None]
    return [other for at, other in sorted(numbered, key=lambda pair: -pair[0]) if at < number]
