"""Programs that use launch_sync as users do, each run by a test in a process of its own: `child.py NAME URL ...`."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

URL, ORGANIZATION, TOKEN = sys.argv[2:5]


def say(*words: object) -> None:
    """Write a line at once: a fork must not copy it, and a test may wait for it."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def outlive() -> None:
    """Call after launch_sync has gone: this hook was registered before it was imported."""
    if sys.argv[1] == "call_after_exit":
        try:
            CLIENTS[0].projects.get("66c0aaaaaaaaaaaaaaaaaaaa")
        except ClosedError as error:
            say(type(error).__name__)


atexit.register(outlive)

from launch_sync import Authtoken, ClosedError, LaunchClient, LogLine, RateLimit  # noqa: E402

CLIENTS: list[LaunchClient] = []


def client() -> LaunchClient:
    return LaunchClient(
        Authtoken(TOKEN), base_url=URL, organization_uid=ORGANIZATION, rate_limit=RateLimit(1000, per=1.0)
    )


def names(launch: LaunchClient) -> list[str]:
    return [project.name for project in launch.projects.list()]


def never_closed() -> None:
    launch = client()
    say(names(launch))


def call_after_exit() -> None:
    with client() as launch:
        say(names(launch))
    CLIENTS.append(launch)


def exit_during_a_call() -> None:
    started = threading.Event()

    def call() -> None:
        with client() as launch:
            launch.create_site("endless", sys.argv[5], on_log=lambda _: started.set())

    threading.Thread(target=call, daemon=True).start()
    started.wait()
    say("leaving")


def interrupted() -> None:
    def started(_: LogLine) -> None:
        if not said:
            said.append("started")
            say("started")

    said: list[str] = []
    with client() as launch:
        try:
            launch.create_site("interrupted", sys.argv[5], on_log=started)
        except KeyboardInterrupt:
            say("interrupted", names(launch))


def fork_before() -> None:
    with client() as launch:
        in_child(lambda: say("child", names(launch)))
        say("parent", names(launch))


def fork_between() -> None:
    with client() as launch:
        names(launch)
        in_child(lambda: say("child", names(launch)))
        say("parent", names(launch))


def fork_during() -> None:
    stop = threading.Event()
    calls = [0] * 4

    def call(number: int) -> None:
        while not stop.is_set():
            names(launch)
            calls[number] += 1

    with client() as launch:
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
    say("parent goes on")


def fork_unused() -> None:
    with client() as launch:
        names(launch)
        in_child(lambda: None)
        say("parent", names(launch))


def processes() -> None:
    with client() as launch:
        names(launch)
        for method in ("spawn", "forkserver", "fork"):
            with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
                say(method, pool.submit(work).result())
        say("parent", names(launch))


def work() -> list[str]:
    with client() as launch:
        return names(launch)


def in_child(job: Callable[[], object]) -> None:
    """Do a job in a forked child that ends as a program does, and wait for it."""
    pid = os.fork()
    if pid == 0:
        job()
        sys.exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        sys.exit(f"the child failed: {status}")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
