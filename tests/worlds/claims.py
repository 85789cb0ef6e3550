"""The operations that callers requested, and the results that they got. The oracle compares these with the ledger."""

from __future__ import annotations

import enum

import attrs

__all__ = ["Claim", "Reported"]


class Reported(enum.StrEnum):
    """The result that a caller got for an operation."""

    MADE = "made"
    """The operation was done, and created this object."""
    WRITTEN = "written"
    """The operation was done, and created nothing."""
    UNKNOWN = "unknown"
    """The operation may have been done, and its outcome is unknown."""
    FAILED = "failed"
    """The operation was not done."""
    LATER = "later"
    """The operation began, and its end is unknown."""
    NOTHING = "nothing"
    """The caller got no result: the process was killed, or the operation is still running."""


@attrs.define(eq=False)
class Claim:
    """One operation.

    Attributes:
        job: The job that sent the request, which is the author in the ledger.
        noun: The kind of object that the operation creates.
        place: UID of the parent object.
        name: The requested name.
        commit: The requested commit.
        content: SHA-256 of the requested ZIP.
        looks_first: Whether the workflow must know the earlier deployments before it sends a request.
        reported: The result that the caller got.
        uid: UID that the caller got.
        text: More details for the trace.
    """

    job: str
    noun: str
    place: str = ""
    name: str = ""
    commit: str | None = None
    content: str | None = None
    looks_first: bool = False
    variables: dict[str, str] = attrs.field(factory=dict)
    reported: Reported = Reported.NOTHING
    uid: str | None = None
    text: str = ""

    @property
    def process(self) -> str:
        """Name of the process that requested the operation."""
        return self.job.partition("/")[0]

    @property
    def is_own_source(self) -> bool:
        """Whether the claim is a deployment without a named source."""
        return self.noun == "deployment" and self.commit is None and self.content is None
