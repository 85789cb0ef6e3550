"""Run every call of launch_sync on one private event loop of the process, and wait for the call in its thread.

All clients and threads share the loop (`launch_sync._bridge.loop`), the rate limit and the connections. The rules for
every call:

- the coroutine sees the caller's context variables;
- callbacks run in the caller's thread, in order; an exception in one cancels the coroutine and reaches the caller;
  progress output also gets the end of the call, and long calls show progress by default at an interactive prompt;
- Ctrl-C cancels the coroutine, waits for its clean-up (5 s at most) and is raised again; a second one returns at once;
- an iterator, and the body of a `with`, is one task from its first step to its last, so that time-outs and task groups
  of the async side may span steps.
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
# A wait is cut into slices, after which a Ctrl-C is seen at the latest: Windows does not interrupt a waiting lock, and
# elsewhere a signal may arrive just before the wait begins.
_SLICE_SECONDS = 0.1 if sys.platform == "win32" else 1.0

_Mail: TypeAlias = "SimpleQueue[_Delivery | None]"
# Where the thread that waits for the current call reads what it is to run.
_mail: ContextVar[_Mail | None] = ContextVar("launch_sync_mail", default=None)


def run(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine on the private loop and return its result.

    Raises:
        BridgeThreadError: called on the private loop itself.
        ClosedError: the interpreter is exiting.
    """
    call = _Call(coroutine)
    task = call.wait(call.start)
    try:
        return task.result()
    except asyncio.CancelledError:
        raise _cut_off() from None
    finally:
        del call, task  # a traceback keeps this frame; it must not keep the error in turn


def iterate(source: AsyncIterator[T], lender: object = None) -> Generator[T, None, None]:
    """Iterate over an async iterator, all of it in one task; leaving early closes the source.

    Args:
        source: The async iterator.
        lender: Whose connections it uses: kept alive by the iteration.

    Raises:
        BridgeThreadError: used on the private loop itself.
        ClosedError: the interpreter is exiting, or the iteration was begun before a fork.
    """
    conversation = _Conversation()
    try:
        while True:
            try:
                item = conversation.ask(source.__anext__)
            except StopAsyncIteration:
                return
            yield item
    finally:
        conversation.end(getattr(source, "aclose", None))


def entered(manager: AbstractAsyncContextManager[T, bool | None]) -> AbstractContextManager[T, bool | None]:
    """Return a context manager that enters and leaves an async one, both in the same task."""
    return _Entered(manager)


@overload
def delivered(callback: None) -> None: ...
@overload
def delivered(callback: Callable[P, object]) -> Callable[P, None]: ...
def delivered(callback: Callable[P, object] | None) -> Callable[P, None] | None:
    """Return a callback for the async side that runs the given one in the thread that waits for the call.

    The loop does not wait for it: the call is posted, and order is kept. What arrives after the call has ended is lost.
    """
    if callback is None:
        return None

    def post(*args: P.args, **kwargs: P.kwargs) -> None:
        mail = _mail.get()
        if mail is None:
            callback(*args, **kwargs)
        else:
            mail.put(_Delivery(partial(callback, *args, **kwargs), to_the_end))

    # A bound method is of the object that shows something.
    to_the_end = getattr(getattr(callback, "__self__", callback), "to_the_end", False)
    return post


def gathered(items: T) -> T:
    """Return what an iterable argument gives, taken in the caller's thread: a listing could not be read on the loop."""
    given: object = items
    if isinstance(given, Iterable) and not isinstance(given, Collection):
        return cast("T", list(cast("Iterable[object]", given)))
    return items


class _Delivery:
    """A callback that is to be run; `to_the_end`, also while a call that was broken off cleans up."""

    def __init__(self, run: Callable[[], object], to_the_end: bool) -> None:
        self.run = run
        self.to_the_end = to_the_end


class Lifetime:
    """From the making of an object that must be closed until it is: by `with`, by its close method, or forgotten.

    Args:
        owner: The object of launch_sync.
        manager: The asynchronous object behind it.
        close: Closes that. Must not refer to the owner.
        fork_aware: Whether the asynchronous object tells its own connections from inherited ones, so that a forked
            child may use and close it too. Otherwise a child leaves it alone.
        lender: Whose connections it uses, if not its own: kept alive by it, and nothing is lost if it is not closed.
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
        """Begin a `with`."""
        self._pid = os.getpid()
        self._body.__enter__()
        self._guard.hold()

    def exit(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """End a `with`; in a forked child close only what the child opened."""
        try:
            if self._pid == os.getpid():
                return self._body.__exit__(kind, error, traceback)
            if self._fork_aware and loop_is_running():
                run(self._close())
            return None
        finally:
            self._guard.release()

    def close(self) -> None:
        """Close the object, without a `with` or in its midst; at exit everything is closed already."""
        if (loop := loop_of_this_thread()) is not None:
            loop.close_soon(self._close)  # for the garbage collector, that may end things there, where nobody can wait
        elif not has_exited():
            run(self._close())
        self._guard.release()


def _say_of_the_call(error: BaseException, task: asyncio.Task[T] | None) -> None:
    """Add what a call that was broken off says of how to go on; at a prompt, show no frame of ours after a Ctrl-C."""
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
    """A coroutine on the loop, and the thread that waits for it and runs what is delivered meanwhile."""

    def __init__(self, coroutine: Coroutine[object, object, T]) -> None:
        self._coroutine = coroutine
        self._mail: _Mail = SimpleQueue()
        self._abandoned = False
        self._task: asyncio.Task[T] | None = None
        try:
            self._loop = current_loop()
        except BaseException:
            coroutine.close()
            raise
        self._context: Context = copy_context()
        self._context.run(_mail.set, self._mail)
        # Progress that nobody asked for is for one call at a time: not for those of a pool of threads.
        if threading.current_thread() is threading.main_thread():
            self._context.run(AUDIENCE.set, _AT_A_PROMPT if at_a_prompt() else _ELSEWHERE)
        else:
            self._context.run(AUDIENCE.set, _ELSEWHERE)

    def start(self) -> None:
        """Begin; runs on the loop."""
        self._task = self._loop.create_task(self._coroutine, self._context)
        self._task.add_done_callback(self._finish)

    def wait(self, action: Callable[[], object]) -> asyncio.Task[T]:
        """Do something on the loop, wait until the loop answers, and return the task that ran it."""
        try:
            self._loop.post(action)
            while (delivery := self._read()) is not None:
                delivery.run()
        except BaseException as error:
            self._abandon()
            _say_of_the_call(error, self._task)
            raise
        return cast("asyncio.Task[T]", self._task)

    def finished(self) -> bool:
        return self._task is not None and self._task.done()

    def _read(self) -> _Delivery | None:
        while True:
            with suppress(Empty):
                return self._mail.get(timeout=_SLICE_SECONDS)

    def _answer(self) -> None:
        # A daemon thread must not wake up into an exiting interpreter: it would print a traceback there.
        if not self._loop.exiting:
            self._mail.put(None)

    def _finish(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits any more
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
            with suppress(Empty):
                delivery = self._mail.get(timeout=min(left, _SLICE_SECONDS))
                if delivery is not None and delivery.to_the_end:
                    delivery.run()

    def _cancel(self) -> None:
        if self._task is None:
            self.start()  # a coroutine that is cancelled before its first step never runs any of its code
        cast("asyncio.Task[T]", self._task).cancel()


class _Conversation(_Call[None]):
    """Several steps, asked for one by one, in one task."""

    def __init__(self) -> None:
        self._steps: asyncio.Queue[Callable[[], Awaitable[object]] | None] = asyncio.Queue()
        self._answered: object = None
        self._error: BaseException | None = None
        super().__init__(self._converse())

    def start(self) -> None:
        """Begin; runs on the loop."""
        super().start()
        self._loop.keep(cast("asyncio.Task[object]", self._task))

    def is_here(self) -> bool:
        """Whether the current thread is the one of the task, which cannot wait for it."""
        return self._loop.is_here()

    def goes_on(self) -> bool:
        """Whether the task can take another step: not after a Ctrl-C, at exit, or in a forked child."""
        loop = self._loop
        return loop.is_ours() and not (loop.exiting or self._abandoned or self.finished())

    def ask(self, step: Callable[[], Awaitable[R]]) -> R:
        """Run one step on the loop and return its result, or raise its error.

        Raises:
            BridgeThreadError: called on the private loop itself.
            ClosedError: the conversation was begun before a fork, or was cut off.
        """
        if self.is_here():
            raise bridge_thread_error()
        if not self.goes_on():
            raise _cut_off()
        if self.wait(partial(self._take, step)).done():
            raise _cut_off()
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # as in `run`
        answer, self._answered = self._answered, None
        return cast("R", answer)

    def end(self, last: Callable[[], Awaitable[object]] | None = None) -> None:
        """Run a last step and end the task, or quietly do nothing where it cannot take another step."""
        if not self.goes_on():
            return
        try:
            # The garbage collector may drop an iterator on the loop itself, where nobody can wait for the step.
            if last is not None and not self.is_here():
                self.ask(last)
                last = None
        finally:
            self._loop.post(partial(self._end_soon, last))

    def drop(self) -> None:
        """End the task quietly: nobody is left who could ask for another step."""
        self.end()
        self._abandoned = True

    def _take(self, step: Callable[[], Awaitable[object]]) -> None:
        if self._task is None:
            self.start()
        self._steps.put_nowait(step)

    def _end_soon(self, last: Callable[[], Awaitable[object]] | None) -> None:
        if last is not None:
            self._steps.put_nowait(last)
        self._steps.put_nowait(None)

    async def _converse(self) -> None:
        while (step := await self._steps.get()) is not None:
            try:
                self._answered = await step()
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # raised in the caller's thread, where it belongs
                self._error = error
            self._answer()


class _Entered(AbstractContextManager[T, bool | None]):
    def __init__(self, manager: AbstractAsyncContextManager[T, bool | None]) -> None:
        self._manager = manager
        # More than one where a `with` stands in another one; each is dropped with this object if it was never left.
        self._conversations: list[tuple[_Conversation, Callable[[], object]]] = []

    def __enter__(self) -> T:
        conversation = _Conversation()
        try:
            entered = conversation.ask(self._manager.__aenter__)
        except BaseException:
            conversation.end()
            raise
        forgotten = weakref.finalize(self, conversation.drop)
        forgotten.atexit = False
        self._conversations.append((conversation, forgotten.detach))
        return entered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if not self._conversations:
            return None
        conversation, remember = self._conversations.pop()
        remember()
        if not conversation.goes_on():
            return None
        leave = partial(self._manager.__aexit__, kind, error, traceback)
        if conversation.is_here():  # see `Lifetime.close`
            conversation.end(leave)
            return None
        try:
            return conversation.ask(leave)
        finally:
            conversation.end()


def _cut_off() -> ClosedError:
    return ClosedError(
        "The call was cancelled: its client was closed during the call, or the call began before a fork."
    )
