"""The oracle: compares the service's ledger with the results that the callers got, at the end of a world."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from tests.worlds.chance import LISTED_WITHIN
from tests.worlds.claims import Claim, Reported
from tests.worlds.network import Account
from tests.worlds.service import Made, Service, short

__all__ = ["Kind", "Violation", "violations_of"]

_UNSEEN_FOR: Final = LISTED_WITHIN + 10.0
"""Seconds before the first send. A deployment that is created in this time may be in no listing yet."""


class Kind(enum.StrEnum):
    """The kinds of violations."""

    TWICE = "twice"
    """An operation was done twice."""
    LOST = "lost"
    """An operation was reported as done, and was not done."""
    FOREIGN = "foreign"
    """An object of another program was adopted."""
    DENIED = "denied"
    """An operation was reported as not done, and was done."""
    DISHONEST = "dishonest"
    """An operation was reported as unknown although no answer about it was lost."""
    HANG = "hang"
    """The world did not end."""
    CRASH = "crash"
    """The SDK raised an exception that is no error of the SDK."""


@attrs.frozen
class Violation:
    """One broken promise."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def violations_of(claims: Sequence[Claim], service: Service, account: Account) -> list[Violation]:
    """Return all violations."""
    found: list[Violation] = []
    for claim in claims:
        ours = _made_for(claim, service)
        found += _of_claim(claim, ours, service, account)
    return [*found, *_taken_twice(claims)]


def _made_for(claim: Claim, service: Service) -> list[Made]:
    return [
        one
        for one in service.ledger
        if one.author == claim.job and one.noun == claim.noun and one.parent == claim.place and not one.is_implied
    ]


def _of_claim(claim: Claim, ours: Sequence[Made], service: Service, account: Account) -> Iterator[Violation]:
    in_doubt = account.lost[claim.job, claim.place] > 0
    made = ", ".join(short(one.uid) for one in ours) or "nothing"
    story = f"{claim.job} at {short(claim.place)} got {claim.reported} ({claim.text}), and {made} was made"
    if len(ours) > 1:
        yield Violation(Kind.TWICE, story)
    match claim.reported:
        case Reported.MADE:
            entry = service.by_uid(claim.uid or "")
            if entry is None or not _is_ours(claim, entry, account):
                whose = "nobody's" if entry is None else f"{entry.author}'s"
                kind = Kind.FOREIGN if ours else Kind.LOST
                yield Violation(Kind.FOREIGN if entry else kind, f"{story}; {short(claim.uid or '')} is {whose}")
        case Reported.WRITTEN:
            written = [whole for author, place, whole in service.writes if author == claim.job and place == claim.place]
            now = service.by_uid(claim.place)
            if now is None or any(now.variables.get(key) != value for key, value in claim.variables.items()):
                yield Violation(Kind.LOST, f"{story}; it was written {len(written)} times")
        case Reported.FAILED if ours:
            yield Violation(Kind.DENIED, story)
        case Reported.UNKNOWN if not in_doubt:
            yield Violation(Kind.DISHONEST, story)
        case _:
            pass


def _is_ours(claim: Claim, entry: Made, account: Account) -> bool:
    """Return whether an entry is the result of a claim.

    If a claim requested the default source of the environment, every later deployment of that source counts. The
    service shows no difference between them.
    """
    if (entry.noun, entry.parent) != (claim.noun, claim.place):
        return False
    if claim.is_own_source:
        first_sent = account.first_sent.get((claim.job, claim.place), 0.0)
        return entry.is_own_source and (not claim.looks_first or entry.at >= first_sent - _UNSEEN_FOR)
    same = (entry.commit == claim.commit if claim.commit else True) and (
        entry.content == claim.content if claim.content else True
    )
    return entry.author == claim.job and same


def _taken_twice(claims: Sequence[Claim]) -> Iterator[Violation]:
    """Yield the objects that two callers of one process got."""
    taken = Counter((claim.process, claim.uid) for claim in claims if claim.reported is Reported.MADE)
    for (process, uid), count in taken.items():
        if count > 1:
            jobs = ", ".join(claim.job for claim in claims if (claim.process, claim.uid) == (process, uid))
            yield Violation(Kind.FOREIGN, f"{short(uid or '')} was given to {jobs}")
