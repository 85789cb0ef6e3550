"""Run every call of launch_sync on one private event loop of the process, and wait for the call in its thread.

All clients and threads share the loop (`launch_sync._bridge.loop`), the rate limit and the connections. The rules for
every call:

- The coroutine sees the caller's context variables.
- Callbacks run in the caller's thread, in order. An exception in a callback cancels the coroutine and reaches the
  caller. Progress output also receives the end of a cancelled call. At an interactive prompt, long calls show progress
  by default.
- Ctrl-C cancels the coroutine, waits at most 5 s for its clean-up, and is raised again. A second Ctrl-C does not wait.
- An iterator and the body of a `with` run in one task from the first step to the last, so time limits and task groups
  of the async side can span several steps.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Generator, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, ParamSpec, TypeAlias, TypeVar, cast, overload

from launch_async._views import AUDIENCE, TRACEBACK, Audience, at_a_prompt
from launch_async.errors import ClosedError
from launch_sync._bridge.loop import (
    Guard,
    bridge_thread_error,
    current_loop,
    has_exited,
    loop_is_running,
    loop_of_this_thread,
)

__all__ = ["Lifetime", "delivered", "entered", "gathered", "iterate", "run"]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

_CLEAN_UP_SECONDS = 5.0
# Waits are split into slices of this length, so that Ctrl-C is noticed after one slice: Windows does not interrupt a
# thread that waits for a lock, and on other systems a signal may arrive just before the wait begins.
_SLICE_SECONDS = 0.1 if sys.platform == "win32" else 1.0

_Deliveries: TypeAlias = "SimpleQueue[_Delivery | None]"
# The queue of callbacks for the thread that waits for the current call.
_deliveries: ContextVar[_Deliveries | None] = ContextVar("launch_sync_deliveries", default=None)


def run(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine on the private loop and return its result.

    Raises:
        BridgeThreadError: The call was made on the private loop itself.
        ClosedError: The interpreter is exiting.
    """
    call = _Call(coroutine)
    task = call.wait(call.start)
    try:
        return task.result()
    except asyncio.CancelledError:
        raise _cut_off() from None
    finally:
        del call, task  # a traceback refers to this frame, which must not refer to the error


def iterate(source: AsyncIterator[T], lender: object = None) -> Generator[T, None, None]:
    """Iterate over an async iterator in one task. A caller that stops early closes the source.

    Args:
        source: The async iterator.
        lender: The object whose connections the iterator uses. The iteration keeps it alive.

    Raises:
        BridgeThreadError: The iterator was used on the private loop itself.
        ClosedError: The interpreter is exiting, or the iteration began before a fork.
    """
    steps = _Steps()
    try:
        while True:
            try:
                item = steps.run(source.__anext__)
            except StopAsyncIteration:
                return
            yield item
    finally:
        steps.end(getattr(source, "aclose", None))


def entered(manager: AbstractAsyncContextManager[T, bool | None]) -> AbstractContextManager[T, bool | None]:
    """Return a context manager that enters and leaves an async context manager in the same task."""
    return _Entered(manager)


@overload
def delivered(callback: None) -> None: ...
@overload
def delivered(callback: Callable[P, object]) -> Callable[P, None]: ...
def delivered(callback: Callable[P, object] | None) -> Callable[P, None] | None:
    """Return a callback for the async side. It runs the given callback in the thread that waits for the call.

    Callbacks run in the order in which they are posted, and the loop does not wait for them. A callback that is posted
    after the end of the call does not run.
    """
    if callback is None:
        return None

    def post(*args: P.args, **kwargs: P.kwargs) -> None:
        deliveries = _deliveries.get()
        if deliveries is None:
            callback(*args, **kwargs)
        else:
            deliveries.put(_Delivery(partial(callback, *args, **kwargs), to_the_end))

    # `to_the_end` is an attribute of the progress output. The callback may be one of its bound methods.
    to_the_end = getattr(getattr(callback, "__self__", callback), "to_the_end", False)
    return post


def gathered(items: T) -> T:
    """Return the items of an iterable argument as a list.

    This reads them in the caller's thread, because the listings of launch_sync cannot be read on the loop.
    """
    given: object = items
    if isinstance(given, Iterable) and not isinstance(given, Collection):
        return cast("T", list(cast("Iterable[object]", given)))
    return items


class _Delivery:
    """A callback to run. With `to_the_end`, it also runs while a cancelled call cleans up."""

    def __init__(self, run: Callable[[], object], to_the_end: bool) -> None:
        self.run = run
        self.to_the_end = to_the_end


class Lifetime:
    """The lifetime of an object that a `with`, its close method, or the garbage collector closes.

    Args:
        owner: The object of launch_sync.
        manager: The async object behind it.
        close: Closes the async object. Must not refer to the owner.
        fork_aware: Whether the async object can distinguish its own connections from inherited ones. A forked child may
            then use and close it, too. Otherwise a child does not touch it.
        lender: The object whose connections the async object borrows; None if it opens separate connections. This keeps
            the lender alive. An owner that borrows connections does not need to be closed.
    """

    def __init__(
        self,
        owner: object,
        manager: AbstractAsyncContextManager[object, bool | None],
        close: Callable[[], Coroutine[object, object, object]],
        *,
        fork_aware: bool = False,
        lender: object = None,
    ) -> None:
        self._lender = lender
        self._guard = Guard(owner, close, fork_aware=fork_aware)
        self._body = entered(manager)
        self._close = close
        self._fork_aware = fork_aware
        self._pid = os.getpid()
        if lender is not None:
            self._guard.release()

    def enter(self) -> None:
        """Enter a `with`."""
        self._pid = os.getpid()
        self._body.__enter__()
        self._guard.hold()

    def exit(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Leave a `with`. In a forked child, close only the connections that the child opened."""
        try:
            if self._pid == os.getpid():
                return self._body.__exit__(kind, error, traceback)
            if self._fork_aware and loop_is_running():
                run(self._close())
            return None
        finally:
            self._guard.release()

    def close(self) -> None:
        """Close the object, also inside its `with`. While the interpreter exits, all objects are already closed."""
        if (loop := loop_of_this_thread()) is not None:
            # The garbage collector may run on the loop's thread, which cannot wait for the loop.
            loop.close_soon(self._close)
        elif not has_exited():
            run(self._close())
        self._guard.release()


def _add_notes_of_call(error: BaseException, task: asyncio.Task[T] | None) -> None:
    """Add the notes of a cancelled call, which say how to continue. At a prompt, hide our frames after a Ctrl-C."""
    try:
        if task is not None and task.done():
            task.result()
    except BaseException as cancelled:
        for note in getattr(cancelled, "__notes__", ()):
            error.add_note(note)
    if isinstance(error, KeyboardInterrupt) and at_a_prompt():
        error.__dict__["_render_traceback_"] = partial(TRACEBACK, error)  # for IPython


_AT_A_PROMPT = Audience(is_interactive=True, deliver=delivered)
_ELSEWHERE = Audience(deliver=delivered)


class _Call(Generic[T]):
    """A coroutine on the loop. The thread that waits for it also runs the callbacks that the coroutine posts."""

    def __init__(self, coroutine: Coroutine[object, object, T]) -> None:
        self._coroutine = coroutine
        self._deliveries: _Deliveries = SimpleQueue()
        self._abandoned = False
        self._task: asyncio.Task[T] | None = None
        try:
            self._loop = current_loop()
        except BaseException:
            coroutine.close()
            raise
        self._context: Context = copy_context()
        self._context.run(_deliveries.set, self._deliveries)
        # Progress by default is only for calls of the main thread. Calls of several threads would mix their output.
        if threading.current_thread() is threading.main_thread():
            self._context.run(AUDIENCE.set, _AT_A_PROMPT if at_a_prompt() else _ELSEWHERE)
        else:
            self._context.run(AUDIENCE.set, _ELSEWHERE)

    def start(self) -> None:
        """Start the task. Call this on the loop."""
        self._task = self._loop.create_task(self._coroutine, self._context)
        self._task.add_done_callback(self._finish)

    def wait(self, action: Callable[[], object]) -> asyncio.Task[T]:
        """Run an action on the loop, wait until the loop answers, and return the task that ran the action."""
        try:
            self._loop.post(action)
            while (delivery := self._read()) is not None:
                delivery.run()
        except BaseException as error:
            self._abandon()
            _add_notes_of_call(error, self._task)
            raise
        return cast("asyncio.Task[T]", self._task)

    def finished(self) -> bool:
        return self._task is not None and self._task.done()

    def _read(self) -> _Delivery | None:
        while True:
            with suppress(Empty):
                return self._deliveries.get(timeout=_SLICE_SECONDS)

    def _answer(self) -> None:
        # A daemon thread that wakes up while the interpreter exits would print a traceback.
        if not self._loop.exiting:
            self._deliveries.put(None)

    def _finish(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # otherwise asyncio logs the error if no thread waits for the task
        self._answer()

    def _abandon(self) -> None:
        self._abandoned = True
        try:
            self._loop.post(self._cancel)
        except ClosedError:
            self._coroutine.close()
            return
        deadline = time.monotonic() + _CLEAN_UP_SECONDS
        while not self.finished() and (left := deadline - time.monotonic()) > 0:
            self._run_to_the_end(timeout=min(left, _SLICE_SECONDS))
        while self._run_to_the_end(timeout=0.0):
            pass

    def _run_to_the_end(self, *, timeout: float) -> bool:
        """Run the next callback if it also runs after an interruption. Return whether there was a callback."""
        try:
            delivery = self._deliveries.get(timeout=timeout)
        except Empty:
            return False
        if delivery is not None and delivery.to_the_end:
            delivery.run()
        return True

    def _cancel(self) -> None:
        if self._task is None:
            self.start()  # cancel a started task, so that the coroutine can clean up
        cast("asyncio.Task[T]", self._task).cancel()


class _Steps(_Call[None]):
    """Several steps that run in one task. The caller requests them one by one."""

    def __init__(self) -> None:
        self._requested: asyncio.Queue[Callable[[], Awaitable[object]] | None] = asyncio.Queue()
        self._answered: object = None
        self._error: BaseException | None = None
        super().__init__(self._run_all())

    def start(self) -> None:
        """Start the task. Call this on the loop."""
        super().start()
        self._loop.keep(cast("asyncio.Task[object]", self._task))

    def is_here(self) -> bool:
        """Whether the current thread runs the task, and so cannot wait for it."""
        return self._loop.is_here()

    def can_continue(self) -> bool:
        """Whether the task can run another step. It cannot after a Ctrl-C, at exit, or in a forked child."""
        loop = self._loop
        return loop.is_ours() and not (loop.exiting or self._abandoned or self.finished())

    def run(self, step: Callable[[], Awaitable[R]]) -> R:
        """Run one step on the loop and return its result, or raise its error.

        Raises:
            BridgeThreadError: The call was made on the private loop itself.
            ClosedError: The steps began before a fork, or were cancelled.
        """
        if self.is_here():
            raise bridge_thread_error()
        if not self.can_continue():
            raise _cut_off()
        if self.wait(partial(self._take, step)).done():
            raise _cut_off()
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # see the function `run`
        answer, self._answered = self._answered, None
        return cast("R", answer)

    def end(self, last: Callable[[], Awaitable[object]] | None = None) -> None:
        """Run a last step and end the task. If the task cannot run another step, do nothing."""
        if not self.can_continue():
            return
        try:
            # The garbage collector may drop an iterator on the loop's thread, which cannot wait for the step.
            if last is not None and not self.is_here():
                self.run(last)
                last = None
        finally:
            self._loop.post(partial(self._end_soon, last))

    def drop(self) -> None:
        """End the task silently, because its owner no longer exists."""
        self.end()
        self._abandoned = True

    def _take(self, step: Callable[[], Awaitable[object]]) -> None:
        if self._task is None:
            self.start()
        self._requested.put_nowait(step)

    def _end_soon(self, last: Callable[[], Awaitable[object]] | None) -> None:
        if last is not None:
            self._requested.put_nowait(last)
        self._requested.put_nowait(None)

    async def _run_all(self) -> None:
        while (step := await self._requested.get()) is not None:
            try:
                self._answered = await step()
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # `run` raises it in the caller's thread
                self._error = error
            self._answer()


class _Entered(AbstractContextManager[T, bool | None]):
    def __init__(self, manager: AbstractAsyncContextManager[T, bool | None]) -> None:
        self._manager = manager
        # Nested `with` statements can enter one object several times.
        self._open: list[tuple[_Steps, Callable[[], object]]] = []

    def __enter__(self) -> T:
        steps = _Steps()
        try:
            entered = steps.run(self._manager.__aenter__)
        except BaseException:
            steps.end()
            raise
        finalizer = weakref.finalize(self, steps.drop)
        finalizer.atexit = False
        self._open.append((steps, finalizer.detach))
        return entered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if not self._open:
            return None
        steps, detach_finalizer = self._open.pop()
        detach_finalizer()
        if not steps.can_continue():
            return None
        leave = partial(self._manager.__aexit__, kind, error, traceback)
        if steps.is_here():  # see `Lifetime.close`
            steps.end(leave)
            return None
        try:
            return steps.run(leave)
        finally:
            steps.end()


def _cut_off() -> ClosedError:
    return ClosedError(
        "The call was cancelled: its client was closed during the call, or the call began before a fork."
    )
