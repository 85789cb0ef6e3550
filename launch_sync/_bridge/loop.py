"""The loop that launch_sync runs on: one daemon thread per process, named `launch-sync`, started by the first call.

- A forked child starts its own loop, and neither uses nor closes inherited objects.
- At exit the loop silently closes all open clients within two seconds. Later calls raise `ClosedError`.
- The loop closes a client that was never closed. One `ResourceWarning` names the line that created the client.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from functools import partial
from importlib import import_module
from typing import TypeAlias, TypeVar

from launch_async.errors import ClosedError, LaunchError

__all__ = [
    "BridgeThreadError",
    "Guard",
    "LaunchSyncInAsyncWarning",
    "LoopThread",
    "bridge_thread_error",
    "current_loop",
    "has_exited",
    "loop_is_running",
    "loop_of_this_thread",
]

T = TypeVar("T")
_Close: TypeAlias = Callable[[], Coroutine[object, object, object]]

_EXIT_SECONDS = 2.0
_PARK_SECONDS = 1.0


class BridgeThreadError(LaunchError, RuntimeError):
    """launch_sync was called on its own event loop, where the call would wait forever.

    This happens in code that runs on the loop by design, such as an observer of requests. Use launch_async there.
    """


class LaunchSyncInAsyncWarning(RuntimeWarning):
    """launch_sync was called from a coroutine. The call works but blocks that event loop. Shown once per process."""


def current_loop() -> LoopThread:
    """Return the loop of this process, and start it if necessary.

    Raises:
        BridgeThreadError: The call was made on the loop itself.
        ClosedError: The interpreter is exiting.
    """
    loop = _process.loop
    if loop is not None and loop.is_here():
        raise bridge_thread_error()
    if _is_in_async(loop):
        _warn_in_async()
    if loop is not None and loop.is_ours() and not loop.exiting:
        return loop
    return _start_loop()


def loop_is_running() -> bool:
    """Return whether this process has started a loop."""
    return _process.loop is not None and _process.loop.is_ours()


def loop_of_this_thread() -> LoopThread | None:
    """Return the loop if the current thread is the one that runs it."""
    loop = _process.loop
    return loop if loop is not None and loop.is_here() else None


def has_exited() -> bool:
    """Return whether the interpreter is exiting and all objects are closed."""
    return _process.exited


class Guard:
    """Closes an object that its owner did not close, and warns once with the line that created the owner.

    Args:
        owner: The object of launch_sync that a user should have closed.
        close: Closes the async object behind it. Must not refer to the owner.
        fork_aware: Whether a forked child may close the async object, too. Otherwise a child does not touch it.
    """

    def __init__(self, owner: object, close: _Close, *, fork_aware: bool = False) -> None:
        self._finalizer = _Finalizer(type(owner).__name__, close, fork_aware)
        _process.open.add(self._finalizer)
        weakref.finalize(owner, self._finalizer).atexit = False

    def hold(self) -> None:
        """Suppress the warning, because a `with` will close the owner.

        The program may exit inside the `with`, for example while a daemon thread runs it.
        """
        self._finalizer.held = True

    def release(self) -> None:
        """Record that the owner was closed, so that its end needs no clean-up."""
        _process.open.discard(self._finalizer)


class _Finalizer:
    """Closes an object whose owner was collected, or still exists at exit, and was never closed."""

    def __init__(self, name: str, close: _Close, fork_aware: bool) -> None:
        self._name = name
        self._close = close
        self._fork_aware = fork_aware
        self._line = _line_of_user()
        self._pid = os.getpid()
        self.held = False

    def __call__(self) -> None:
        if self not in _process.open:
            return
        _process.open.discard(self)
        ours = self._pid == os.getpid()
        if _process.loop is not None and (ours or self._fork_aware):
            _process.loop.close_soon(self._close)
        if ours and not self.held:
            close = getattr(self._close, "__name__", "close")
            warnings.warn_explicit(
                f"{self._name} was never closed. Use `with {self._name}(...)`, or call its {close} method.",
                ResourceWarning,
                *self._line,
            )


class LoopThread:
    """An event loop and the daemon thread that runs it, in one process."""

    def __init__(self) -> None:
        # The requests need aiohttp. Its import takes longer in a second thread, where memory is slower to allocate.
        import_module("aiohttp")

        self._loop = asyncio.SelectorEventLoop()
        self.exiting = False
        self._pid = os.getpid()
        self._closing: set[asyncio.Task[object]] = set()
        self._kept: set[asyncio.Task[object]] = set()
        self._resume = threading.Event()
        ready = threading.Event()
        self._loop.call_soon(ready.set)
        self._thread = threading.Thread(target=self._serve, name="launch-sync", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._loop.close()
            raise
        ready.wait()

    def is_ours(self) -> bool:
        """Whether this process started the loop, and the loop runs. A fork copies the object but not the thread."""
        return self._pid == os.getpid() and self._thread.is_alive()

    def runs(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether `loop` is the event loop of this thread."""
        return self._loop is loop

    def is_here(self) -> bool:
        """Whether the current thread runs the loop."""
        return self._thread.ident == threading.get_ident()

    def post(self, action: Callable[[], object]) -> None:
        """Run an action on the loop soon. Actions run in the order of posting.

        Raises:
            ClosedError: The loop is closed.
        """
        try:
            self._loop.call_soon_threadsafe(action)
        except RuntimeError:
            raise _exited_error() from None

    def create_task(self, coroutine: Coroutine[object, object, T], context: Context) -> asyncio.Task[T]:
        """Start a coroutine as a task. Call this on the loop."""
        return self._loop.create_task(coroutine, context=context)

    def keep(self, task: asyncio.Task[object]) -> None:
        """Keep a reference to a task until it is done, because the loop only keeps weak references."""
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    def tasks(self) -> set[asyncio.Task[object]]:
        """Return all tasks of the loop."""
        return asyncio.all_tasks(self._loop)

    def close_soon(self, close: _Close) -> None:
        """Run a clean-up without a wait. An exit of the interpreter waits for it."""
        with suppress(ClosedError):
            self.post(partial(self._close, close))

    def park(self) -> None:
        """Pause the loop's thread at a point where it holds no lock, until `unpark`."""
        parked = threading.Event()
        self._resume.clear()
        with suppress(ClosedError):
            self.post(partial(self._hold, parked))
            parked.wait(_PARK_SECONDS)

    def unpark(self) -> None:
        """Continue the loop's thread after `park`."""
        self._resume.set()

    def stop(self) -> None:
        """Cancel all tasks, wait for their clean-up, close the loop and join its thread. This takes at most 2 s."""
        self.exiting = True
        with suppress(ClosedError):
            self.post(self._begin_to_stop)
            self._thread.join(_EXIT_SECONDS)

    def _close(self, close: _Close) -> None:
        task = self._loop.create_task(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _hold(self, parked: threading.Event) -> None:
        parked.set()
        self._resume.wait(_PARK_SECONDS)

    def _begin_to_stop(self) -> None:
        self._winding_down = self._loop.create_task(self._wind_down())

    async def _wind_down(self) -> None:
        try:
            tasks = self.tasks() - {self._winding_down}
            for task in tasks - self._closing:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=_EXIT_SECONDS * 0.75)
            await self._loop.shutdown_asyncgens()
        finally:
            self._loop.stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._loop.is_closed():
            try:
                self._loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                continue  # asyncio raises these two out of the loop, and the call that caused them gets them as well
            self._loop.close()


class _Process:
    """The state of this process: at most one loop, and the inherited objects, which it keeps and never touches."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loop: LoopThread | None = None
        self.parked: LoopThread | None = None
        self.open: set[_Finalizer] = set()
        self.inherited: list[object] = []
        self.exited = False
        self.warned = False


_process = _Process()


def _start_loop() -> LoopThread:
    with _process.lock:
        loop = _process.loop
        if _process.exited:
            raise _exited_error()
        if loop is None or not loop.is_ours():
            try:
                loop = _process.loop = LoopThread()
            except RuntimeError:  # the interpreter is exiting, or the system allows no further thread
                raise ClosedError("launch_sync cannot start its thread now.") from None
        return loop


def bridge_thread_error() -> BridgeThreadError:
    """Return the error for a call on the loop itself."""
    return BridgeThreadError(
        "launch_sync was called on its own event loop and would wait forever. Use launch_async in code that runs there."
    )


def _exited_error() -> ClosedError:
    return ClosedError("launch_sync is closed: the interpreter is exiting. Finish calls before the program ends.")


def _is_in_async(loop: LoopThread | None) -> bool:
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return False
    # With gevent, our loop runs in a greenlet of this same thread, although the caller is not in a coroutine.
    return loop is None or not loop.runs(running)


def _warn_in_async() -> None:
    ipython = sys.modules.get("IPython")
    if _process.warned or (ipython is not None and ipython.get_ipython() is not None):
        return
    _process.warned = True
    filename, line = _line_of_user()
    warnings.warn_explicit(
        "launch_sync was called from a coroutine and blocks its event loop until the answer arrives. "
        "Use launch_async in coroutines.",
        LaunchSyncInAsyncWarning,
        filename,
        line,
    )


def _line_of_user() -> tuple[str, int]:
    frame = sys._getframe()  # noqa: SLF001 - as warnings and logging do
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "launch_sync":
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _before_fork() -> None:
    _process.lock.acquire()
    loop = _process.loop
    if loop is not None and loop.is_ours() and not loop.is_here():
        _process.parked = loop
        loop.park()


def _after_fork_in_parent() -> None:
    if _process.parked is not None:
        _process.parked.unpark()
        _process.parked = None
    _process.lock.release()


def _after_fork_in_child() -> None:
    global _process
    parent, _process = _process, _Process()
    _process.open = parent.open
    if parent.loop is not None:
        _process.inherited = [*parent.inherited, parent.loop, *parent.loop.tasks(), *parent.open]
        _never_destroy(_process.inherited)


def _never_destroy(things: list[object]) -> None:
    """Keep objects, and all objects that they refer to, until the process has ended.

    Otherwise the normal exit of a child would destroy its parent's connections: it would unregister them from the epoll
    instance that both processes share, and print warnings about tasks and sessions. Only the garbage collector destroys
    a cycle of references, and it never visits frozen objects. `gc.freeze` freezes all objects that exist at the fork.
    Python's documentation recommends this for programs that fork.
    """
    things.append(things)
    gc.freeze()


def _at_exit() -> None:
    _process.exited = True
    try:
        for finalizer in list(_process.open):
            finalizer()
    finally:
        if _process.loop is not None and _process.loop.is_ours():
            _process.loop.stop()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
