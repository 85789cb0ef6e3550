"""The network of a world: a transport for each process, which loses, delays, truncates and repeats answers."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Final

import attrs

from launch_async import AttemptTimeout, ClosedError, ConnectError, ResponseLost
from launch_async.http import FileBody, Request, Response
from tests.worlds.chance import Chance, RequestFault
from tests.worlds.process import Process
from tests.worlds.service import STORAGE, Service, short

JOB: Final[ContextVar[str]] = ContextVar("world_job", default="nobody")
"""The job that sends the current request."""
_KEPT_ALIVE: Final = 15.0
"""Seconds for which an unused connection is kept alive."""
_WRITES: Final = ("createProject", "createEnvironment", "createDeployment", "updateEnvironment")


@attrs.define
class Account:
    """The requests of a world, and their faults.

    Attributes:
        requests: Number of requests that were sent.
        faults: Faults by their name.
        lost: Answers to creations that were lost, by job and place.
        sent: The processes that were about to send a creation, by job and place.
        first_sent: When a creation was about to be sent first, by job and place, in the world's time.
    """

    requests: int = 0
    faults: Counter[str] = attrs.field(factory=Counter[str])
    lost: Counter[tuple[str, str]] = attrs.field(factory=Counter[tuple[str, str]])
    sent: dict[tuple[str, str], set[Process]] = attrs.field(factory=dict[tuple[str, str], set[Process]])
    first_sent: dict[tuple[str, str], float] = attrs.field(factory=dict[tuple[str, str], float])

    def mark_unknown(self, process: Process) -> None:
        """Record that a process was killed, so that the outcome of all its requests may be unknown."""
        for key, senders in self.sent.items():
            if process in senders:
                self.lost[key] += 1


@attrs.define(eq=False)
class _Connection:
    """A connection that is kept alive.

    Attributes:
        waiting: An answer that came twice, and waits for the next request.
        idle_since: When the connection was used last.
    """

    waiting: Response | None = None
    idle_since: float = 0.0


class Network:
    """The network between the processes of a world and its service.

    Args:
        loop: The loop that runs the world.
        chance: Determines the faults of each request.
        service: The service.
        log: Adds a line to the trace.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, chance: Chance, service: Service, log: Callable[[str, str], None]
    ) -> None:
        self.loop = loop
        self.chance = chance
        self.service = service
        self.log = log
        self.account = Account()
        self.is_calm = False
        """Whether no faults happen now."""
        self.refusing_until = -math.inf
        """Time until which all requests are answered with 429."""

    def transport(self, process: Process) -> Transport:
        """Return the transport of a process."""
        return Transport(self, process)

    def fault(self, request: Request) -> RequestFault:
        """Choose the delays and the fault of a request."""
        fault = self.chance.fault(request.method)
        if self.is_calm:
            return RequestFault(there=fault.there, back=fault.back if math.isfinite(fault.back) else 0.1)
        if self.loop.time() < self.refusing_until and not request.url.startswith(STORAGE):
            return RequestFault(name="refused", there=fault.there, back=fault.there, acts_after=None, status=429)
        return fault


class Transport:
    """Send the requests of one process.

    Args:
        network: The network.
        process: The process.
    """

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process
        self._is_closed = False
        self._idle: dict[str, list[_Connection]] = {}

    async def send(self, request: Request) -> Response:
        """Send a request once and read the answer."""
        if self._is_closed or not self._process.alive:
            raise ClosedError("the client is closed")
        idle = self._idle.setdefault(request.url.split("/")[2], [])
        idle[:] = [one for one in idle if self._network.loop.time() - one.idle_since < _KEPT_ALIVE]
        return await _Exchange(self._network, self._process, request, idle).result()

    async def close(self) -> None:
        """Refuse further requests."""
        self._is_closed = True


class _Exchange:
    """One request and its answer."""

    def __init__(self, network: Network, process: Process, request: Request, idle: list[_Connection]) -> None:
        self._network = network
        self._process = process
        self._request = request
        self._idle = idle
        self._connection = idle.pop() if idle else _Connection()
        self._author = JOB.get()
        self._answered: asyncio.Future[Response] = process.create_future()
        self._fault = network.fault(request)
        self._is_write = request.operation in _WRITES
        self._key = self._author, _place(request)

    async def result(self) -> Response:
        network, fault = self._network, self._fault
        account = network.account
        account.requests += 1
        if fault.name:
            account.faults[fault.name + (" write" if self._is_write else "")] += 1
        self._log_event(_described(fault))
        if self._is_write:
            account.sent.setdefault(self._key, set()).add(self._process)
            account.first_sent.setdefault(self._key, network.loop.time())
        if not fault.leaves:
            await asyncio.sleep(fault.there)
            raise ConnectError("no connection", operation=self._request.operation)
        network.loop.call_later(fault.there, self._arrive)
        try:
            async with asyncio.timeout(self._request.timeout or 30.0):
                response = await self._answered
        except TimeoutError:
            self._lose()
            raise AttemptTimeout("no answer in time", operation=self._request.operation) from None
        except asyncio.CancelledError:
            self._lose()
            raise
        if response.status == 0:
            self._lose()
            raise ResponseLost("the connection broke", operation=self._request.operation)
        if fault.status >= 500 or fault.part < 1.0:
            self._lose()
        return self._through_the_connection(response)

    def _through_the_connection(self, response: Response) -> Response:
        """Return the next answer on the connection. After a repeated answer, this is the wrong answer.

        Only faults that a client can notice happen. A refusal, a failure or idleness ends the connection.
        """
        connection, next_one = self._connection, self._connection.waiting or response
        if next_one is not response:
            self._log_event("gets the answer to an earlier request")
            self._network.account.faults["doubled"] += 1
            self._lose()
        if response.status >= 400 or self._request.url.startswith(STORAGE):
            return next_one
        connection.waiting = response if connection.waiting or self._fault.doubles else None
        connection.idle_since = self._network.loop.time()
        self._idle.append(connection)

        def drop() -> None:
            self._log_event("drops the connection")
            if connection in self._idle:
                self._idle.remove(connection)

        return attrs.evolve(next_one, drop_connection=drop)

    def _lose(self) -> None:
        if self._is_write:
            self._network.account.lost[self._key] += 1

    def _arrive(self) -> None:
        fault, loop = self._fault, self._network.loop
        response = Response(fault.status or 0, self._headers())
        if fault.acts_after == 0.0:
            response = self._act()
        elif fault.acts_after is not None:
            loop.call_later(fault.acts_after, self._act)
        if fault.status:
            body = json.dumps({"errors": [{"code": "launch.TROUBLE", "message": "trouble"}]}).encode()
            response = Response(fault.status, self._headers(), body)
        if not fault.arrives:
            response = Response(0)
        if math.isfinite(fault.back):
            loop.call_later(fault.back, self._deliver, response)

    def _deliver(self, response: Response) -> None:
        if not self._process.alive:
            self._lose()
        elif not self._answered.done():
            self._answered.set_result(response)

    def _act(self) -> Response:
        request, service = self._request, self._network.service
        if request.url.startswith(STORAGE):
            return self._store()
        body = request.body if isinstance(request.body, bytes) else None
        status, document = service.act(request.operation, request.url, body, self._author)
        text = json.dumps(document).encode()
        return Response(status, self._headers(), text[: int(len(text) * self._fault.part)])

    def _store(self) -> Response:
        service, uid = self._network.service, self._request.url.rpartition("/")[2]
        if isinstance(self._request.body, FileBody):
            service.store(uid, self._request.body.path.read_bytes())
            return Response(201)
        content = service.zip_of(uid)
        if self._fault.part < 1.0:
            # A transport notices a missing part of the announced length.
            return Response(0)
        return Response(404) if content is None else Response(200, {}, content)

    def _headers(self) -> Mapping[str, str]:
        date = self._network.service.date()
        return {} if date is None or self._request.url.startswith(STORAGE) else {"Date": date}

    def _log_event(self, what: str) -> None:
        request = self._request
        if what or self._is_write:
            place = short(_place(request)) or request.operation
            self._network.log(
                self._process.name, f"{request.operation} {place} for {self._author}: {what or 'goes well'}"
            )


def _place(request: Request) -> str:
    """Return the UID of the object of a request, or of the parent of a creation."""
    parts = request.url.partition("?")[0].split("/")
    uids = [part for part in parts if part.startswith("66c0ffee")]
    return uids[-1] if uids else ""


def _described(fault: RequestFault) -> str:
    if not fault.name:
        return "the answer comes twice" if fault.doubles else ""
    acts = "never acts" if fault.acts_after is None else f"acts after {fault.acts_after:.2f} s"
    parts = [fault.name, str(fault.status) if fault.status else "", acts, f"back after {fault.back:.2f} s"]
    return ", ".join(part for part in parts if part)
