"""What to do when the answer to a creation is lost: the service may have acted, and the API has no idempotency key.

The creation is looked up, by what identifies it and by having appeared since it was sent. Exactly one that fits is
adopted. If there is none, even after a pause, the request is sent again. If nobody can tell, `AmbiguousOutcome` names
the candidates: an unknown outcome is never papered over, and nothing is created twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Generic, Protocol, TypeVar

import attrs

from launch_async._clock import ServiceClock
from launch_async.errors import AmbiguousOutcome, ConflictError, DecodeError, LaunchError

__all__ = ["Created", "Creation"]

_LOG: Final = logging.getLogger("launch_async.creation")
_ROUNDS: Final = 3
_created_here: Final[deque[str]] = deque(maxlen=10_000)
"""UIDs whose creation this process has had an answer to: no lost answer was about one of them."""


class Created(Protocol):
    """Something that has a UID and, perhaps, a time of creation."""

    @property
    def uid(self) -> str: ...
    @property
    def created_at(self) -> datetime | None: ...


C = TypeVar("C", bound=Created)


@attrs.frozen(kw_only=True)
class Creation(Generic[C]):
    """One creation that must happen once.

    Attributes:
        operation: Name of the operation.
        what: What is created, for errors: `project 'landing'`.
        send: Sends the request, within the given number of seconds.
        look_up: Returns what answers to the same name or source, whenever it was created.
        clock: The service's clock.
        surely_new: Whether something that carries no time of creation is known to be new all the same.
        pauses: Seconds before each look: what was just created may appear late (FACTS §4).
        timeout: Seconds for everything together.
    """

    operation: str
    what: str
    send: Callable[[float], Awaitable[C]]
    look_up: Callable[[], Awaitable[Sequence[C]]]
    clock: ServiceClock
    surely_new: Callable[[C], bool] = lambda _: False
    pauses: Sequence[float]
    timeout: float

    async def once(self) -> C:
        """Return what was created, by this call's first request, by a repeated one, or found after a lost answer.

        Raises:
            AmbiguousOutcome: It may have happened, and nobody can tell.
            LaunchError: It was refused, or its deadline came.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.timeout
        began = datetime.now(UTC)
        lost: LaunchError | None = None
        for _ in range(_ROUNDS):
            try:
                created = await self.send(deadline - loop.time())
            except LaunchError as error:
                # A name that is taken may have been taken by our own request, whose answer was lost.
                if not error.ambiguous and not (lost is not None and isinstance(error, ConflictError)):
                    raise
                lost = error
                found = await self._found(error, began, deadline)
                if found is not None:
                    _LOG.warning("the answer to %s was lost; found and adopted %s", self.operation, found.uid)
                    created = found
                elif isinstance(error, ConflictError):
                    raise
                else:
                    continue
            _created_here.append(created.uid)
            return created
        raise self._unknown([], lost)

    async def _found(self, lost: LaunchError, began: datetime, deadline: float) -> C | None:
        """Return what a lost answer was about; None if the request did nothing and may be sent again."""
        loop = asyncio.get_running_loop()
        for pause in self.pauses:
            if loop.time() + pause >= deadline:
                raise self._unknown([], lost) from lost
            await asyncio.sleep(pause)
            try:
                async with asyncio.timeout_at(deadline):
                    existing = await self.look_up()
            except (LaunchError, TimeoutError):
                raise self._unknown([], lost) from lost
            candidates = [one for one in existing if one.uid not in _created_here and self._may_be_new(one, began)]
            if len(candidates) == 1 and (candidates[0].created_at is not None or self.surely_new(candidates[0])):
                return candidates[0]
            if candidates:
                raise self._unknown([one.uid for one in candidates], lost) from lost
        if isinstance(lost, DecodeError):
            # It succeeded, whatever became of it: sending it again would do it twice.
            raise self._unknown([], lost) from lost
        return None

    def _may_be_new(self, one: C, began: datetime) -> bool:
        if one.created_at is None:
            return True
        return one.created_at >= self.clock.earliest(began)

    def _unknown(self, candidates: list[str], cause: LaunchError | None) -> AmbiguousOutcome:
        look = f"look at {', '.join(candidates)}" if candidates else "look whether it is there"
        return AmbiguousOutcome(
            f"the answer to creating {self.what} was lost, and a look-up cannot tell whether it happened: {look} "
            f"before you create it again ({cause.message if cause else 'no answer'})",
            candidates=candidates,
            operation=self.operation,
            request_id=cause.request_id if cause else None,
            attempts=cause.attempts if cause else 0,
        )
