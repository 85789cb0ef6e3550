"""The journal: what a run meant to do, and what became of it, so that a killed run can be finished and done once.

An intent is written before the request and its outcome after. `launch_async.fleet.journal.file` keeps both in a file.
A journal holds no secret: a plan has none, and errors are kept by name and by their redacted text.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol, Self, cast

import attrs

from launch_async.fleet.plan.plan import Plan

__all__ = ["Entry", "Journal", "OperationState", "moment_of", "text_of"]


class OperationState(enum.StrEnum):
    """How far an operation is."""

    PLANNED = "planned"
    """Nothing was sent."""
    INTENDED = "intended"
    """A request was about to be sent: whether it was is not known."""
    SENT = "sent"
    """The service has accepted it; a deployment goes on."""
    SUCCEEDED = "succeeded"
    """Done."""
    FAILED = "failed"
    """Done, without success; nothing goes on."""
    SKIPPED = "skipped"
    """Left alone on purpose."""
    AMBIGUOUS = "ambiguous"
    """It may have been done, and nobody can tell."""

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to do."""
        return self not in (OperationState.PLANNED, OperationState.INTENDED, OperationState.SENT)


@attrs.frozen(kw_only=True)
class Entry:
    """What a journal knows of one operation.

    Attributes:
        key: Key of the operation.
        state: How far it is.
        intended_at: When it was about to be sent, by the service's clock.
        deployment_uid: The deployment that it created or was attached to.
        ended_at: When it ended.
        attempts: How often it was tried, over all runs.
        requests: Requests that it took, over all runs.
        detail: Further facts for the report, without a secret.
    """

    key: str
    state: OperationState = OperationState.PLANNED
    intended_at: datetime | None = None
    deployment_uid: str | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    requests: int = 0
    detail: Mapping[str, object] = attrs.field(factory=lambda: cast("dict[str, object]", {}))

    def to_dict(self) -> dict[str, object]:
        """Return the entry as plain data that JSON can express, for a journal that is kept elsewhere."""
        return {
            **attrs.asdict(self),
            "state": str(self.state),
            "intended_at": text_of(self.intended_at),
            "ended_at": text_of(self.ended_at),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> Self:
        """Read what `to_dict` wrote.

        Raises:
            ValueError: It is no entry.
        """
        try:
            return cls(
                key=str(document["key"]),
                state=OperationState(str(document["state"])),
                intended_at=moment_of(document["intended_at"]),
                deployment_uid=cast("str | None", document["deployment_uid"]),
                ended_at=moment_of(document["ended_at"]),
                attempts=cast("int", document["attempts"]),
                requests=cast("int", document["requests"]),
                detail=dict(cast("Mapping[str, object]", document["detail"])),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no journal entry: {error!r}") from error


class Journal(Protocol):
    """What a run asks of its journal; implement it to keep one elsewhere, as in a shared database.

    Every method must be durable when it returns: a process may be killed right after. Implementations refuse a second
    runner between `open` and `close`, and give the journal free when the process that has it dies. Plans and entries
    are stored as JSON: `Plan.to_json`, `Entry.to_dict`.
    """

    def open(self, plan: Plan | None, *, check: Callable[[Plan], None]) -> Plan:
        """Take the journal for this run: begin it with a plan, or go on with the plan that it holds.

        Args:
            plan: The plan to begin with; None to go on.
            check: Is asked before the journal is touched; what it raises leaves the journal as it is.

        Raises:
            JournalInUse: Another run has it.
            JournalError: It cannot be used otherwise; it was left as it was.
        """
        ...

    def entries(self) -> Sequence[Entry]:
        """Return what is known of every operation, in the plan's order."""
        ...

    def write(self, entry: Entry) -> None:
        """Replace what is known of one operation."""
        ...

    def close(self) -> None:
        """Give the journal back."""
        ...


def text_of(moment: datetime | None) -> str | None:
    """Return a time as text in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat()


def moment_of(text: object) -> datetime | None:
    """Read what `text_of` wrote."""
    return None if text is None else datetime.fromisoformat(str(text))
