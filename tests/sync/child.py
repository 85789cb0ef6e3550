"""Programs that use `launch_sync` like users. A test runs each in a separate process: `child.py NAME URL ...`."""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

URL, ORGANIZATION, TOKEN = sys.argv[2:5]


def say(*words: object) -> None:
    """Write a line and flush it, because a fork must not copy the line and a test may wait for it."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def call_after_exit() -> None:
    """Call the client after launch_sync has closed it. The hook runs last, as it was registered before the import."""
    for launch in CLIENTS:
        try:
            launch.projects.get("66c0aaaaaaaaaaaaaaaaaaaa")
        except ClosedError as error:
            say(type(error).__name__)


atexit.register(call_after_exit)

from launch_sync import (  # noqa: E402
    Authtoken,
    BridgeThreadError,
    ClosedError,
    Hooks,
    LaunchClient,
    LaunchSyncInAsyncWarning,
    LogLine,
    RateLimit,
)
from launch_sync._bridge import loop as _loop  # noqa: E402

CLIENTS: list[LaunchClient] = []
CONTEXT_VALUE: ContextVar[str] = ContextVar("context_value", default="unset")


def client(hooks: Hooks | None = None) -> LaunchClient:
    return LaunchClient(
        Authtoken(TOKEN), base_url=URL, organization_uid=ORGANIZATION, rate_limit=RateLimit(1000, per=1.0), hooks=hooks
    )


def names(launch: LaunchClient) -> list[str]:
    return [project.name for project in launch.projects.list()]


def works(launch: LaunchClient) -> bool:
    return "first" in names(launch)


def conversations() -> int:
    """Return the number of running iterators and bodies of a `with`."""
    return sum("_run_all" in repr(task) for task in _loop.current_loop().tasks())


def never_closed() -> None:
    launch = client()
    say(names(launch))


def exit_during_a_call() -> None:
    started = threading.Event()

    def call() -> None:
        with client() as launch:
            launch.create_site("endless", sys.argv[5], on_log=lambda _: started.set())

    threading.Thread(target=call, daemon=True).start()
    started.wait()
    with client() as launch:
        CLIENTS.append(launch)
    say("leaving")


def in_one_process() -> None:
    """Use a client without forks and signals, and write one line for each promise."""
    with client() as launch:
        mistaken_for_async(launch)
        many_threads(launch)
        left_early(launch)
    called_on_the_loop()
    seen_inside()
    try:
        launch.projects.list().first()
    except ClosedError:
        say("closed: refused")


def mistaken_for_async(launch: LaunchClient) -> None:
    async def mistaken() -> list[bool]:
        return [works(launch), works(launch)]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers = asyncio.run(mistaken())
    mine = [one for one in caught if one.category is LaunchSyncInAsyncWarning and one.filename == __file__]
    say("coroutine:", answers, len(mine), len(caught))


def many_threads(launch: LaunchClient) -> None:
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: works(launch), range(64)))
    say("threads:", answers.count(True))


def left_early(launch: LaunchClient) -> None:
    """Leave the log of a build that runs for an hour."""
    site = launch.create_site("left early", sys.argv[5], wait=False)
    before = conversations()
    for line in launch.follow_logs(site.deployment):
        say("line:", type(line).__name__)
        break
    launch.openapi()
    say("early:", conversations() - before, works(launch))


def called_on_the_loop() -> None:
    class Mistaken(Hooks):
        def request_started(self, event: object) -> None:
            if not met:
                met.append("here")
                try:
                    names(launch)
                except BridgeThreadError:
                    met.append("refused")

    met: list[str] = []
    with client(Mistaken()) as launch:
        launch.projects.list().first()
        say("loop:", met[-1], works(launch))


def seen_inside() -> None:
    class Looking(Hooks):
        def request_started(self, event: object) -> None:
            seen.append(CONTEXT_VALUE.get())

    def call(name: str) -> None:
        CONTEXT_VALUE.set(name)
        names(launch)

    seen: list[str] = []
    with client(Looking()) as launch, ThreadPoolExecutor(2) as pool:
        list(pool.map(call, ["one", "two"]))
    say("context:", sorted(seen))


def interrupted() -> None:
    """Receive Ctrl-C during a call, which a test presses, in an iterator, and a second time during the clean-up."""

    def started(_: LogLine) -> None:
        if not said:
            said.append("started")
            say("started")

    said: list[str] = []
    with client() as launch:
        try:
            launch.create_site("interrupted", sys.argv[5], on_log=started)
        except KeyboardInterrupt:
            say("call:", works(launch))
        in_an_iterator(launch)
        twice(launch)


def in_an_iterator(launch: LaunchClient) -> None:
    site = launch.create_site("iterated", sys.argv[5], wait=False)
    iterator = launch.follow_logs(site.deployment)
    next(iterator)
    with pressed_when(main_waits):
        for _ in iterator:
            pass
    say("iterator:", list(iterator), works(launch))


def twice(launch: LaunchClient) -> None:
    """Run a call whose clean-up ends only after the second Ctrl-C has arrived."""
    reached, cleaning, release = threading.Event(), threading.Event(), threading.Event()

    async def stubborn(*_: object) -> None:
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await asyncio.to_thread(release.wait)

    with pressed_when(reached.wait, cleaning.wait):
        launch.with_options(middleware=[stubborn]).projects.list().first()  # type: ignore[list-item]
    say("twice:", release.is_set(), works(launch))
    release.set()


def main_waits() -> bool:
    return sys._current_frames()[threading.main_thread().ident or 0].f_code.co_name == "_read"


@contextmanager
def pressed_when(*conditions: Callable[[], object]) -> Iterator[None]:
    """Press Ctrl-C when each condition is met, and expect KeyboardInterrupt."""

    def press() -> None:
        for condition in conditions:
            while not condition():
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    try:
        yield
    except KeyboardInterrupt:
        presser.join()
    else:
        sys.exit("the interruption was lost")


def forks() -> None:
    """Fork before the first call, between two calls, for a child without calls, and during calls of threads."""
    with client() as launch:
        in_child(lambda: say("before: child", names(launch)))
        say("before: parent", names(launch))
        in_child(lambda: say("between: child", names(launch)))
        say("between: parent", names(launch))
        in_child(lambda: None)
        say("unused: parent", names(launch))
        fork_during(launch)


def fork_during(launch: LaunchClient) -> None:
    stop = threading.Event()
    calls = [0] * 4

    def call(number: int) -> None:
        while not stop.is_set():
            names(launch)
            calls[number] += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        in_child(lambda: names(launch) or os._exit(3))
    before = sum(calls)
    while sum(calls) < before + 8:
        time.sleep(0.001)
    stop.set()
    for thread in threads:
        thread.join()
    say("during: parent goes on")


def processes() -> None:
    with client() as launch:
        names(launch)
        with ExitStack() as stack:
            methods = ("spawn", "forkserver", "fork")
            pools = [ProcessPoolExecutor(1, multiprocessing.get_context(method)) for method in methods]
            answers = [stack.enter_context(pool).submit(work) for pool in pools]
            for method, answer in zip(methods, answers, strict=True):
                say(method, answer.result())
        say("parent", names(launch))


def work() -> list[str]:
    with client() as launch:
        return names(launch)


def in_child(job: Callable[[], object]) -> None:
    """Do a job in a forked child that ends like a program, and wait for the child."""
    pid = os.fork()
    if pid == 0:
        job()
        sys.exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        sys.exit(f"the child failed: {status}")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
