"""LaunchEmulator: a Launch server for tests, in this process and on real sockets."""

import logging
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from launch_async.emulator.auth.credentials import Credentials, Issued
from launch_async.emulator.builds.builds import Builds
from launch_async.emulator.builds.real_builds import Builder
from launch_async.emulator.builds.sites import Sites, netloc
from launch_async.emulator.clock import Clock
from launch_async.emulator.control.controls import EmulatorControls
from launch_async.emulator.control.faults import Faults
from launch_async.emulator.control.orders import Control
from launch_async.emulator.dispatcher import STORAGE, Dispatcher
from launch_async.emulator.ledger import Ledger
from launch_async.emulator.live_logs import LiveLogs
from launch_async.emulator.options import IN_MEMORY, EmulatorKeywords, EmulatorOptions, with_changes
from launch_async.emulator.persistence import Snapshot, StateFile
from launch_async.emulator.routes.operations import DOMAINS, PUBLIC, Router, describe, offered
from launch_async.emulator.service import Service
from launch_async.emulator.state import State, Uids
from launch_async.emulator.tape.replay import Replay
from launch_async.emulator.tape.tape import Tape
from launch_async.emulator.traffic.budget import Budget
from launch_async.emulator.traffic.latency import LatencyModel
from launch_async.emulator.transport import InMemoryTransport
from launch_async.emulator.uploads.storage import Storage


class LaunchEmulator(EmulatorControls):
    """A Contentstack Launch server on loopback.

    Use it as an async context manager, or call `start` and `stop`. The attribute `url` is its address. The emulator
    starts with one organization. The attributes `organization_uid`, `authtoken`, `access_token`, `client_id` and
    `client_secret` are the credentials of this organization.

    Args:
        options: All options, as one object.
        changes: Single options, which replace those in `options`; `EmulatorOptions` describes them.

    Raises:
        TypeError: An option does not exist.
        ValueError: An option is out of its range, or a state file or a tape cannot be read.
        OSError: The tape does not exist.
    """

    def __init__(self, options: EmulatorOptions | None = None, **changes: Unpack[EmulatorKeywords]) -> None:
        options = with_changes(EmulatorOptions() if options is None else options, changes)
        self._runner: web.ServerRunner | None = None
        self._builder: Builder | None = None
        self._folder: Path | None = None
        self._state_file = None if options.state is None else StateFile(options.state)
        snapshot = None if self._state_file is None else self._state_file.load()
        super().__init__(_assemble(options, snapshot), None if snapshot is None else snapshot.first)
        orders = Control(self, self._service) if options.control else None
        self._dispatcher = Dispatcher(self._service, Router(offered(options)), orders)
        if options.port is None:
            self.url: str = f"http://{IN_MEMORY}"

    @classmethod
    def from_tape(cls, path: str | os.PathLike[str], **changes: Unpack[EmulatorKeywords]) -> Self:
        """Return an emulator that replays a tape, which a `Recorder` has written.

        The emulator compares requests by method, path and query. The first of several equal requests gets the first
        recorded response, the second request gets the second response, and so on. When no recorded response is left,
        the emulator repeats the last one. A request that is not on the tape gets a 421 with the code
        ``emulator.NOT_ON_TAPE``, and the message lists the most similar recorded requests. The emulator does not check
        credentials and has no rate limit. `organization_uid` is the organization of the tape.

        Args:
            path: The tape.
            changes: Other options, such as ``port``; `EmulatorOptions` describes them.

        Raises:
            ValueError: The file is not a tape of this version, or one of its lines is damaged.
            OSError: The file cannot be read.
        """
        return cls(with_changes(EmulatorOptions(), changes), tape=path)

    async def start(self) -> None:
        """Start to listen, and set `url`.

        Raises:
            OSError: Another program uses the port.
        """
        if self._folder is not None:
            return
        service, options = self._service, self._service.options
        address = IN_MEMORY if options.port is None else await self._listen(options.port)
        self._folder = self._make_folder()
        service.storage.open(self.url, self._folder)
        service.sites.main_address = address
        if options.build:
            self._builder = Builder(service.builds, service.clock, self._folder)
            service.builds.run_command = self._builder.begin
        if options.port is not None:
            await service.sites.start(_http_server(self._dispatcher.site))
        if self._state_file is not None:
            service.changed = self._save
            service.builds.resume()
            for environment in service.state.environments.values():
                if environment.deployments:
                    await service.sites.open(environment)

    def transport(self) -> InMemoryTransport:
        """Return a transport for `LaunchClient(transport=...)` that needs no socket.

        Uploads work only after the emulator has started.
        """
        return InMemoryTransport(self._dispatcher.main)

    async def stop(self) -> None:
        """Close every connection and remove every file, except the state file."""
        self._service.live_logs.close_all()
        await self._dispatcher.stop()
        await self._service.sites.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._builder is not None:
            await self._builder.stop()
            self._builder = None
        if self._folder is not None and self._state_file is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        elif self._folder is not None:
            self._save()
        self._folder = None

    async def _listen(self, port: int) -> str:
        """Open the main port, set `url` and return the address."""
        options = self._service.options
        self._runner = web.ServerRunner(_http_server(self._dispatcher.main), shutdown_timeout=0.1)
        await self._runner.setup()
        listener = web.TCPSite(self._runner, options.host, port, ssl_context=options.tls)
        try:
            await listener.start()
        except OSError:
            await self.stop()
            raise
        address = netloc(options.host, listener.port)
        self.url = f"{'http' if options.tls is None else 'https'}://{address}"
        return address

    def _make_folder(self) -> Path:
        if self._state_file is None:
            return Path(tempfile.mkdtemp(prefix="launch-emulator-"))
        self._state_file.folder.mkdir(parents=True, exist_ok=True)
        return self._state_file.folder

    def _save(self) -> None:
        if self._state_file is not None:
            self._state_file.save(self._service, self._first)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()


def _http_server(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> web.Server:
    """Return a server that logs neither requests nor errors of its clients.

    Data that is not HTTP gets a 400. A client that closes its connection during a request causes no traceback.
    """
    log = logging.getLogger("launch_async.emulator.http")
    log.addFilter(_is_error_of_server)
    return web.Server(answer, access_log=None, logger=log)


def _is_error_of_server(record: logging.LogRecord) -> bool:
    return not record.exc_info or not isinstance(record.exc_info[1], (HttpProcessingError, ConnectionError))


def _assemble(options: EmulatorOptions, snapshot: Snapshot | None) -> Service:
    tracked = options.state is not None
    clock, state, uids = options.clock or Clock(), State(tracked=tracked), Uids(options.seed)
    if snapshot is not None:
        # A seed would draw UIDs that the state already contains.
        clock, state, uids = Clock(clock.ticks, advanced=snapshot.advanced), snapshot.state, Uids(None)
    issued = Issued(tracked=tracked) if snapshot is None else snapshot.issued
    return Service(
        options=options,
        clock=clock,
        uids=uids,
        state=state,
        builds=Builds(options, state, uids),
        credentials=Credentials(options, state, uids, clock, issued),
        budget=Budget(options, state, clock),
        storage=Storage(options, state, uids, clock),
        sites=Sites(options, state, clock),
        latency=LatencyModel(options),
        faults=Faults((*(operation.id for operation in offered(options)), *STORAGE)),
        ledger=Ledger(clock.ticks),
        live_logs=LiveLogs(options, clock),
        replay=None if options.tape is None else Replay(Tape.load(options.tape)),
        openapi=describe((*PUBLIC, *(DOMAINS if options.domains else ()))),
    )
