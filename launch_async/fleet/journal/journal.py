"""The journal of a run: the intent of each operation and its outcome, so that a killed run can be resumed.

A run writes the intent before the request, and the outcome after the answer. `launch_async.fleet.journal.file` keeps
both in a file. A journal contains no secrets: plans have none, and errors are stored by name and redacted text.
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
    """The state of an operation."""

    PLANNED = "planned"
    """Nothing was sent."""
    INTENDED = "intended"
    """A request was about to be sent, and may have been sent."""
    SENT = "sent"
    """The service has accepted the request, and the deployment has not ended."""
    SUCCEEDED = "succeeded"
    """The operation succeeded."""
    FAILED = "failed"
    """The operation failed."""
    SKIPPED = "skipped"
    """The run skipped the target on purpose."""
    AMBIGUOUS = "ambiguous"
    """The operation may have been carried out, and the run cannot find out whether it was."""

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to do."""
        return self not in (OperationState.PLANNED, OperationState.INTENDED, OperationState.SENT)

    @property
    def in_words(self) -> str:
        """The state in progress output: `sending` for `intended`, otherwise the value."""
        return "sending" if self is OperationState.INTENDED else str(self)


@attrs.frozen(kw_only=True)
class Entry:
    """The state of one operation in a journal.

    Attributes:
        key: Key of the operation.
        state: State of the operation.
        intended_at: When the request was about to be sent, by the service's clock.
        deployment_uid: UID of the deployment that was created, adopted or attached to.
        ended_at: When the operation ended.
        attempts: Number of attempts in all runs.
        requests: Number of requests in all runs.
        detail: Further facts for the report, without secrets.
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
        """Return the entry as plain data that JSON can express."""
        return {
            **attrs.asdict(self),
            "state": str(self.state),
            "intended_at": text_of(self.intended_at),
            "ended_at": text_of(self.ended_at),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> Self:
        """Return the entry that `to_dict` wrote.

        Raises:
            ValueError: The document is not an entry.
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
            raise ValueError(f"this is not a journal entry: {error!r}") from error


class Journal(Protocol):
    """The interface of a journal. Implement it to keep journals elsewhere, for example in a shared database.

    The data must be durable when a method returns, because the process may be killed right after. Implementations
    refuse a second run between `open` and `close`, and release the journal when its process dies. Plans and entries are
    stored as JSON: `Plan.to_json`, `Entry.to_dict`.
    """

    def open(self, plan: Plan | None, *, check: Callable[[Plan], None]) -> Plan:
        """Open and lock the journal for this run. Start it with a plan, or continue with the plan in the journal.

        Args:
            plan: The plan of a new run; None to continue with the plan in the journal.
            check: Called with the plan before the journal is changed. If it raises an error, the journal stays
                unchanged.

        Raises:
            JournalInUse: Another run uses the journal.
            JournalError: The journal cannot be used. It was left unchanged.
        """
        ...

    def entries(self) -> Sequence[Entry]:
        """Return the entry of every operation, in the plan's order."""
        ...

    def write(self, entry: Entry) -> None:
        """Replace the entry of one operation."""
        ...

    def close(self) -> None:
        """Release the journal."""
        ...


def text_of(moment: datetime | None) -> str | None:
    """Return a time as text in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat()


def moment_of(text: object) -> datetime | None:
    """Return the time that `text_of` wrote."""
    return None if text is None else datetime.fromisoformat(str(text))
