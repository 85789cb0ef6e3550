"""Whose budget a client's requests are counted on: the organization's, and until it is known, that of the credentials.

Two tokens of one organization whose owner never named it begin with a budget each. The first answer that names the
organization joins them. For a while after that a request needs a permit of both budgets, so that what was sent on the
old one is still counted.
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

_ORGANIZATION: Final = re.compile(rb'"organizationUid"\s*:\s*"(blt[0-9a-f]{16})"')
_BOTH_FOR_S: Final = 2.0
_MOST_LEARNT: Final = 1000


class Ownership:
    """The budget of one client and of those that are derived from it.

    Args:
        limiter_for: Returns the budget of an organization, or of credentials whose organization is not known.
        organization_uid: Returns the organization, as far as it was given or the credentials know it.
        service: Address of the service.
        identity: Names the credentials, without a secret; empty for none.
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
        self._both_until = 0.0

    @property
    def limiter(self) -> RateLimiter:
        """The budget."""
        owner = self._organization_uid() or _learnt.get(self._key, self._identity)
        if self._limiter is None or owner != self._owner:
            self._owner, self._limiter = owner, self._limiter_for(owner)
        return self._limiter

    def learn(self, body: bytes) -> None:
        """Take in an answer of the service to these credentials, which may name their organization."""
        if not self._identity or self._key in _learnt or self._organization_uid() is not None:
            return
        named = set(_ORGANIZATION.findall(body))
        if len(named) == 1:
            _learnt[self._key] = named.pop().decode()

    async def acquire(self, operation: Operation, *, priority: Priority, timeout: float) -> Permit:
        """Wait for a permit of the budget, as `RateLimiter.acquire` does."""
        before, limiter, loop = self._limiter, self.limiter, asyncio.get_running_loop()
        if before is not None and before is not limiter:
            self._earlier, self._both_until = before, loop.time() + _BOTH_FOR_S
        if self._earlier is None or loop.time() > self._both_until:
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


class _Learnt:
    """The organizations of credentials at a service, the latest ones; from any thread."""

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
            while len(self._known) > _MOST_LEARNT:
                self._known.popitem(last=False)


_learnt = _Learnt()
