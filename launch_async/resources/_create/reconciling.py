"""What to do when the answer to a creation is lost: the service may have acted, and the API has no idempotency key.

    send -> answered                                               done
         -> refused, or it never left                              that error
         -> lost -> look, again and again -> found, with proof     adopted
                                          -> settled, and nothing  sent again
                                          -> nobody can tell       AmbiguousOutcome

Only what is proven to be what was asked for is adopted (`launch_async.resources._create.proof`), and only if this call
may have made it: it was not known before the first send, and the service made it between the first send and the last
one plus `settle_after`. Nothing is sent again before `RetryPolicy.resend_after`. Calls that create at the same place do
not take each other's creations for their own (`launch_async.resources._create.coordinator`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

import attrs

from launch_async.errors import (
    AmbiguousOutcome,
    ConflictError,
    DeadlineExceeded,
    DecodeError,
    LaunchError,
    MalformedResponse,
)
from launch_async.http.metering import Meter, metered
from launch_async.http.retry import RetryPolicy
from launch_async.http.service_clock import ServiceClock
from launch_async.resources._create.coordinator import CreationCoordinator, UnresolvedCreation, coordinator_of
from launch_async.resources._create.proof import Before, Finding, Proof, Verdict
from launch_async.resources._create.sending import SendRecord

__all__ = ["Created", "CreationLog", "CreationOptions", "ReconcilingCreate", "may_pass"]

_LOG: Final = logging.getLogger(__name__)
_ROUNDS: Final = 3
_MORE_LOOKS: Final = 3
"""Looks after the last one, if that one fails: without one that succeeds, the outcome is unknown."""


class Created(Protocol):
    """Something that has a UID and, perhaps, a time of creation."""

    @property
    def uid(self) -> str: ...
    @property
    def created_at(self) -> datetime | None: ...


C = TypeVar("C", bound=Created)


class CreationLog:
    """Is told how far a creation is; a journal writes it down."""

    def sending(self, record: SendRecord) -> None:
        """It is about to be sent. What this raises is raised, and it is not sent."""

    def unsent(self) -> None:
        """It did not leave after all."""

    def lost(self) -> None:
        """Its answer is lost: from now on it is looked up."""

    def nothing_happened(self) -> None:
        """The service has not acted on it, and will not any more."""


@attrs.frozen(kw_only=True)
class CreationOptions(Generic[C]):
    """How a workflow has something created.

    Attributes:
        timeout: Seconds for everything together.
        sha256: SHA-256 of the ZIP that is deployed; None where none is, or nobody knows it.
        record: The sends of an earlier process, where that one's creation is looked up.
        turn: Is entered while it is sent.
        sleep: Waits between two looks; what it raises is raised.
        follow: Waits until something found has ended; None if the call may not take that long.
        is_thorough: Whether certainty may cost a request before it is sent, where times tell nothing, and the whole
            time of a look-up, where it names no source: others may deploy the same one meanwhile.
        log: Is told how far it is.
    """

    timeout: float
    sha256: str | None = None
    record: SendRecord | None = None
    turn: Callable[[], AbstractAsyncContextManager[object]] = contextlib.nullcontext
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    follow: Callable[[C], Awaitable[object]] | None = None
    is_thorough: bool = False
    log: CreationLog = attrs.field(factory=CreationLog)


@attrs.frozen(kw_only=True)
class ReconcilingCreate(Generic[C]):
    """One creation that must happen once.

    Attributes:
        operation: Name of the operation.
        what: What is created, for errors: `project 'landing'`.
        place: Name of all that a look-up may find: what is created elsewhere cannot be mistaken for this.
        request: What is asked for: of two equal requests, either may have what the other has created.
        proof: What proves that something found is what was asked for.
        send: Sends the request, within the given number of seconds.
        look_up: Returns everything that it may be, and its like.
        number_of: Returns the number that the service has given something; numbers grow.
        learn: Notes in the record what is known to be there, right before the first send.
        named: UIDs that answers have named which could not be read: they are of what was created.
        clock: The service's clock.
        retry: When to look, and when to send again.
        record: When it was sent, and what was known before.
        send_timeout: Seconds for one send, waits for the budget included.
        options: How the caller has it created.
    """

    operation: str
    what: str
    place: str
    request: object
    proof: Proof[C]
    send: Callable[[float], Awaitable[C]]
    look_up: Callable[[], Awaitable[Sequence[C]]]
    number_of: Callable[[C], int | None] = lambda _: None
    learn: Callable[[SendRecord], object] = lambda _: None
    named: Sequence[str] = ()
    clock: ServiceClock
    retry: RetryPolicy
    record: SendRecord
    send_timeout: float
    options: CreationOptions[C]

    async def once(self) -> C:
        """Return what was created, by this call's first request, by a repeated one, or found after a lost answer.

        Raises:
            AmbiguousOutcome: It may have happened, and nobody can tell.
            LaunchError: It was refused, it never left, or its deadline came.
        """
        deadline = asyncio.get_running_loop().time() + self.options.timeout
        lost: LaunchError | None = None
        for _ in range(_ROUNDS):
            try:
                created = await self._sent(deadline)
            except LaunchError as error:
                # A name that is taken may have been taken by our own request, whose answer was lost.
                if not error.ambiguous and (lost is None or not isinstance(error, ConflictError)):
                    raise
                lost = error
                self.options.log.lost()
                found = await self._resolved(error, deadline)
                if found is not None:
                    return found
                if isinstance(error, ConflictError):
                    raise
                self.options.log.nothing_happened()
            else:
                return created
        raise self._unknown(lost)

    async def resolved(self) -> C | None:
        """Return what an earlier process has created whose answer is lost; None if it created nothing and will not.

        Raises:
            AmbiguousOutcome: It may have happened, and nobody can tell.
        """
        return await self._resolved(None, asyncio.get_running_loop().time() + self.options.timeout)

    async def _sent(self, deadline: float) -> C:
        """Send the request when nobody looks for what others have created."""
        loop, place = asyncio.get_running_loop(), coordinator_of(self.place)
        async with contextlib.AsyncExitStack() as turn:
            try:
                async with asyncio.timeout_at(deadline):
                    await turn.enter_async_context(self.options.turn())
                    await turn.enter_async_context(place.sending())
            except TimeoutError:
                raise DeadlineExceeded(
                    f"{self.operation} was not sent within {self.options.timeout:g} s: the answer to another one was "
                    "lost, and it was still being looked up",
                    operation=self.operation,
                ) from None
            await self._look_before()
            with metered(Meter(before_send=self._note)) as meter:
                try:
                    created = await self.send(min(self.send_timeout, deadline - loop.time()))
                except LaunchError:
                    raise
                except Exception:
                    # Not ours, but a middleware's: it may have raised before anything left.
                    if not meter.maybe_done:
                        self.options.log.unsent()
                    raise
            place.remember(created.uid)
            return created

    async def _look_before(self) -> None:
        """List what is there if the service sends no `Date`, because times then cannot show what is new."""
        if self.options.follow is not None and self.clock.is_missing and not self.record.was_sent:
            with contextlib.suppress(LaunchError):
                await self.look_up()

    def _note(self) -> None:
        if not self.record.was_sent:
            self.learn(self.record)
        self.record.note(self.clock)
        self.options.log.sending(self.record)

    async def _resolved(self, lost: LaunchError | None, deadline: float) -> C | None:
        """Return what a lost answer was about; None if the request did nothing, and will do nothing any more."""
        loop, place = asyncio.get_running_loop(), coordinator_of(self.place)
        asked = UnresolvedCreation(self.request, self.proof.fits if self.proof.is_exact else None)
        findings = _Findings[C]()
        with place.losing(asked):
            for moment in self._look_times():
                if moment >= deadline:
                    raise self._unknown(lost, findings.open)
                # However long the last look took: between two looks, others can send.
                await self.options.sleep(max(self.retry.look_up_delays[0], moment - loop.time()))
                findings = await self._look(place, asked, lost, deadline)
                if findings.is_certain or (findings.proven and not self._may_have_rivals):
                    return self._adopted(place, asked, findings.proven, lost)
                if findings.open and not self.proof.is_possible:
                    break
                if isinstance(lost, ConflictError) and not lost.ambiguous:
                    # Somebody else has had the name since before the first send.
                    return None
            for _ in range(_MORE_LOOKS):
                if findings.failure is None:
                    break
                await self.options.sleep(self.retry.look_up_delays[-1])
                findings = await self._look(place, asked, lost, deadline)
            if findings.proven:
                return self._adopted(place, asked, findings.proven, lost)
            if await self._followed(findings, lost, deadline):
                # What is first seen now was made too late to be ours.
                findings = (await self._look(place, asked, lost, deadline)).among(findings)
                if findings.proven:
                    return self._adopted(place, asked, findings.proven, lost)
        if findings.failure is not None and lost is None and not isinstance(findings.failure, DecodeError):
            # An interrupted run looks again when it is resumed once more.
            raise findings.failure
        if findings.failure is not None or findings.open or isinstance(lost, DecodeError):
            # After an answer that said that it succeeded, sending it again would do it twice.
            raise self._unknown(lost, findings.open) from lost
        return None

    def _look_times(self) -> list[float]:
        """Return when to look, by the event loop's clock: ever more rarely, until the last send has settled."""
        now = asyncio.get_running_loop().time()
        settled = (now if self.record.last_at is None else self.record.last_at) + self.retry.resend_after
        times = [now + moment for moment in self.retry.look_times()]
        return [*(moment for moment in times if moment < settled), max(settled, times[0])]

    async def _look(
        self, place: CreationCoordinator, asked: UnresolvedCreation, lost: LaunchError | None, deadline: float
    ) -> _Findings[C]:
        """Return what may be what was asked for, and what each is, while nobody else looks or sends."""
        try:
            async with asyncio.timeout_at(deadline), place.looking():
                existing = await self.look_up()
                if self.record.seen_first is None:
                    self.record.seen_first = frozenset(one.uid for one in existing)
                if isinstance(lost, ConflictError):
                    # Whoever has the name may be our own lost request, unless it is known to be another one.
                    lost.ambiguous = not any(self._newness(one) is False for one in existing)
                rivals = [rival for rival in place.lost if rival.request != self.request]
                if created := [one for one in existing if one.uid in self.named and self._newness(one) is not False]:
                    return _Findings(proven=created, is_certain=True)
                judged = [(one, await self._judged(one, existing, rivals, asked)) for one in existing]
        except LaunchError as error:
            if may_pass(error):
                return _Findings(failure=error)
            if lost is None:
                raise
            raise self._unknown(lost) from (lost or error)
        except TimeoutError:
            raise self._unknown(lost) from lost
        return _Findings(
            proven=[one for one, finding in judged if finding.verdict is Verdict.ASKED_FOR],
            open=[(one, finding) for one, finding in judged if finding.verdict in (Verdict.NOT_YET, Verdict.UNKNOWN)],
        )

    async def _judged(
        self, one: C, existing: Sequence[C], rivals: Sequence[UnresolvedCreation], asked: UnresolvedCreation
    ) -> Finding:
        """Return what something is."""
        newness = self._newness(one)
        if newness is False or not self.proof.fits(one):
            return Finding(Verdict.OTHER)
        if asked.fits is None and any(rival.fits is not None and rival.fits(one) for rival in rivals):
            return Finding(Verdict.UNKNOWN, "another call of this program may have created it")
        finding = await self.proof.judge(one, self._before(one, existing))
        if newness is None and finding.verdict is not Verdict.OTHER:
            return Finding(Verdict.UNKNOWN, "nothing says whether it was there before")
        return finding

    def _before(self, one: C, existing: Sequence[C]) -> Before[C]:
        """Return what was made before something."""
        number, others = self.number_of(one), [other for other in existing if other is not one]
        if number is not None:
            others = [other for other in others if (self.number_of(other) or 0) < number]
        newest_first = sorted(others, key=lambda other: self.number_of(other) or 0, reverse=True)
        old = [other for other in newest_first if self._newness(other) is False]
        since = [other for other in existing if self._newness(other) is not False]
        return Before(
            newest_first,
            [*(other for other in newest_first if self._may_be_old(other)), *old[:1]],
            len(since) <= len(coordinator_of(self.place).lost),
        )

    def _may_be_old(self, one: C) -> bool:
        """Return whether something may have been made before the first send, although nothing proves that."""
        newness = self._newness(one)
        if newness is not True:
            return newness is None
        is_certain = self.record.is_listed or self.record.is_earlier(one.created_at, by_date=False) is False
        if is_certain or one.uid not in (self.record.seen_first or ()):
            return False
        # Another call of this program has asked for it since.
        return not any(rival.fits is not None and rival.fits(one) for rival in coordinator_of(self.place).lost)

    def _newness(self, one: C) -> bool | None:
        """Return whether something may have been created by this call; None if nothing tells."""
        if self.options.record is None and coordinator_of(self.place).knows(one.uid):
            # Another call of this program has created it. Of those of an earlier process nothing is known.
            return False
        is_unknown = self.record.is_unknown(one.uid, self.number_of(one))
        window = self.record.window(self.clock, self.retry.settle_after)
        timely = None if window is None or one.created_at is None else window[0] <= one.created_at <= window[1]
        if is_unknown is False or timely is False:
            return False
        if is_unknown and self.record.is_listed:
            return True
        is_earlier = self.record.is_earlier(one.created_at, by_date=self.options.is_thorough)
        if is_earlier is not None:
            return None if is_earlier else True
        return None if self.options.is_thorough else is_unknown or timely

    @property
    def _may_have_rivals(self) -> bool:
        """Whether what fits is taken only when nothing more can appear."""
        return self.options.is_thorough and not self.proof.is_exact

    def _adopted(
        self, place: CreationCoordinator, asked: UnresolvedCreation, proven: Sequence[C], lost: LaunchError | None
    ) -> C:
        """Return one that is proven to be what was asked for, if no more are found than this program has asked for."""
        equal = sum(rival.request == self.request for rival in place.lost)
        # A call that names no source may have got what this one names.
        vague = sum(rival.fits is None for rival in place.lost) if asked.fits is not None else 0
        if len(proven) > equal + vague:
            several = Finding(Verdict.UNKNOWN, "it fits, as others do")
            raise self._unknown(lost, [(one, several) for one in proven]) from lost
        _LOG.warning("the answer to %s was lost; found and adopted %s", self.operation, proven[0].uid)
        place.remember(proven[0].uid)
        return proven[0]

    async def _followed(self, findings: _Findings[C], lost: LaunchError | None, deadline: float) -> bool:
        """Wait until everything has ended that cannot be known before; return whether there was such a thing."""
        unended = [one for one, finding in findings.open if finding.verdict is Verdict.NOT_YET]
        if self.options.follow is None or not unended:
            return False
        try:
            async with asyncio.timeout_at(deadline):
                for one in unended:
                    await self.options.follow(one)
        except (LaunchError, TimeoutError):
            raise self._unknown(lost, findings.open) from lost
        return True

    def _unknown(self, cause: LaunchError | None, found: Sequence[tuple[C, Finding]] = ()) -> AmbiguousOutcome:
        described = [f"{self._described(one)}: {finding.why}" for one, finding in found]
        look = f"look at {'; '.join(described)}" if described else "look whether it is there"
        return AmbiguousOutcome(
            f"the answer to creating {self.what} was lost, and a look-up cannot tell whether it happened: {look} "
            f"before you create it again ({cause.message if cause else 'an earlier run was interrupted'})",
            candidates=[one.uid for one, _ in found],
            operation=self.operation,
            request_id=cause.request_id if cause else None,
            attempts=cause.attempts if cause else 0,
        )

    def _described(self, one: C) -> str:
        number, commit = self.number_of(one), getattr(one, "commit_hash", None)
        facts = [
            "" if number is None else f"number {number}",
            f"commit {commit[:12]}" if isinstance(commit, str) and commit else "",
            "" if one.created_at is None else f"created {one.created_at.isoformat(timespec='seconds')}",
        ]
        told = ", ".join(fact for fact in facts if fact)
        return f"{one.uid} ({told})" if told else one.uid


def may_pass(error: LaunchError) -> bool:
    """Return whether the next look may succeed: nothing is sent meanwhile, so that looking again harms nobody."""
    unreadable = isinstance(error, DecodeError | MalformedResponse)
    return error.retryable or unreadable or (error.status or 0) >= 500


@attrs.frozen
class _Findings(Generic[C]):
    """What one look has found.

    Attributes:
        proven: What is proven to be what was asked for.
        open: What may be it, and why that is not proven.
        failure: Why nothing could be seen; the next look may see something.
        is_certain: Whether the service has said that this is what was created.
    """

    proven: Sequence[C] = ()
    open: Sequence[tuple[C, Finding]] = ()
    failure: LaunchError | None = None
    is_certain: bool = False

    def among(self, earlier: _Findings[C]) -> _Findings[C]:
        """Return the part of this that was there at an earlier look."""
        seen = {one.uid for one, _ in earlier.open}
        return attrs.evolve(
            self,
            proven=[one for one in self.proven if one.uid in seen],
            open=[(one, finding) for one, finding in self.open if one.uid in seen],
        )
