"""A live server log without asyncio: an iterator that can be left, interrupted and closed."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from launch_sync import DeploymentRef, LaunchClient
from launch_sync.emulator import LaunchEmulator
from tests.support.clients import plain_client_of


@pytest.fixture
def emulator() -> Iterator[LaunchEmulator]:
    with LaunchEmulator(rate_limit=None) as emulator:
        yield emulator


@pytest.fixture
def launch(emulator: LaunchEmulator) -> Iterator[LaunchClient]:
    with plain_client_of(emulator) as launch:
        yield launch


@pytest.fixture
def ref(emulator: LaunchEmulator) -> DeploymentRef:
    project = emulator.add_project("shop", deployments=1)
    (environment,) = project.environments.values()
    return DeploymentRef(project.uid, environment.uid, next(iter(environment.deployments)))


def wait_until(true: Callable[[], object]) -> None:
    for _ in range(60_000):
        if true():
            return
        time.sleep(0.001)
    raise AssertionError("it never was")


def test_lines_arrive_and_leaving_closes_the_connection(
    launch: LaunchClient, emulator: LaunchEmulator, ref: DeploymentRef
) -> None:
    def write() -> None:
        wait_until(lambda: emulator.live_log_readers)
        for number in range(3):
            emulator.add_server_log(ref.deployment_uid, str(number))

    writer = threading.Thread(target=write)
    writer.start()
    messages: list[str] = []
    for line in launch.tail_server_logs(ref):
        messages.append(line.message)
        if len(messages) == 3:
            break
    writer.join()

    assert messages == ["0", "1", "2"]
    wait_until(lambda: not emulator.live_log_readers)


def test_ctrl_c_ends_the_tail_and_leaves_the_client_usable(
    launch: LaunchClient, emulator: LaunchEmulator, ref: DeploymentRef
) -> None:
    main = threading.get_ident()

    def press() -> None:
        wait_until(lambda: emulator.live_log_readers)
        signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    lines = launch.tail_server_logs(ref)
    with pytest.raises(KeyboardInterrupt):
        next(lines)
    presser.join()

    assert list(lines) == []
    wait_until(lambda: not emulator.live_log_readers)
    assert launch.projects.list().total() == 1
