"""The record of every request that arrived and of everything that was really created, to ask after a test."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

from attrs import define, frozen

Noun = Literal["project", "environment", "deployment"]
Purged = Literal["path", "prefix", "tag", "hostname"]


@define(eq=False)
class LedgerEntry:
    """One request.

    Attributes:
        operation: its operationId in the API document; otherwise ``site``, ``uploadArchive``, ``downloadArchive`` or
            ``unknown``.
        method: HTTP method.
        path: path without the query, which may hold signatures.
        organization: uid of the organization it was counted for; None where no valid credential told.
        arrival: when it arrived, in seconds of the clock's ``ticks``: of `time.monotonic`, unless chosen otherwise.
        status: status of the answer; None while it is under way or if the connection was dropped instead.
        refused: whether the budget refused it.
        credentials: names, never values, of the headers that held credentials.
    """

    operation: str
    method: str
    path: str
    arrival: float
    credentials: tuple[str, ...] = ()
    organization: str | None = None
    status: int | None = None
    refused: bool = False


@frozen
class Creation:
    """One thing that came into being.

    Attributes:
        noun: what it is.
        uid: its uid.
        name: its name; of a deployment, its number.
        parent: uid of what it belongs to; of a project, the organization's.
    """

    noun: Noun
    uid: str
    name: str
    parent: str


@frozen
class Purge:
    """One thing that a revalidation purged.

    Attributes:
        environment_uid: of which environment.
        kind: what kind of thing.
        what: its path, tag or host name.
    """

    environment_uid: str
    kind: Purged
    what: str


class Ledger:
    """What has happened since the emulator started, or since `clear`.

    Attributes:
        requests: every request, in order of arrival.
        created: what requests, and pushes to Git, created, in that order; `add_project` is not in it.
        purged: everything that revalidations purged from the CDN.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self.requests: list[LedgerEntry] = []
        self.created: list[Creation] = []
        self.purged: list[Purge] = []

    def arrive(self, operation: str, method: str, path: str, credentials: tuple[str, ...]) -> LedgerEntry:
        """Note a request that arrives now."""
        entry = LedgerEntry(operation, method, path, self._ticks(), credentials)
        self.requests.append(entry)
        return entry

    def count(self, operation: str | None = None, status: int | None = None) -> int:
        """How many requests there were, of one operation or with one status if asked."""
        return sum(1 for _ in self._matching(operation, status))

    def max_in_window(
        self, seconds: float = 1.0, *, organization: str | None = None, include_refused: bool = True
    ) -> int:
        """The largest number of an organization's requests (None: of all organizations) that arrived in any window.

        Only requests that count against the budget are looked at. A window of ``seconds`` is open at its end.
        """
        window: deque[float] = deque()
        largest = 0
        for entry in self.requests:
            if entry.organization is None or organization not in (None, entry.organization):
                continue
            if entry.refused and not include_refused:
                continue
            window.append(entry.arrival)
            while window[0] <= entry.arrival - seconds:
                window.popleft()
            largest = max(largest, len(window))
        return largest

    def clear(self) -> None:
        """Forget everything noted so far."""
        self.requests.clear()
        self.created.clear()
        self.purged.clear()

    def _matching(self, operation: str | None, status: int | None) -> Iterator[LedgerEntry]:
        for entry in self.requests:
            if operation in (None, entry.operation) and status in (None, entry.status):
                yield entry
