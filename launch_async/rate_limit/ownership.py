"""The budget of a client: its organization's, or a separate one for its credentials until the organization is known.

If two tokens of one organization do not name the organization, each starts with a separate budget. The first response
that names the organization joins them. For a while after that, a request needs a permit of both budgets, so that the
requests sent with the old budget still count.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from launch_async.rate_limit.types import Answer, Operation, Permit, Priority, RateLimiter

__all__ = ["Ownership"]

_ORGANIZATION: Final = rb'"organizationUid"\s*:\s*"(blt[0-9a-f]{16})"'
_OVERLAP_S: Final = 2.0
"""Seconds during which a request needs a permit of the old and of the new budget."""
_MAX_KNOWN: Final = 1000


class Ownership:
    """The budget of one client, and of the clients derived from it.

    Args:
        limiter_for: Returns the limiter of an organization, or of credentials whose organization is not known.
        organization_uid: Returns the organization if the client or its credentials name it, or None.
        service: Address of the service.
        identity: Name of the credentials, without a secret; empty if there are none.
    """

    def __init__(
        self,
        limiter_for: Callable[[str], RateLimiter],
        organization_uid: Callable[[], str | None],
        *,
        service: str,
        identity: str,
    ) -> None:
        self._limiter_for = limiter_for
        self._organization_uid = organization_uid
        self._identity = identity
        self._key = f"{service} {identity}"
        self._owner: str | None = None
        self._limiter: RateLimiter | None = None
        self._earlier: RateLimiter | None = None
        self._overlap_until = 0.0

    @property
    def limiter(self) -> RateLimiter:
        """The current limiter."""
        owner = self._organization_uid() or _known_organizations.get(self._key, self._identity)
        if self._limiter is None or owner != self._owner:
            self._owner, self._limiter = owner, self._limiter_for(owner)
        return self._limiter

    def learn(self, body: bytes) -> None:
        """Remember the organization if a response to these credentials names it."""
        if not self._identity or self._key in _known_organizations or self._organization_uid() is not None:
            return
        named = set(re.findall(_ORGANIZATION, body))
        if len(named) == 1:
            _known_organizations[self._key] = named.pop().decode()

    async def acquire(self, operation: Operation, *, priority: Priority, timeout: float) -> Permit:
        """Wait for a permit, as `RateLimiter.acquire` does."""
        before, limiter, loop = self._limiter, self.limiter, asyncio.get_running_loop()
        if before is not None and before is not limiter:
            self._earlier, self._overlap_until = before, loop.time() + _OVERLAP_S
        if self._earlier is None or loop.time() > self._overlap_until:
            self._earlier = None
            return await limiter.acquire(operation, priority=priority, timeout=timeout)
        began = loop.time()
        first = await self._earlier.acquire(operation, priority=priority, timeout=timeout)
        try:
            left = max(timeout - (loop.time() - began), 0.0)
            second = await limiter.acquire(operation, priority=priority, timeout=left)
        except BaseException:
            first.release()
            raise

        def settle(answer: Answer | None) -> None:
            for permit in (first, second):
                permit.release() if answer is None else permit.answered(answer)

        return Permit(first.waited + second.waited, settle)


class _KnownOrganizations:
    """The organizations that responses have named, by service and credentials. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, str] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def get(self, key: str, otherwise: str) -> str:
        return self._known.get(key, otherwise)

    def __setitem__(self, key: str, organization_uid: str) -> None:
        with self._lock:
            self._known[key] = organization_uid
            while len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)


_known_organizations = _KnownOrganizations()
