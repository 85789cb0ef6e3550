"""The ledger: all requests that arrived, and all resources that requests created or purged."""

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
        operation: OperationId in the API document; otherwise ``site``, ``uploadArchive``, ``downloadArchive`` or
            ``unknown``.
        method: HTTP method.
        path: Path without the query, which may contain signatures.
        organization: UID of the organization whose rate limit counted the request; None without a valid credential.
        arrival: Time of arrival in seconds of the clock's ``ticks``, which is `time.monotonic` by default.
        status: Status of the response; None while the request is running, or if the connection was dropped.
        refused: Whether the rate limit refused the request.
        credentials: Names of the headers that contained credentials, never their values.
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
    """A project, an environment or a deployment that was created.

    Attributes:
        noun: Kind of the resource.
        uid: UID of the resource.
        name: Name of the resource; of a deployment, its number.
        parent: UID of the organization, the project or the environment that contains the resource.
    """

    noun: Noun
    uid: str
    name: str
    parent: str


@frozen
class Purge:
    """A path, a tag or a host name that a revalidation purged.

    Attributes:
        environment_uid: UID of the environment.
        kind: Kind of the purge.
        what: The purged path, tag or host name.
    """

    environment_uid: str
    kind: Purged
    what: str


class Ledger:
    """Everything that has happened since the emulator started, or since `clear`.

    Attributes:
        requests: Every request, in order of arrival.
        created: Everything that requests and pushes to Git created, in order of creation. It does not contain projects
            from `add_project`.
        purged: Everything that revalidations purged from the CDN.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self.requests: list[LedgerEntry] = []
        self.created: list[Creation] = []
        self.purged: list[Purge] = []

    def record(self, operation: str, method: str, path: str, credentials: tuple[str, ...]) -> LedgerEntry:
        """Add a request that arrives now, and return its entry."""
        entry = LedgerEntry(operation, method, path, self._ticks(), credentials)
        self.requests.append(entry)
        return entry

    def count(self, operation: str | None = None, status: int | None = None) -> int:
        """Return the number of requests, optionally only of one operation or with one status."""
        return sum(1 for _ in self._matching(operation, status))

    def max_in_window(
        self, seconds: float = 1.0, *, organization: str | None = None, include_refused: bool = True
    ) -> int:
        """Return the maximum number of requests that arrived in a window of this length. A window excludes its end.

        The number includes only requests that count against a rate limit.

        Args:
            seconds: Length of the window in seconds.
            organization: UID of the organization; None for all organizations together.
            include_refused: Also count requests that the rate limit refused.
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
        """Remove all entries."""
        self.requests.clear()
        self.created.clear()
        self.purged.clear()

    def _matching(self, operation: str | None, status: int | None) -> Iterator[LedgerEntry]:
        for entry in self.requests:
            if operation in (None, entry.operation) and status in (None, entry.status):
                yield entry
