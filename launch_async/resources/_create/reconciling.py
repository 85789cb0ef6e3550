"""What to do when the answer to a creation is lost: the service may have acted, and the API has no idempotency key.

The creation is looked up, by what identifies it and by having appeared since it was sent. Exactly one that fits is
adopted. If there is none, even after a pause, the request is sent again. If nobody can tell, `AmbiguousOutcome` names
the candidates: an unknown outcome is never papered over, and nothing is created twice. Calls that create at the same
place do not take each other's creations for their own (`launch_async.resources._create.coordinator`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Generic, Protocol, TypeVar

import attrs

from launch_async.errors import AmbiguousOutcome, ConflictError, DeadlineExceeded, DecodeError, LaunchError
from launch_async.http.service_clock import ServiceClock
from launch_async.resources._create.coordinator import CreationCoordinator, UnresolvedCreation, coordinator_of

__all__ = ["Created", "ReconcilingCreate"]

_LOG: Final = logging.getLogger("launch_async.creation")
_ROUNDS: Final = 3
_TICKS: Final = 6
"""Ticks of the service's clock that are asked for at most; each leaves half of the doubt, one second at the start."""
_WORTH_IT: Final = 0.8
"""Part of the doubt that a tick may leave where another one is worth asking for."""
_created_here: Final[deque[tuple[str, str]]] = deque(maxlen=10_000)
"""Places and UIDs whose creation this process has had an answer to: no lost answer was about one of them."""


class Created(Protocol):
    """Something that has a UID and, perhaps, a time of creation."""

    @property
    def uid(self) -> str: ...
    @property
    def created_at(self) -> datetime | None: ...


C = TypeVar("C", bound=Created)


@attrs.frozen(kw_only=True)
class ReconcilingCreate(Generic[C]):
    """One creation that must happen once.

    Attributes:
        operation: Name of the operation.
        what: What is created, for errors: `project 'landing'`.
        place: Name of all that a look-up may find: what is created elsewhere cannot be mistaken for this.
        asked: What is asked for.
        send: Sends the request, within the given number of seconds.
        look_up: Returns what answers to the same name or source, whenever it was created.
        clock: The service's clock.
        surely_new: Whether something that carries no time of creation is known to be new all the same.
        by_time: Whether it has no name of its own, so that what somebody else began just before fits as well.
        pauses: Seconds before each look: what was just created may appear late (FACTS §4).
        timeout: Seconds for everything together.
    """

    operation: str
    what: str
    place: str
    asked: UnresolvedCreation
    send: Callable[[float], Awaitable[C]]
    look_up: Callable[[], Awaitable[Sequence[C]]]
    clock: ServiceClock
    surely_new: Callable[[C], bool] = lambda _: False
    by_time: bool = False
    pauses: Sequence[float]
    timeout: float

    async def once(self) -> C:
        """Return what was created, by this call's first request, by a repeated one, or found after a lost answer.

        Raises:
            AmbiguousOutcome: It may have happened, and nobody can tell.
            LaunchError: It was refused, or its deadline came.
        """
        deadline = asyncio.get_running_loop().time() + self.timeout
        place, began = coordinator_of(self.place), datetime.fromtimestamp(time.time(), UTC)
        lost: LaunchError | None = None
        for _ in range(_ROUNDS):
            try:
                created = await self._sent(place, deadline)
            except LaunchError as error:
                # A name that is taken may have been taken by our own request, whose answer was lost.
                if not error.ambiguous and not (lost is not None and isinstance(error, ConflictError)):
                    raise
                lost = error
                found = await self._found(place, error, began, deadline)
                if found is not None:
                    return found
                if isinstance(error, ConflictError):
                    raise
            else:
                _created_here.append((self.place, created.uid))
                return created
        raise self._unknown([], lost)

    async def _sent(self, place: CreationCoordinator, deadline: float) -> C:
        """Send the request when nobody looks for what others have created."""
        async with contextlib.AsyncExitStack() as turn:
            try:
                async with asyncio.timeout_at(deadline):
                    await turn.enter_async_context(place.sending())
            except TimeoutError:
                raise DeadlineExceeded(
                    f"{self.operation} was not sent within {self.timeout:g} s: the answer to another one was lost, "
                    "and it was still being looked up",
                    operation=self.operation,
                ) from None
            return await self.send(deadline - asyncio.get_running_loop().time())

    async def _found(self, place: CreationCoordinator, lost: LaunchError, began: datetime, deadline: float) -> C | None:
        """Return what a lost answer was about; None if the request did nothing and may be sent again."""
        try:
            with place.losing(self.asked):
                async with asyncio.timeout_at(deadline), place.looking():
                    found = await self._looked_up(place, lost, began, deadline)
                    if found is not None:
                        _LOG.warning("the answer to %s was lost; found and adopted %s", self.operation, found.uid)
                        _created_here.append((self.place, found.uid))
                    return found
        except TimeoutError as error:
            if isinstance(error, LaunchError):
                raise
            raise self._unknown([], lost) from lost

    async def _looked_up(
        self, place: CreationCoordinator, lost: LaunchError, began: datetime, deadline: float
    ) -> C | None:
        loop = asyncio.get_running_loop()
        for pause in self.pauses:
            if loop.time() + pause >= deadline:
                raise self._unknown([], lost) from lost
            await asyncio.sleep(pause)
            try:
                existing = await self.look_up()
            except LaunchError:
                raise self._unknown([], lost) from lost
            rivals = [rival for rival in place.lost if rival.request != self.asked.request]
            if isinstance(lost, ConflictError):
                # Nothing that is seen has the name: whoever has taken it, it may be our own lost request.
                lost.ambiguous = not existing
            mine = [one for one in existing if self._may_be_new(one, began)]
            candidates = [one for one in mine if not self._leaves_to(rivals, one)]
            if self.by_time:
                candidates = await self._beyond_doubt(candidates, began, deadline)
            if not candidates:
                continue
            surely_new = all(one.created_at is not None or self.surely_new(one) for one in candidates)
            if surely_new and len(candidates) <= self._claims(place, rivals):
                return candidates[0]
            raise self._unknown([one.uid for one in candidates], lost) from lost
        if isinstance(lost, DecodeError):
            # It succeeded, whatever became of it: sending it again would do it twice.
            raise self._unknown([], lost) from lost
        return None

    async def _beyond_doubt(self, candidates: list[C], began: datetime, deadline: float) -> list[C]:
        """Leave out what was there a moment before: ask at the ticks of the service's clock until that is clear."""
        loop = asyncio.get_running_loop()
        for _ in range(_TICKS):
            doubt = self.clock.doubt
            pause = self.clock.until_tick()
            if not any(self._is_in_doubt(one, began) for one in candidates) or loop.time() + pause >= deadline:
                break
            await asyncio.sleep(pause)
            try:
                await self.look_up()
            except LaunchError:
                break
            candidates = [one for one in candidates if self._may_be_new(one, began)]
            if self.clock.doubt > doubt * _WORTH_IT:
                # What is left is the way there and back, as far as this can tell.
                break
        return candidates

    def _is_in_doubt(self, one: C, began: datetime) -> bool:
        return one.created_at is not None and not self.surely_new(one) and self.clock.doubts(one.created_at, began)

    def _leaves_to(self, rivals: Sequence[UnresolvedCreation], one: C) -> bool:
        """Whether something is what another lost request asks for, while this one may take anything."""
        return self.asked.fits is None and any(rival.fits is not None and rival.fits(one) for rival in rivals)

    def _claims(self, place: CreationCoordinator, rivals: Sequence[UnresolvedCreation]) -> int:
        """Return how many things may have been found until some of them must be somebody else's."""
        vague = sum(rival.fits is None for rival in rivals)
        equal = len(place.lost) - len(rivals)
        if self.asked.fits is not None:
            return equal + vague
        return 0 if vague else equal

    def _may_be_new(self, one: C, began: datetime) -> bool:
        if (self.place, one.uid) in _created_here:
            return False
        return one.created_at is None or one.created_at >= self.clock.earliest(began)

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
