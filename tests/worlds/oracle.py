"""The oracle: compares the service's ledger with what callers were told, when a world has ended."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from tests.worlds.chance import LISTED_WITHIN
from tests.worlds.claims import Claim, Told
from tests.worlds.network import Account
from tests.worlds.service import Made, Service, short

__all__ = ["Kind", "Violation", "violations_of"]

_UNSEEN_FOR: Final = LISTED_WITHIN + 10.0
"""Seconds before the first send in which a deployment may be made that no listing can have shown by then."""


class Kind(enum.StrEnum):
    """What can be wrong with a world."""

    TWICE = "twice"
    """Something was done twice."""
    LOST = "lost"
    """Something was reported as done, and was not."""
    FOREIGN = "foreign"
    """What somebody else has made was taken for ours."""
    DENIED = "denied"
    """Something was reported as not done, and was done."""
    DISHONEST = "dishonest"
    """Something was reported as unknown although nothing of it was ever in doubt."""
    HANG = "hang"
    """The world did not end."""
    CRASH = "crash"
    """Something was raised that is no error of the SDK's."""


@attrs.frozen
class Violation:
    """One thing that must not be."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def violations_of(claims: Sequence[Claim], service: Service, account: Account) -> list[Violation]:
    """Return all that must not be."""
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
    story = f"{claim.job} at {short(claim.place)} was told {claim.told} ({claim.text}), and {made} was made"
    if len(ours) > 1:
        yield Violation(Kind.TWICE, story)
    match claim.told:
        case Told.MADE:
            entry = service.by_uid(claim.uid or "")
            if entry is None or not _is_ours(claim, entry, account):
                whose = "nobody's" if entry is None else f"{entry.author}'s"
                kind = Kind.FOREIGN if ours else Kind.LOST
                yield Violation(Kind.FOREIGN if entry else kind, f"{story}; {short(claim.uid or '')} is {whose}")
        case Told.WRITTEN:
            written = [whole for author, place, whole in service.writes if author == claim.job and place == claim.place]
            now = service.by_uid(claim.place)
            if now is None or any(now.variables.get(key) != value for key, value in claim.variables.items()):
                yield Violation(Kind.LOST, f"{story}; it was written {len(written)} times")
        case Told.FAILED if ours:
            yield Violation(Kind.DENIED, story)
        case Told.UNKNOWN if not in_doubt:
            yield Violation(Kind.DISHONEST, story)
        case _:
            pass


def _is_ours(claim: Claim, entry: Made, account: Account) -> bool:
    """Return whether an entry is what a claim asked for.

    If a claim asked for the environment's own source, every deployment of that source since then is as good: no look-up
    can tell them apart.
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
    """Say what two callers of one process were both told to be theirs."""
    taken = Counter((claim.process, claim.uid) for claim in claims if claim.told is Told.MADE)
    for (process, uid), count in taken.items():
        if count > 1:
            jobs = ", ".join(claim.job for claim in claims if (claim.process, claim.uid) == (process, uid))
            yield Violation(Kind.FOREIGN, f"{short(uid or '')} was given to {jobs}")
