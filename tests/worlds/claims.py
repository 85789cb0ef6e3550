"""What callers asked for, and what they were told: the one side of what the oracle compares."""

from __future__ import annotations

import enum

import attrs

__all__ = ["Claim", "Told"]


class Told(enum.StrEnum):
    """What a caller was told about an operation."""

    MADE = "made"
    """It was done, and this is what it made."""
    WRITTEN = "written"
    """It was done, and made nothing."""
    UNKNOWN = "unknown"
    """It may have been done, and nobody can tell."""
    FAILED = "failed"
    """It was not done."""
    LATER = "later"
    """It was begun, and its end is not known."""
    NOTHING = "nothing"
    """Nothing: the process was killed, or the operation is still open."""


@attrs.define(eq=False)
class Claim:
    """One operation.

    Attributes:
        job: On whose behalf it was sent: the author in the ledger.
        noun: What it makes.
        place: UID of what that belongs to.
        name: The name asked for.
        commit: The commit asked for.
        content: SHA-256 of the ZIP asked for.
        looks_first: Whether the workflow promises to know what was there before it sends anything.
        told: What the caller was told.
        uid: UID that the caller was given.
        text: Further words, for the trace.
    """

    job: str
    noun: str
    place: str = ""
    name: str = ""
    commit: str | None = None
    content: str | None = None
    looks_first: bool = False
    variables: dict[str, str] = attrs.field(factory=dict)
    told: Told = Told.NOTHING
    uid: str | None = None
    text: str = ""

    @property
    def process(self) -> str:
        """Name of the process that asked."""
        return self.job.partition("/")[0]

    @property
    def is_own_source(self) -> bool:
        """Whether it is a deployment that names no source."""
        return self.noun == "deployment" and self.commit is None and self.content is None
