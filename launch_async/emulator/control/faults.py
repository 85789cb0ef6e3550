"""Failures on demand: before the server acts, after it acted, or in the middle of its answer."""

import random
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Literal, TypeAlias, get_args

from attrs import define, field
from attrs.validators import ge, in_, instance_of, optional

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
"""How a request fails; `Faults.add` explains the kinds."""

KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@define(eq=False, kw_only=True)
class Fault:
    """One rule about which requests fail, and how; `Faults.add` explains the fields."""

    kind: FaultKind = field(validator=in_(KINDS))
    operation: str | None = None
    method: str | None = None
    nth: int | None = field(default=None, validator=optional(ge(1)))
    times: int | None = field(default=None, validator=optional(ge(1)))
    probability: float = field(default=1.0, validator=[instance_of((int, float)), ge(0)])
    status: int = field(default=503, validator=ge(200))
    delay: float = field(default=0.0, validator=ge(0))
    body: str | None = None
    headers: Mapping[str, str] = field(factory=dict[str, str])
    met: int = 0
    struck: int = 0
    dice: random.Random = field(factory=random.Random, repr=False)

    def strikes(self, operation: str, method: str) -> bool:
        """Whether this request is to fail; counts it if it matches."""
        if self.operation not in (None, operation) or self.method not in (None, method):
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        self.met += 1
        if self.nth is not None and self.met != self.nth:
            return False
        if self.probability < 1.0 and self.dice.random() >= self.probability:
            return False
        self.struck += 1
        return True


class Faults:
    """The rules in force, in the order they were added; the first that strikes decides a request."""

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
            kind: ``status_before`` answers without acting, ``status_after`` acts first, and ``status`` does what the
                option ``failures_act`` says; ``late`` answers at once, and acts ``delay`` seconds later;
                ``reset_before`` and ``reset_after`` drop the connection; ``truncate`` acts and sends half of the body;
                ``empty`` acts and answers 200 with nothing; ``html`` is a gateway's 502 page, without acting; ``delay``
                acts ``delay`` seconds later; ``retry_after`` is a 429 with ``Retry-After``, without acting.
            operation: only this operationId; ``uploadArchive`` and ``downloadArchive`` are what storage does.
            method: only this HTTP method.
            nth: only the n-th matching request, counted from 1.
            times: strike at most so often.
            probability: strike with this probability.
            seed: of the dice for ``probability``.
            status: for the kinds with a status; 503 by default, 504 for ``late``.
            delay: seconds, 1 by default, for ``delay``, ``late`` and ``retry_after`` (its header).
            body: in place of the default body of an error.
            headers: further response headers.

        Raises:
            ValueError: a value out of its range, an operation that does not exist, or a header that cannot be sent.
        """
        if operation is not None and operation not in self._operations:
            raise ValueError(f"there is no operation {operation!r}{_perhaps(operation, self._operations)}")
        if any(character < " " for header in (headers or {}).items() for text in header for character in text):
            raise ValueError("a header holds a control character, such as a line break")
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
            dice=random.Random(seed),  # noqa: S311
        )
        self.active.append(fault)
        return fault

    def clear(self) -> None:
        """Let everything work again."""
        self.active.clear()

    def pick(self, operation: str, method: str) -> Fault | None:
        """The rule that strikes this request, if any."""
        for fault in self.active:
            if fault.strikes(operation, method):
                return fault
        return None


def _perhaps(wrong: str, names: Iterable[str]) -> str:
    """The name that may be meant; without one, all names."""
    close = get_close_matches(wrong, names, n=1)
    return f"; perhaps {close[0]}" if close else f"; there are {', '.join(sorted(names))}"
