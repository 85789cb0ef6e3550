"""Creations whose response may be lost. The service may have acted, and the API has no idempotency key.

    send -> response arrives                                       return the object
         -> request refused or not sent                            raise the error
         -> response lost -> look up, several times -> proof       adopt the object
                                                    -> no object   send again
                                                    -> undecided   raise AmbiguousOutcome

The call adopts an object only with a proof that the call requested it (`launch_async.resources._create.proof`). The
call must also be a possible creator: the object was not known before the first send, and its time of creation is
between the first send and the last send plus `settle_after`. The call sends the request again only after
`RetryPolicy.resend_after`. Calls that create at the same place do not adopt each other's objects
(`launch_async.resources._create.coordinator`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
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
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
_EXTRA_LOOK_UPS: Final = 3
"""Maximum number of look-ups before the first send, and of extra look-ups after the last look-up has failed."""


class Created(Protocol):
    """An object with a UID and possibly a time of creation."""

    @property
    def uid(self) -> str: ...
    @property
    def created_at(self) -> datetime | None: ...


C = TypeVar("C", bound=Created)


class CreationLog:
    """Records the steps of a creation, for a journal."""

    def sending(self, record: SendRecord) -> None:
        """The request is about to be sent. If this method raises an error, the creation raises it and sends nothing."""

    def unsent(self) -> None:
        """The request was not sent, although `sending` was called."""

    def lost(self) -> None:
        """The response is lost. Look-ups follow."""

    def nothing_happened(self) -> None:
        """The service has not acted on the request, and will not act on it later."""


@attrs.frozen(kw_only=True)
class CreationOptions(Generic[C]):
    """A workflow's options for a creation.

    Attributes:
        timeout: Seconds for all sends and look-ups together.
        sha256: SHA-256 of the ZIP to deploy; None if there is no ZIP, or the SHA-256 is not known.
        record: The sends of an earlier process, if this call looks up the creation of that process.
        turn: Returns a context that is entered for each send.
        sleep: Waits between two look-ups. The creation passes on its errors.
        follow: Waits until a found deployment has ended; None if the call must not wait so long.
        is_thorough: Whether the call may send more requests to be certain. If the request names no source, the call
            looks up until the end, because other programs may deploy the same source in the meantime.
        list_first: Receives the objects that are listed right before the first send. If it is None, the call lists the
            place only if `follow` is set and the service sends no `Date` headers.
        log: Receives the steps of the creation.
    """

    timeout: float
    sha256: str | None = None
    record: SendRecord | None = None
    turn: Callable[[], AbstractAsyncContextManager[object]] = contextlib.nullcontext
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    follow: Callable[[C], Awaitable[object]] | None = None
    is_thorough: bool = False
    list_first: Callable[[Sequence[C]], object] | None = None
    log: CreationLog = attrs.field(factory=CreationLog)


@attrs.frozen(kw_only=True)
class ReconcilingCreate(Generic[C]):
    """One creation that must happen once.

    Attributes:
        operation: Name of the operation.
        what: The object to create, for errors: `project 'landing'`.
        place: Name of the place that a look-up reads. The created object can only be at this place.
        request: The content of the request. If two requests are equal, either call may take either result.
        proof: The rule that proves that this call requested a found object.
        send: Sends the request. The argument is the time limit in seconds.
        look_up: Returns the objects at the place, including all objects that may be the created object.
        number_of: Returns the number that the service gave an object; newer objects have higher numbers.
        learn: Notes the known objects in the record, right before the first send.
        named: UIDs of created objects, from responses that could not be read completely.
        clock: The service's clock.
        retry: The retry policy, with the times of look-ups and of repeated sends.
        record: The sends of the request, and the objects known before.
        send_timeout: Seconds for one send, including waits for the rate limit.
        options: The caller's options.
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
        """Return the created object, from the first request, a repeated request, or a look-up after a lost response.

        Raises:
            AmbiguousOutcome: The service may have created the object, and the listing does not show it.
            LaunchError: The request was refused or not sent, or the deadline passed.
        """
        deadline = asyncio.get_running_loop().time() + self.options.timeout
        lost: LaunchError | None = None
        for _ in range(_ROUNDS):
            try:
                created = await self._sent(deadline)
            except LaunchError as error:
                # This call's own request, whose response was lost, may have taken the name.
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
        """Return the object that an earlier process created without a response; None if its request did nothing.

        Raises:
            AmbiguousOutcome: The service may have created the object, and the listing does not show it.
        """
        return await self._resolved(None, asyncio.get_running_loop().time() + self.options.timeout)

    async def _sent(self, deadline: float) -> C:
        """Send the request when no other call is looking up its creation."""
        loop, place = asyncio.get_running_loop(), coordinator_of(self.place)
        async with contextlib.AsyncExitStack() as turn:
            try:
                async with asyncio.timeout_at(deadline):
                    await turn.enter_async_context(self.options.turn())
                    await turn.enter_async_context(place.sending())
            except TimeoutError:
                raise DeadlineExceeded(
                    f"{self.operation} was not sent within {self.options.timeout:g} s, because the response to another "
                    "creation was lost, and the SDK was still looking for its result",
                    operation=self.operation,
                ) from None
            await self._look_before()
            with metered(Meter(before_send=self._note)) as meter:
                try:
                    created = await self.send(min(self.send_timeout, deadline - loop.time()))
                except LaunchError:
                    raise
                except Exception:
                    # Middleware raised the error, perhaps before the request was sent.
                    if not meter.maybe_done:
                        self.options.log.unsent()
                    raise
            place.remember(created.uid)
            return created

    async def _look_before(self) -> None:
        """List the existing objects if `list_first` is set, or if there is no `Date` header to find new objects."""
        list_first = self.options.list_first
        is_needed = list_first is not None or (self.options.follow is not None and self.clock.is_missing)
        if not is_needed or self.record.was_sent:
            return
        self.learn(self.record)
        if self.record.is_listed:
            return
        for _ in range(_EXTRA_LOOK_UPS):
            try:
                listed = await self.look_up()
            except LaunchError as error:
                if not may_pass(error):
                    return
                await self.options.sleep(self.retry.look_up_delays[0])
            else:
                if list_first is not None:
                    list_first(listed)
                return

    def _note(self) -> None:
        if not self.record.was_sent:
            self.learn(self.record)
        self.record.note(self.clock)
        self.options.log.sending(self.record)

    async def _resolved(self, lost: LaunchError | None, deadline: float) -> C | None:
        """Return the object that a lost request created; None if the request did nothing and will do nothing later."""
        loop, place = asyncio.get_running_loop(), coordinator_of(self.place)
        own = UnresolvedCreation(self.request, self.proof.fits if self.proof.is_exact else None)
        findings = _Findings[C]()
        with place.losing(own):
            for moment in self._look_times():
                if moment >= deadline:
                    raise self._unknown(lost, findings.open)
                # Wait even after a slow look-up, so that other calls can send between two look-ups.
                await self.options.sleep(max(self.retry.look_up_delays[0], moment - loop.time()))
                findings = await self._look(place, own, lost, deadline)
                if findings.is_certain or (findings.proven and not self._may_have_rivals):
                    return self._adopted(place, own, findings.proven, lost)
                if findings.open and not self.proof.is_possible:
                    break
                if isinstance(lost, ConflictError) and not lost.ambiguous:
                    # Another object had the name before the first send.
                    return None
            for _ in range(_EXTRA_LOOK_UPS):
                if findings.failure is None:
                    break
                await self.options.sleep(self.retry.look_up_delays[-1])
                findings = await self._look(place, own, lost, deadline)
            if findings.proven:
                return self._adopted(place, own, findings.proven, lost)
            if await self._followed(findings, lost, deadline):
                # An object that appears only now was created too late to be the result of this call.
                findings = (await self._look(place, own, lost, deadline)).among(findings)
                if findings.proven:
                    return self._adopted(place, own, findings.proven, lost)
        if findings.failure is not None and lost is None and not isinstance(findings.failure, DecodeError):
            # A resumed run repeats the look-up the next time that it is resumed.
            raise findings.failure
        if findings.failure is not None or findings.open or isinstance(lost, DecodeError):
            # The unreadable response reported success, so a second send would create a second object.
            raise self._unknown(lost, findings.open) from lost
        return None

    def _look_times(self) -> list[float]:
        """Return the times of look-ups by the event loop's clock. The gaps grow until the last send has settled."""
        now = asyncio.get_running_loop().time()
        settled = (now if self.record.last_at is None else self.record.last_at) + self.retry.resend_after
        times = [now + moment for moment in self.retry.look_times()]
        return [*(moment for moment in times if moment < settled), max(settled, times[0])]

    async def _look(
        self, place: CreationCoordinator, own: UnresolvedCreation, lost: LaunchError | None, deadline: float
    ) -> _Findings[C]:
        """Look up once, while no other call looks up or sends, and return the findings."""
        try:
            async with asyncio.timeout_at(deadline), place.looking():
                existing = await self.look_up()
                if self.record.seen_first is None:
                    self.record.seen_first = frozenset(candidate.uid for candidate in existing)
                if isinstance(lost, ConflictError):
                    # This call's lost request may have created the object, unless the object is known to be older.
                    lost.ambiguous = not any(self._newness(candidate) is False for candidate in existing)
                rivals = [rival for rival in place.lost if rival.request != self.request]
                if created := [
                    candidate
                    for candidate in existing
                    if candidate.uid in self.named and self._newness(candidate) is not False
                ]:
                    return _Findings(proven=created, is_certain=True)
                judged = [(candidate, await self._judged(candidate, existing, rivals, own)) for candidate in existing]
        except LaunchError as error:
            if may_pass(error):
                return _Findings(failure=error)
            if lost is None:
                raise
            raise self._unknown(lost) from (lost or error)
        except TimeoutError:
            raise self._unknown(lost) from lost
        return _Findings(
            proven=[candidate for candidate, finding in judged if finding.verdict is Verdict.REQUESTED],
            open=[
                (candidate, finding)
                for candidate, finding in judged
                if finding.verdict in (Verdict.NOT_YET, Verdict.UNKNOWN)
            ],
        )

    async def _judged(
        self, candidate: C, existing: Sequence[C], rivals: Sequence[UnresolvedCreation], own: UnresolvedCreation
    ) -> Finding:
        """Return the finding for one object."""
        newness = self._newness(candidate)
        if newness is False or not self.proof.fits(candidate):
            return Finding(Verdict.OTHER)
        if own.fits is None and any(rival.fits is not None and rival.fits(candidate) for rival in rivals):
            return Finding(Verdict.UNKNOWN, "another call of this program may have created it")
        finding = await self.proof.judge(candidate, self._before(candidate, existing))
        if newness is None and finding.verdict is not Verdict.OTHER:
            return Finding(Verdict.UNKNOWN, "it may have existed before the request")
        return finding

    def _before(self, candidate: C, existing: Sequence[C]) -> Before[C]:
        """Return the objects that were created before an object."""
        number, others = self.number_of(candidate), [other for other in existing if other is not candidate]
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

    def _may_be_old(self, candidate: C) -> bool:
        """Return whether an object may have been created before the first send, although there is no proof."""
        newness = self._newness(candidate)
        if newness is not True:
            return newness is None
        is_certain = self.record.is_listed or self.record.is_later(candidate.created_at)
        if is_certain or candidate.uid not in (self.record.seen_first or ()):
            return False
        # Another call of this program may have requested the object since then.
        return not any(rival.fits is not None and rival.fits(candidate) for rival in coordinator_of(self.place).lost)

    def _newness(self, candidate: C) -> bool | None:
        """Return whether this call may have created an object; None if it is not known."""
        if self.options.record is None and coordinator_of(self.place).knows(candidate.uid):
            # Another call of this program created the object. This does not apply to calls of an earlier process.
            return False
        is_unknown = self.record.is_unknown(candidate.uid, self.number_of(candidate))
        window = self.record.window(self.clock, self.retry.settle_after)
        timely = (
            None if window is None or candidate.created_at is None else window[0] <= candidate.created_at <= window[1]
        )
        if is_unknown is False or timely is False:
            return False
        if is_unknown and self.record.is_listed:
            return True
        is_earlier = self.record.is_earlier(candidate.created_at, by_date=self.options.is_thorough)
        if is_earlier is not None:
            return None if is_earlier else True
        return None if self.options.is_thorough else is_unknown or timely

    @property
    def _may_have_rivals(self) -> bool:
        """Whether the call adopts an object only when no more objects can appear."""
        return self.options.is_thorough and not self.proof.is_exact

    def _adopted(
        self, place: CreationCoordinator, own: UnresolvedCreation, proven: Sequence[C], lost: LaunchError | None
    ) -> C:
        """Return the oldest proven object, unless there are more proven objects than this program requested."""
        equal = sum(rival.request == self.request for rival in place.lost)
        # A call without a source may have created the object that this call names.
        vague = sum(rival.fits is None for rival in place.lost) if own.fits is not None else 0
        if len(proven) > equal + vague:
            several = Finding(Verdict.UNKNOWN, "it matches the request, but other candidates match too")
            raise self._unknown(lost, [(candidate, several) for candidate in proven]) from lost
        # The call without a source may have repeated the source of this call, so the older object is from this call.
        oldest = min(proven, key=lambda candidate: (self.number_of(candidate) or 0, candidate.created_at or _EARLIEST))
        _LOG.warning("The response to %s was lost. The SDK found the created object: %s", self.operation, oldest.uid)
        place.remember(oldest.uid)
        return oldest

    async def _followed(self, findings: _Findings[C], lost: LaunchError | None, deadline: float) -> bool:
        """Wait for deployments whose source is known only after their end. Return whether there were any."""
        unended = [candidate for candidate, finding in findings.open if finding.verdict is Verdict.NOT_YET]
        if self.options.follow is None or not unended:
            return False
        try:
            async with asyncio.timeout_at(deadline):
                for candidate in unended:
                    await self.options.follow(candidate)
        except (LaunchError, TimeoutError):
            raise self._unknown(lost, findings.open) from lost
        return True

    def _unknown(self, cause: LaunchError | None, found: Sequence[tuple[C, Finding]] = ()) -> AmbiguousOutcome:
        described = [f"{self._described(candidate)}: {finding.why}" for candidate, finding in found]
        check = "; ".join(described) or "whether it exists"
        reason = cause.message if cause else "an earlier run was interrupted"
        return AmbiguousOutcome(
            f"The response to the creation of {self.what} was lost ({reason}), and the listing does not show whether "
            f"the service created it. Before you create it again, check {check}",
            candidates=[candidate.uid for candidate, _ in found],
            operation=self.operation,
            request_id=cause.request_id if cause else None,
            attempts=cause.attempts if cause else 0,
        )

    def _described(self, candidate: C) -> str:
        number, commit = self.number_of(candidate), getattr(candidate, "commit_hash", None)
        facts = [
            "" if number is None else f"number {number}",
            f"commit {commit[:12]}" if isinstance(commit, str) and commit else "",
            "" if candidate.created_at is None else f"created {candidate.created_at.isoformat(timespec='seconds')}",
        ]
        shown = ", ".join(fact for fact in facts if fact)
        return f"{candidate.uid} ({shown})" if shown else candidate.uid


def may_pass(error: LaunchError) -> bool:
    """Return whether the next look-up may succeed. A look-up creates nothing, so it is safe to repeat."""
    unreadable = isinstance(error, DecodeError | MalformedResponse)
    return error.retryable or unreadable or (error.status or 0) >= 500


@attrs.frozen
class _Findings(Generic[C]):
    """The result of one look-up.

    Attributes:
        proven: Objects with a proof that this call requested them.
        open: Objects that this call may have requested, with the reason why there is no proof.
        failure: The error of the look-up, if the next look-up may succeed.
        is_certain: Whether a response of the service named the object.
    """

    proven: Sequence[C] = ()
    open: Sequence[tuple[C, Finding]] = ()
    failure: LaunchError | None = None
    is_certain: bool = False

    def among(self, earlier: _Findings[C]) -> _Findings[C]:
        """Return only the objects that an earlier look-up also found."""
        seen = {candidate.uid for candidate, _ in earlier.open}
        return attrs.evolve(
            self,
            proven=[candidate for candidate in self.proven if candidate.uid in seen],
            open=[(candidate, finding) for candidate, finding in self.open if candidate.uid in seen],
        )
