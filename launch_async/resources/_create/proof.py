"""Rules that prove that a creation requested an object.

The proof depends on the kind of object:

- A project or an environment: its name. Two objects with the same parent never have the same name.
- A deployment of a commit: its commit.
- A deployment of an upload: the bytes of its ZIP.
- A deployment of the environment's own source: its commit, if the last deployment before this call has the same commit,
  or if there was no such deployment and no other program has deployed since. Or its ZIP, if the previous deployment
  has the same ZIP.

A rule does not check the time of creation, because `ReconcilingCreate` does. An undecided rule proves nothing.
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
"""Returns the SHA-256 of the ZIP that a deployment was built from; None if the ZIP is not available."""


class Verdict(enum.Enum):
    """The result of a rule for one object."""

    REQUESTED = enum.auto()
    """The creation requested the object."""
    OTHER = enum.auto()
    """The creation did not request the object."""
    NOT_YET = enum.auto()
    """The rule can decide only when the deployment has ended."""
    UNKNOWN = enum.auto()
    """The rule cannot decide."""


@attrs.frozen
class Finding:
    """A verdict, and the reason if it is not a proof."""

    verdict: Verdict
    why: str = ""


_REQUESTED: Final = Finding(Verdict.REQUESTED)
_OTHER: Final = Finding(Verdict.OTHER)


@attrs.frozen
class Before(Generic[B]):
    """The objects that were created before an object, if known.

    Attributes:
        earlier: Objects that were created before the object, newest first.
        calls: Objects that may be the last object before this call first sent its request; empty if there was none.
        is_expected: Whether this program requested at least as many objects as were created since then.
    """

    earlier: Sequence[B] = ()
    calls: Sequence[B] = ()
    is_expected: bool = True

    @property
    def it(self) -> B | None:
        """The object that was created right before the object; None if there is none."""
        return next(iter(self.earlier), None)


class Proof(Protocol[C_contra]):
    """A rule for one creation."""

    @property
    def is_possible(self) -> bool:
        """Whether the rule can prove anything."""
        ...

    @property
    def is_exact(self) -> bool:
        """Whether the request names its source, so that `fits` can decide."""
        ...

    def fits(self, candidate: C_contra) -> bool:
        """Return whether an object may be the requested object, without sending a request."""
        ...

    async def judge(self, candidate: C_contra, before: Before[C_contra]) -> Finding:
        """Return the finding for an object, given the objects that were created before it."""
        ...


class NameProof(Generic[N]):
    """Proves by a name. The look-up returns only objects with this name."""

    is_possible = True
    is_exact = True

    def fits(self, candidate: N) -> bool:
        """See `Proof.fits`."""
        return True

    async def judge(self, candidate: N, before: Before[N]) -> Finding:
        """See `Proof.judge`."""
        return _REQUESTED


@attrs.frozen
class CommitProof:
    """Proves by a commit. Either of the two hashes may be the short form."""

    commit_hash: str
    is_possible: bool = attrs.field(default=True, init=False)
    is_exact: bool = attrs.field(default=True, init=False)

    def fits(self, candidate: Deployment) -> bool:
        """See `Proof.fits`."""
        shown = candidate.commit_hash
        return not shown or shown.startswith(self.commit_hash) or self.commit_hash.startswith(shown)

    async def judge(self, candidate: Deployment, before: Before[Deployment]) -> Finding:
        """See `Proof.judge`."""
        if not candidate.commit_hash:
            return Finding(Verdict.UNKNOWN, "the service does not report its commit")
        return _REQUESTED if self.fits(candidate) else _OTHER


@attrs.frozen
class UploadProof:
    """Proves by the bytes of the ZIP. The SHA-256 of the upload is None if it is not known."""

    sha256: str | None
    zip_of: ZipOf
    is_exact: bool = attrs.field(default=True, init=False)
    _others: set[str] = attrs.field(factory=set[str], init=False)

    @property
    def is_possible(self) -> bool:
        """See `Proof.is_possible`."""
        return self.sha256 is not None

    def fits(self, candidate: Deployment) -> bool:
        """See `Proof.fits`."""
        return candidate.uid not in self._others

    async def judge(self, candidate: Deployment, before: Before[Deployment]) -> Finding:
        """See `Proof.judge`."""
        if self.sha256 is None:
            return Finding(Verdict.UNKNOWN, "create() cannot compare it with the uploaded ZIP, but deploy() can")
        found = await self.zip_of(candidate)
        if found is None:
            return _no_zip(candidate)
        if found == self.sha256:
            return _REQUESTED
        self._others.add(candidate.uid)
        return _OTHER


@attrs.frozen
class OwnSourceProof:
    """Proves by the environment's own source: the newest commit, or the ZIP of the last deployment."""

    zip_of: ZipOf
    is_possible: bool = attrs.field(default=True, init=False)
    is_exact: bool = attrs.field(default=False, init=False)

    def fits(self, candidate: Deployment) -> bool:
        """See `Proof.fits`."""
        return True

    async def judge(self, candidate: Deployment, before: Before[Deployment]) -> Finding:
        """See `Proof.judge`."""
        if candidate.commit_hash:
            if not before.calls:
                return _REQUESTED if before.is_expected else Finding(Verdict.UNKNOWN, "there are other new deployments")
            if all(call.commit_hash == candidate.commit_hash for call in before.calls):
                return _REQUESTED
            return Finding(
                Verdict.UNKNOWN, "its commit differs from the last one, so another program may have chosen it"
            )
        found = await self.zip_of(candidate)
        if found is None:
            return _no_zip(candidate, "the service returns neither its commit nor its ZIP")
        calls = [await self.zip_of(call) for call in before.calls]
        if (calls and set(calls) == {found}) or (before.it is not None and await self.zip_of(before.it) == found):
            return _REQUESTED
        sources = _possible_sources(candidate, before.earlier)
        known = [await self.zip_of(other) for other in sources]
        if known and None not in known and found not in known:
            return _OTHER
        return Finding(
            Verdict.UNKNOWN, "its ZIP differs from the last ZIP, whose deployment failed or which is not available"
        )


def _possible_sources(candidate: Deployment, earlier: Sequence[Deployment]) -> list[Deployment]:
    """Return the deployments whose ZIP the service may have deployed again, back to the last successful one.

    The list is empty if some of these deployments may not be listed yet.
    """
    sources: list[Deployment] = []
    number = candidate.deployment_number
    for other in earlier:
        if number is None or other.deployment_number != number - 1:
            return []
        sources.append(other)
        if other.status.is_success:
            return sources
        number = other.deployment_number
    return sources if number == 1 else []


def _no_zip(candidate: Deployment, why: str = "its ZIP is not available") -> Finding:
    if candidate.status.is_in_flight:
        return Finding(Verdict.NOT_YET, "its ZIP is not available before it ends. deploy() waits for the end")
    return Finding(Verdict.UNKNOWN, why)
