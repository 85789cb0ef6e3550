"""Faults: requests fail before the server acts, after the server has acted, or in the middle of a response."""

import random
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Literal, TypeAlias, get_args

from attrs import define, field
from attrs.validators import ge, instance_of, optional

from launch_async.emulator.options import one_of

FaultKind: TypeAlias = Literal[
    "status_before",
    "status_after",
    "status",
    "late",
    "reset_before",
    "reset_after",
    "truncate",
    "empty",
    "html",
    "delay",
    "retry_after",
]
"""How a request fails; `Faults.add` describes the kinds."""

KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@define(eq=False, kw_only=True)
class Fault:
    """One rule: which requests fail, and how. `Faults.add` describes the other attributes.

    Attributes:
        matched: Number of requests so far with the operation and the method of the rule.
        applied: Number of requests so far that failed because of the rule.
    """

    kind: FaultKind = field(validator=one_of(KINDS))
    operation: str | None = None
    method: str | None = None
    nth: int | None = field(default=None, validator=optional(ge(1)))
    times: int | None = field(default=None, validator=optional(ge(1)))
    probability: float = field(default=1.0, validator=[instance_of((int, float)), ge(0.0)])
    status: int = field(default=503, validator=ge(200))
    delay: float = field(default=0.0, validator=ge(0.0))
    body: str | None = None
    headers: Mapping[str, str] = field(factory=dict[str, str])
    matched: int = 0
    applied: int = 0
    _rng: random.Random = field(factory=random.Random, alias="rng", repr=False)

    def applies_to(self, operation: str, method: str) -> bool:
        """Return whether the rule applies to a request, and count the request."""
        if self.operation not in (None, operation) or self.method not in (None, method):
            return False
        if self.times is not None and self.applied >= self.times:
            return False
        self.matched += 1
        if self.nth is not None and self.matched != self.nth:
            return False
        if self.probability < 1.0 and self._rng.random() >= self.probability:
            return False
        self.applied += 1
        return True


class Faults:
    """The active rules, in the order in which they were added. The first rule that applies to a request decides.

    Attributes:
        active: The rules.
    """

    def __init__(self, operations: Iterable[str]) -> None:
        self._operations = frozenset(operations)
        self.active: list[Fault] = []

    def add(
        self,
        kind: FaultKind,
        *,
        operation: str | None = None,
        method: str | None = None,
        nth: int | None = None,
        times: int | None = None,
        probability: float = 1.0,
        seed: int | None = None,
        status: int | None = None,
        delay: float | None = None,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """Make requests fail.

        Args:
            kind: How the request fails.

                - ``status_before`` returns a status and does not act.
                - ``status_after`` acts, and then returns a status.
                - ``status`` returns a status. The option ``failures_act`` decides whether the server acts.
                - ``late`` responds immediately, and acts ``delay`` seconds later.
                - ``reset_before`` drops the connection and does not act.
                - ``reset_after`` acts, and then drops the connection.
                - ``truncate`` acts, and sends half of the body.
                - ``empty`` acts, and returns 200 with an empty body.
                - ``html`` returns the 502 page of a gateway and does not act.
                - ``delay`` waits ``delay`` seconds, and then acts and responds.
                - ``retry_after`` returns 429 with ``Retry-After`` and does not act.
            operation: Fail only requests with this operationId. The operations of storage are ``uploadArchive`` and
                ``downloadArchive``.
            method: Fail only requests with this HTTP method.
            nth: Fail only the n-th matching request, counted from 1.
            times: Maximum number of requests that fail.
            probability: Probability with which a matching request fails, from 0 to 1.
            seed: Seed of the random numbers for ``probability``.
            status: Status of the response; by default 503, or 504 for ``late``.
            delay: Seconds for ``delay`` and ``late``, and for the header of ``retry_after``; by default 1.
            body: Body of the response, instead of a default body.
            headers: Further headers of the response.

        Raises:
            ValueError: A value is out of its range, the operation does not exist, or a header cannot be sent.
        """
        if operation is not None and operation not in self._operations:
            raise ValueError(f"There is no operation {operation!r}. {_suggestion(operation, self._operations)}")
        if any(character < " " for header in (headers or {}).items() for text in header for character in text):
            raise ValueError("A header contains a control character, such as a line break: remove the character")
        fault = Fault(
            kind=kind,
            operation=operation,
            method=None if method is None else method.upper(),
            nth=nth,
            times=times,
            probability=probability,
            status=(504 if kind == "late" else 503) if status is None else status,
            delay=1.0 if delay is None else delay,
            body=body,
            headers=dict(headers or {}),
            rng=random.Random(seed),  # noqa: S311
        )
        self.active.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all rules."""
        self.active.clear()

    def pick(self, operation: str, method: str) -> Fault | None:
        """Return the first rule that applies to a request; None if no rule applies."""
        for fault in self.active:
            if fault.applies_to(operation, method):
                return fault
        return None


def _suggestion(wrong: str, names: Iterable[str]) -> str:
    """Return a hint with the closest name, or with all names if none is close."""
    close = get_close_matches(wrong, names, n=1)
    return f"Did you mean {close[0]}?" if close else f"The operations are {', '.join(sorted(names))}."
