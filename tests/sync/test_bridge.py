"""The promises of every call of `launch_sync`, tested in this process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from launch_async.errors import ClosedError
from launch_sync import _bridge
from launch_sync._bridge import loop as _loop
from launch_sync._bridge.loop import Guard, LaunchSyncInAsyncWarning, LoopThread
from mini_async import Listing as AsyncListing
from mini_sync import BridgeThreadError, Client, Listing, Thing, connect
from mini_sync.client import Shelf

context_value: ContextVar[str] = ContextVar("context_value", default="unset")


class CancelRecorder:
    """Wait on the loop until it is cancelled, and record the clean-up."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.done = threading.Event()

    @property
    def cleaned(self) -> bool:
        return self.done.is_set()

    async def wait(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.done.set()

    async def items(self) -> AsyncIterator[int]:
        try:
            yield 1
            await self.wait()
        finally:
            self.done.set()


@contextlib.contextmanager
def interrupted_when(event: threading.Event) -> Iterator[None]:
    """Press Ctrl-C when the event is set."""
    main = threading.get_ident()

    def press() -> None:
        event.wait()
        signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    presser.join()


def made_here(owner: object, close: Callable[[], Coroutine[object, object, object]]) -> int:
    """Guard an owner, and return the line number of the guard."""
    return (sys._getframe().f_lineno, Guard(owner, close))[0]


async def answer(value: int) -> int:
    return value


def test_a_coroutine_returns_its_result() -> None:
    assert _bridge.run(answer(3)) == 3


def test_an_error_of_a_coroutine_reaches_the_caller_unchanged() -> None:
    error = ValueError("no")

    async def fail() -> None:
        raise error

    with pytest.raises(ValueError, match="no") as caught:
        _bridge.run(fail())
    assert caught.value is error


def test_an_error_leaves_no_reference_cycle_behind() -> None:
    class Marked(Exception):
        pass

    async def fail() -> None:
        raise Marked

    async def failing() -> AsyncIterator[int]:
        raise Marked
        yield 1

    raised = 0
    gc.collect()
    gc.disable()
    try:
        for call in (lambda: _bridge.run(fail()), lambda: list(_bridge.iterate(failing()))):
            # `pytest.raises` would keep a reference to the error, and the check below would find it.
            try:
                call()
            except Marked:
                raised += 1
        assert raised == 2
        assert [item for item in gc.get_objects() if isinstance(item, Marked)] == []
    finally:
        gc.enable()


def test_all_calls_run_on_one_named_thread() -> None:
    async def thread() -> threading.Thread:
        return threading.current_thread()

    with ThreadPoolExecutor(32) as pool:
        threads = set(pool.map(lambda _: _bridge.run(thread()), range(64)))
    assert [thread.name for thread in threads] == ["launch-sync"]
    assert all(thread.daemon for thread in threads)


def test_a_call_sees_the_context_variables_of_its_caller() -> None:
    async def look() -> str:
        return context_value.get()

    async def looking() -> AsyncIterator[str]:
        yield context_value.get()

    context_value.set("me")
    assert _bridge.run(look()) == "me"
    assert list(_bridge.iterate(looking())) == ["me"]


def test_a_callback_runs_in_the_callers_thread_and_in_order() -> None:
    seen: list[tuple[int, int]] = []
    with Client() as client:
        client.make(1, 2, 3, on_thing=lambda thing: seen.append((thing.number, threading.get_ident())))
    assert seen == [(number, threading.get_ident()) for number in (1, 2, 3)]


def test_a_callback_may_call_the_client_again() -> None:
    with Client() as client:
        found: list[Thing] = []
        client.make(1, 2, on_thing=lambda thing: found.append(client.get(thing.number)))
    assert found == [Thing(1), Thing(2)]


def test_a_callback_from_a_worker_thread_of_the_loop_runs_in_the_callers_thread() -> None:
    seen: list[int] = []
    callback = _bridge.delivered(lambda: seen.append(threading.get_ident()))
    _bridge.run(asyncio.to_thread(callback))
    assert seen == [threading.get_ident()]


def test_a_callback_outside_of_any_call_runs_immediately() -> None:
    seen: list[int] = []
    _bridge.delivered(seen.append)(1)
    assert seen == [1]


def test_an_exception_in_a_callback_cancels_the_coroutine_and_reaches_the_caller() -> None:
    recorder = CancelRecorder()

    def fail() -> None:
        raise LookupError("mine")

    async def call_and_wait() -> None:
        _bridge.delivered(fail)()
        await recorder.wait()

    with pytest.raises(LookupError, match="mine"):
        _bridge.run(call_and_wait())
    assert recorder.cleaned


def test_none_as_a_callback_stays_none() -> None:
    assert _bridge.delivered(None) is None


def test_an_iterator_gives_every_item() -> None:
    with Client() as client:
        assert [thing.number for thing in client.watch(3)] == [0, 1, 2]
        assert list(client.shelf) == [Thing(1), Thing(2), Thing(3)]
        assert list(client.follow()) == [Thing(1)]


def test_a_listing_crosses_once_for_a_page() -> None:
    with Client() as client:
        listing = client.things(limit=5)
        assert isinstance(listing, Listing)
        assert list(listing) == [Thing(number) for number in range(5)]
        assert [len(page) for page in listing.pages()] == [2, 2, 1]


def test_a_listing_may_be_passed_to_a_method_that_takes_several_items() -> None:
    with Client() as client:
        assert client.weigh(client.things(limit=3)) == 3
        assert client.weigh(thing for thing in client.things(limit=4)) == 6
        assert client.weigh([Thing(1)]) == 1
        assert client.weigh() == 0


def test_a_second_thread_that_reads_a_listing_gets_an_error_and_takes_no_items() -> None:
    asked, go_on = threading.Event(), threading.Event()

    class Slow(AsyncListing[int]):
        async def pages(self) -> AsyncIterator[list[int]]:
            asked.set()
            await asyncio.to_thread(go_on.wait)
            yield [1, 2]
            yield [3]

    iterator = iter(Listing(Slow([])))
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(list, iterator)
        assert asked.wait(5)
        with pytest.raises(ValueError, match="already executing"):
            next(iterator)
        go_on.set()
        assert read.result() == [1, 2, 3]


def test_an_iterator_left_early_is_closed_before_the_next_line_runs() -> None:
    recorder = CancelRecorder()
    for _ in _bridge.iterate(recorder.items()):
        break
    assert recorder.cleaned


def test_an_error_while_an_iterator_is_closed_is_not_lost() -> None:
    async def stubborn() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise LookupError("while closing")

    iterator = _bridge.iterate(stubborn())
    next(iterator)
    with pytest.raises(LookupError, match="while closing"):
        iterator.close()


def test_a_time_out_may_span_the_steps_of_an_iterator() -> None:
    async def impatient() -> AsyncIterator[int]:
        async with asyncio.timeout(0.01):
            yield 1
            await asyncio.Event().wait()

    iterator = _bridge.iterate(impatient())
    assert next(iterator) == 1
    with pytest.raises(TimeoutError):
        next(iterator)


def test_the_body_of_a_with_is_one_task() -> None:
    tasks: list[object] = []

    @contextlib.asynccontextmanager
    async def noted() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        yield "inside"
        tasks.append(asyncio.current_task())

    with _bridge.entered(noted()) as value:
        assert value == "inside"
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]


@pytest.mark.parametrize("kind", [ValueError, StopIteration, KeyboardInterrupt])
def test_an_exception_in_the_body_of_a_with_reaches_the_async_side_and_the_caller(kind: type[BaseException]) -> None:
    seen: list[object] = []

    class Manager:
        async def __aenter__(self) -> None:
            return None

        async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
            seen.append(kind)

    with pytest.raises(kind), _bridge.entered(Manager()):
        raise kind
    assert seen == [kind]
    assert _bridge.run(answer(1)) == 1


def test_an_exception_that_the_async_side_swallows_is_swallowed() -> None:
    class Swallower:
        async def __aenter__(self) -> None:
            return None

        async def __aexit__(self, *_: object) -> bool:
            return True

    with _bridge.entered(Swallower()):
        raise ValueError
    assert _bridge.run(answer(1)) == 1


def test_nested_with_blocks_of_one_client_leave_no_task() -> None:
    before = _loop.current_loop().tasks()
    with Client() as client, client:
        assert client.get(1) == Thing(1)
    assert _bridge.run(answer(1)) == 1
    assert client.closed
    assert _loop.current_loop().tasks() <= before


def test_an_error_on_entering_reaches_the_caller() -> None:
    class Broken:
        async def __aenter__(self) -> None:
            raise LookupError("locked")

        async def __aexit__(self, *_: object) -> None: ...

    with pytest.raises(LookupError, match="locked"), _bridge.entered(Broken()):
        pytest.fail("entered")


def test_a_keyboard_interrupt_on_the_loop_reaches_the_caller_and_the_loop_continues() -> None:
    async def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _bridge.run(interrupt())
    assert _bridge.run(answer(1)) == 1


def test_ctrl_c_cancels_the_call_and_waits_for_its_clean_up() -> None:
    recorder = CancelRecorder()
    with interrupted_when(recorder.started):
        _bridge.run(recorder.wait())
    assert recorder.cleaned
    assert _bridge.run(answer(1)) == 1


def test_ctrl_c_in_an_iterator_cancels_it_and_ends_it() -> None:
    recorder = CancelRecorder()
    iterator = _bridge.iterate(recorder.items())
    next(iterator)
    with interrupted_when(recorder.started):
        next(iterator)
    assert recorder.cleaned
    assert list(iterator) == []


def test_a_second_ctrl_c_does_not_wait_for_the_clean_up() -> None:
    cancelled, release = threading.Event(), threading.Event()
    started = threading.Event()
    main = threading.get_ident()

    async def stubborn() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
            await asyncio.to_thread(release.wait)

    def press_twice() -> None:
        started.wait()
        signal.pthread_kill(main, signal.SIGINT)
        cancelled.wait()
        signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press_twice)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        _bridge.run(stubborn())
    assert not release.is_set()
    presser.join()
    release.set()


def test_a_clean_up_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bridge, "_CLEAN_UP_SECONDS", 0.01)
    started, release = threading.Event(), threading.Event()

    async def stubborn() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(release.wait)

    with interrupted_when(started):
        _bridge.run(stubborn())
    release.set()


def test_a_call_that_was_cancelled_on_the_loop_raises_closed_error() -> None:
    async def cancel_myself() -> None:
        raise asyncio.CancelledError

    async def cancel_within() -> AsyncIterator[int]:
        raise asyncio.CancelledError
        yield 1

    with pytest.raises(ClosedError, match="was cancelled: its client was closed"):
        _bridge.run(cancel_myself())
    with pytest.raises(ClosedError, match="was cancelled: its client was closed"):
        list(_bridge.iterate(cancel_within()))


def test_a_call_on_the_loop_itself_is_refused_instead_of_waiting_forever() -> None:
    async def call_sync() -> None:
        _bridge.run(answer(1))

    with pytest.raises(BridgeThreadError, match="would wait forever"):
        _bridge.run(call_sync())


def test_an_iterator_that_is_continued_or_dropped_on_the_loop_does_not_block_it() -> None:
    recorder = CancelRecorder()
    iterators = [_bridge.iterate(recorder.items())]
    next(iterators[0])

    async def go_on() -> bool:
        refused = False
        # `pytest.raises` would keep a reference to the iterator.
        try:
            next(iterators[0])
        except BridgeThreadError:
            refused = True
        iterators.clear()
        await asyncio.to_thread(recorder.done.wait, 5)
        return refused

    assert _bridge.run(go_on())
    assert recorder.cleaned


def test_closing_on_the_loop_does_not_wait() -> None:
    def held(client: Client) -> Iterator[None]:
        with client:
            yield

    closed, left = Client(), Client()
    suspended = held(left)
    next(suspended)

    async def collect() -> None:
        closed.close()
        suspended.close()
        for _ in range(10):  # turns of the loop
            await asyncio.sleep(0)

    _bridge.run(collect())
    assert closed.closed
    assert left.closed


def test_a_with_that_is_never_left_is_cleaned_up_silently(caplog: pytest.LogCaptureFixture) -> None:
    before = _loop.current_loop().tasks()
    client = [Client().__enter__()]
    assert _loop.current_loop().tasks() > before
    client.clear()
    gc.collect()
    assert _bridge.run(answer(1)) == 1
    assert _loop.current_loop().tasks() <= before
    assert caplog.records == []


async def test_a_call_from_a_coroutine_works_and_warns_once() -> None:
    with pytest.warns(LaunchSyncInAsyncWarning, match="Use launch_async in coroutines") as caught:
        assert [_bridge.run(answer(value)) for value in (1, 2)] == [1, 2]
    assert len(caught) == 1
    assert caught[0].filename == __file__


async def test_a_warning_that_is_an_error_leaves_no_coroutine() -> None:
    with pytest.raises(LaunchSyncInAsyncWarning):
        _bridge.run(answer(1))


def test_greenlets_that_share_the_thread_of_the_loop_cause_no_warning() -> None:
    _bridge.run(answer(1))
    loop = _loop._process.loop
    assert loop is not None

    # With gevent, the private loop runs in a greenlet, and asyncio takes it for the running loop of the whole thread.
    asyncio.events._set_running_loop(loop._loop)
    try:
        assert _bridge.run(answer(2)) == 2
    finally:
        asyncio.events._set_running_loop(None)


async def test_a_notebook_causes_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    class IPython:
        @staticmethod
        def get_ipython() -> object:
            return object()

    monkeypatch.setitem(_loop.sys.modules, "IPython", IPython)
    assert _bridge.run(answer(1)) == 1


def test_the_twin_has_the_signatures_of_the_original() -> None:
    shelf: Shelf | None
    with connect("mine") as client:
        assert client.name == "mine"
        assert repr(client) == "<Client>"
        assert client.version() == "1.0"
        assert client.find(0) is None
        assert client.get(0) == Thing(0)
        assert client.other_shelf() is None
        client.note = "new"
        assert client.note == "new"
        shelf = client.other_shelf("right")
        assert shelf is not None
        client.shelf.move_to(shelf)
        assert len(shelf) == 3
        assert shelf.first() == Thing(1)
        assert client.put_on(shelf, Thing(4)) == 4
        assert client.put_on(None, Thing(4)) == 0
        with client.locked() as word, client.transaction() as other:
            assert (word, other) == ("locked", "locked")
    assert client.closed


def test_an_unclosed_owner_is_closed_and_its_line_is_named() -> None:
    class Owner:
        pass

    closed = threading.Event()

    async def stop() -> None:
        closed.set()

    _bridge.run(answer(1))
    owners = [Owner()]
    line = made_here(owners[0], stop)
    warning = r"Owner was never closed. Use `with Owner\(...\)`, or call its stop method"
    with pytest.warns(ResourceWarning, match=warning) as caught:
        owners.clear()
    assert closed.wait(5)
    assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, line)]


def test_a_closed_client_causes_no_warning() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for make in (Client, lambda: Client.from_env({}), lambda: connect("x")):
            client = make()
            client.close()
            del client
        with Client():
            pass
        gc.collect()
    assert [warning for warning in caught if warning.category is ResourceWarning] == []


def test_a_derived_client_keeps_its_parent_open_and_does_not_need_to_be_closed() -> None:
    derived = [Client().with_name("derived")]
    gc.collect()
    lender = derived[0]._lifetime._lender
    assert not lender.closed
    lender.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        derived.clear()
        gc.collect()
    assert caught == []


def test_a_loop_that_stops_cancels_running_calls_and_refuses_new_ones() -> None:
    loop = LoopThread()
    recorder = CancelRecorder()
    finished = threading.Event()

    async def close() -> None:
        await asyncio.sleep(0.01)
        finished.set()

    loop.post(lambda: setattr(recorder, "task", loop.create_task(recorder.wait(), _bridge.copy_context())))
    assert recorder.started.wait(5)
    loop.close_soon(close)
    loop.stop()
    assert recorder.cleaned
    assert finished.is_set()
    assert not loop.is_ours()
    with pytest.raises(ClosedError, match="exiting"):
        loop.post(lambda: None)
    loop.stop()


def test_a_call_that_is_interrupted_before_it_began_never_runs() -> None:
    ran: list[int] = []

    async def run() -> None:
        ran.append(1)

    call = _bridge._Call(run())
    call._abandon()
    assert call.finished()
    assert ran == []


def test_a_call_whose_loop_stops_before_it_began_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loop, "_process", _loop._Process())
    call = _bridge._Call(answer(1))
    _loop.current_loop().stop()
    with pytest.raises(ClosedError, match="exiting"):
        call.wait(call.start)


def test_after_exit_a_call_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    process = _loop._Process()
    monkeypatch.setattr(_loop, "_process", process)
    client = Client()
    assert client.get(1) == Thing(1)
    thread = process.loop
    assert thread is not None
    with pytest.warns(ResourceWarning, match="Client was never closed"):
        _loop._at_exit()
    assert client.closed
    assert not thread.is_ours()
    with pytest.raises(ClosedError, match="the interpreter is exiting"):
        client.get(1)


def test_a_client_that_was_closed_at_exit_may_be_closed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loop, "_process", _loop._Process())
    with Client() as client:
        _loop._at_exit()
        client.close()
    assert client.closed


def test_a_thread_that_cannot_start_raises_closed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loop, "_process", _loop._Process())

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ClosedError, match="cannot start its thread"):
        _bridge.run(answer(1))


def test_the_loop_is_paused_while_the_process_forks() -> None:
    _bridge.run(answer(1))
    ran = threading.Event()
    _loop._before_fork()
    loop = _loop._process.parked
    assert loop is not None
    loop.post(ran.set)
    assert not ran.wait(0.01)
    _loop._after_fork_in_parent()
    assert ran.wait(5)


@pytest.fixture
def fork(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Make this process look like a forked child of itself, until the test ends."""
    parent, real = _loop._process, os.getpid()

    def pretend() -> None:
        monkeypatch.setattr(os, "getpid", lambda: real + 1)
        _loop._after_fork_in_child()

    yield pretend
    if _loop._process.loop is not None and _loop._process is not parent:
        _loop._process.loop.stop()
    _loop._process = parent
    gc.unfreeze()


def test_a_child_has_a_separate_loop_and_keeps_inherited_clients_open(fork: Callable[[], None]) -> None:
    parent = _loop._process
    with Client() as client:
        assert client.get(1) == Thing(1)
        inherited = parent.loop
        fork()
        assert client.get(2) == Thing(2)
        assert _loop._process.loop is not inherited
        assert inherited in _loop._process.inherited
        assert not client.closed
    assert client.closed


def test_a_child_does_not_close_a_client_that_it_did_not_use(fork: Callable[[], None]) -> None:
    with Client() as client:
        fork()
    assert not client.closed
    assert _loop._process.loop is None


def test_a_child_cannot_continue_an_iterator_of_its_parent(fork: Callable[[], None]) -> None:
    with Client() as client:
        watch = client.watch(3)
        next(watch)
        locked = client.locked()
        locked.__enter__()
        fork()
        with pytest.raises(ClosedError, match="began before a fork"):
            next(watch)
        assert locked.__exit__(None, None, None) is None


def test_a_child_does_not_warn_about_clients_that_its_parent_closes(fork: Callable[[], None]) -> None:
    clients = [Client()]
    closed = clients[0]._async
    fork()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clients.clear()
        gc.collect()
    assert caught == []
    assert not closed.closed
