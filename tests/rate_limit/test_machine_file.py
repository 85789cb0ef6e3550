"""The file of the machine's budget: location, permissions, contents and removal, with real files and processes."""

import asyncio
import gc
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import warnings
from array import array
from pathlib import Path

import pytest

from launch_async import Authtoken, LaunchClient
from launch_async.errors import ConfigurationError
from launch_async.rate_limit import LocalRateLimiter, RateLimitMismatchWarning
from launch_async.rate_limit.machine import store
from launch_async.rate_limit.machine.folder import budget_path
from launch_async.rate_limit.machine.layout import pack, unpack
from launch_async.rate_limit.machine.limiter import MachineRateLimiter
from launch_async.rate_limit.shared.messages import Ask, Grant
from launch_async.rate_limit.shared.report_buffer import ReportBuffer
from launch_async.rate_limit.shared.state import BudgetState, Reservation, SlotOut
from launch_async.rate_limit.types import Answer, RateLimit
from tests.support.shared_budgets import most_in_any
from tests.support.virtual_time import run

ROOT = Path(__file__).resolve().parents[2]
HOST, ORGANIZATION = "api.example.com", "blt0123456789abcdef"
SHORT = RateLimit(5, per=0.2)


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    """A runtime folder for each test."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def limiter(rate_limit=SHORT):
    return MachineRateLimiter(HOST, ORGANIZATION, rate_limit)


def file():
    return budget_path(HOST, ORGANIZATION)


async def send(budget, times=None):
    permit = await budget.acquire()
    if times is not None:
        times.append(time.monotonic())
    await asyncio.sleep(0.001)
    permit.answered(Answer(asyncio.get_running_loop().time()))


async def burst(budget, requests, times=None):
    await asyncio.gather(*(send(budget, times) for _ in range(requests)))


def test_only_the_user_can_read_the_file_and_its_name_reveals_nothing():
    asyncio.run(send(limiter()))

    assert stat.S_IMODE(file().stat().st_mode) == 0o600
    assert stat.S_IMODE(file().parent.stat().st_mode) == 0o700
    assert ORGANIZATION not in str(file())
    assert HOST not in str(file())


def test_without_a_runtime_folder_the_cache_of_the_user_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc")  # exists, and belongs to another user
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    assert file().is_relative_to(tmp_path / "cache")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert file().is_relative_to(tmp_path / "home")


def test_threads_loops_and_limiters_share_one_budget():
    times = []
    threads = [threading.Thread(target=asyncio.run, args=(burst(limiter(), 8, times),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(times) == 24
    assert most_in_any(0.2, times) <= 5


CHILD = """
import asyncio, sys, time
from launch_async.rate_limit.machine.limiter import MachineRateLimiter
from launch_async.rate_limit.types import Answer, RateLimit

async def send(budget):
    permit = await budget.acquire()
    print(time.monotonic(), flush=True)
    await asyncio.sleep(float(sys.argv[2]))
    permit.answered(Answer(asyncio.get_running_loop().time()))

async def main():
    budget = MachineRateLimiter("api.example.com", "blt0123456789abcdef", RateLimit(5, per=0.2))
    await asyncio.gather(*(send(budget) for _ in range(int(sys.argv[1]))))

asyncio.run(main())
"""


def child(requests, seconds=0.001):
    command = [sys.executable, "-c", CHILD, str(requests), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_processes_share_one_budget():
    children = [child(10) for _ in range(2)]

    times = [float(line) for one in children for line in one.communicate()[0].splitlines()]

    assert len(times) == 20
    assert most_in_any(0.2, times) <= 5


def test_consecutive_scripts_share_one_budget():
    times = []
    for _ in range(2):
        asyncio.run(burst(limiter(), 5, times))

    assert most_in_any(0.2, times) <= 5


def test_the_permits_of_a_killed_process_become_free():
    with child(5, seconds=60) as one:
        for _ in range(5):
            one.stdout.readline()
        one.send_signal(signal.SIGKILL)
    killed_at, times = time.monotonic(), []

    asyncio.run(burst(limiter(), 5, times))

    assert len(times) == 5
    assert times[0] < killed_at + 30


def test_a_forked_child_shares_the_budget_and_not_the_open_file():
    budget = limiter()

    async def main():
        await send(budget)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            program = threading.Thread(target=asyncio.run, args=(burst(budget, 6),))
            program.start()
            program.join()
            os._exit(0 if budget.status().sent == 6 else 1)
        await burst(budget, 6)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        return os.waitstatus_to_exitcode(status)

    assert asyncio.run(main()) == 0
    assert budget.status().sent == 7


@pytest.mark.parametrize(
    "content", [b"x", b"\0" * 500, b"CSLB\0\0\0\0" + b"\0" * 300], ids=["short", "zeros", "version"]
)
def test_a_damaged_or_incompatible_file_is_replaced_and_counts_as_used(content):
    file().parent.mkdir(parents=True)
    file().write_bytes(content)
    os.utime(file())
    began, times = time.monotonic(), []

    asyncio.run(burst(limiter(), 5, times))

    assert times[0] >= began + 0.2
    assert unpack(file().read_bytes()) is not None


def test_a_state_is_read_from_the_file_unchanged():
    state = BudgetState.begin(17.5)
    state.frees = array("d", [18.0, 18.5])
    state.out = {3: SlotOut(17.0, 19.0)}
    state.reservations = [Reservation(0xABCDEF0123, 2, 9, 20.0)]
    state.passed_over = [1, 2, 3]

    again = unpack(pack(state))

    assert again is not None
    assert pack(again) == pack(state)
    assert (again.frees, [*again.out], again.passed_over) == (state.frees, [*state.out], state.passed_over)


@pytest.mark.parametrize(("requests", "callers"), [(1000, 1), (10, 5)], ids=["below the limit", "at the limit"])
def test_a_request_costs_one_exchange_with_the_file(requests, callers, monkeypatch):
    exchanges, exchange = [], store.FileStore.exchange_now
    monkeypatch.setattr(store.FileStore, "exchange_now", lambda *given: exchanges.append(1) or exchange(*given))

    async def main():
        budget = MachineRateLimiter("cost.example.com", ORGANIZATION, RateLimit(requests, per=0.5))
        await asyncio.gather(*(send_in_turn(budget, 30 // callers) for _ in range(callers)))

    asyncio.run(main())

    # One call per request, and some at the start, at the end and for answers that are due.
    assert 30 <= len(exchanges) <= 40


@pytest.mark.parametrize("order", ["aabbab", "abbbaa"])
def test_stores_that_write_in_turn_see_what_the_other_has_given(order):
    opened = {name: store.FileStore(file()) for name in "ab"}

    def ask(name):
        reply = opened[name].exchange_now(
            Ask(
                worker=f"{ord(name):010x}",
                waiting=(1, 0, 0),
                reserve=None,
                poll_interval=0.0,
                lead=0.0,
                late=0.05,
                requests=5,
                per=10.0,
            )
        )
        return [number for number, _, _ in reply.granted]

    given = [number for name in order for number in ask(name)]

    assert len(given) == len(set(given)) == 5


def test_a_process_that_is_alone_unpacks_the_file_once(monkeypatch):
    unpacked = []
    monkeypatch.setattr(store, "unpack", lambda content: unpacked.append(1) or unpack(content))

    asyncio.run(burst(limiter(RateLimit(20)), 20))

    assert len(unpacked) <= 3  # once per request would be 20; the others check whether the file can be removed


async def send_in_turn(budget, requests):
    for _ in range(requests):
        (await budget.acquire()).answered(Answer(asyncio.get_running_loop().time()))


def test_a_reliable_store_gets_each_report_once():
    reports = ReportBuffer(1.0, 2.0, repeats=False)
    reports.answered(Grant(number=1, not_before=0.0, not_after=1.0), Answer(0.5))

    assert [len(reports.take(now).reports) for now in (0.6, 0.7)] == [1, 0]
    assert reports.take(0.8).repeated == ()


def test_the_last_process_deletes_the_file():
    async def main():
        await send(limiter())
        await asyncio.sleep(0.3)

    asyncio.run(main())

    assert not file().exists()


def test_a_file_that_still_counts_stays_until_the_next_process_deletes_it(monkeypatch):
    asyncio.run(send(limiter()))
    assert file().exists()

    store.sweep(file().parent)
    assert file().exists()

    time.sleep(0.5)
    asyncio.run(send(MachineRateLimiter("other.example.com", ORGANIZATION, SHORT)))
    assert not file().exists()


def test_a_file_that_was_deleted_is_created_again():
    async def main():
        budget, times = limiter(), []
        await burst(budget, 5, times)
        file().unlink()
        await burst(budget, 5, times)

    asyncio.run(main())

    assert file().exists()


def test_a_clock_that_was_set_back_keeps_every_interval():
    state = BudgetState.begin(5000.0)
    state.frees = array("d", [5000.9])
    file().parent.mkdir(parents=True)
    file().write_bytes(pack(state))

    state._shift(100.0)

    assert list(state.frees) == [pytest.approx(100.9)]


@pytest.mark.parametrize("kind", ["link", "file", "not ours", "unwritable"])
def test_a_file_that_another_user_could_have_prepared_is_not_used(kind, runtime, tmp_path, monkeypatch, caplog):
    folder = runtime / "contentstack-launch"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "link":
        folder.symlink_to(elsewhere)
    elif kind == "file":
        folder.write_text("")
    elif kind == "not ours":
        runtime_is_ours = Path(runtime).stat
        monkeypatch.setattr("launch_async.rate_limit.machine.folder._is_ours", lambda folder: bool(runtime_is_ours()))
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
        monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
        monkeypatch.setattr("launch_async.rate_limit.machine.folder._is_ours", lambda folder: False)
    budget = limiter()

    with caplog.at_level(logging.WARNING):
        asyncio.run(burst(budget, 3))
        asyncio.run(burst(budget, 3))

    assert budget.status().sent == 6
    assert [record.name for record in caplog.records] == ["launch_async.rate_limit.machine"]
    assert list(elsewhere.iterdir()) == []


def test_a_link_instead_of_the_file_is_not_followed(tmp_path, caplog):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    file().parent.mkdir(parents=True)
    file().symlink_to(victim)

    asyncio.run(send(limiter()))

    assert victim.read_text() == "precious"
    assert len(caplog.records) == 1


def test_with_a_full_disk_waiting_callers_use_a_budget_of_the_process(caplog):
    code = """
import asyncio, logging, resource
logging.basicConfig(format="%(name)s %(message)s")
from launch_async.rate_limit.machine.limiter import MachineRateLimiter
from launch_async.rate_limit.types import RateLimit

async def main():
    budget = MachineRateLimiter("api.example.com", "blt0123456789abcdef", RateLimit(5, per=0.2))
    await budget.acquire()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    await asyncio.gather(*(budget.acquire() for _ in range(7)))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    print(budget.status().sent)

asyncio.run(main())
"""
    program = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert program.stdout == "8\n"
    assert program.stderr.count("\n") == 1
    assert "launch_async.rate_limit.machine The processes on this machine cannot share" in program.stderr


def test_with_a_locked_file_callers_use_a_budget_of_the_process(caplog):
    async def main():
        budget = limiter()
        await send(budget)
        held = os.open(file(), os.O_RDWR)
        assert store.lock(held)
        await asyncio.gather(*(send(budget) for _ in range(3)))
        os.close(held)
        return budget.status().sent

    assert asyncio.run(main()) == 4
    assert "locked" in caplog.text


def test_a_loop_of_uvloop_shares_the_budget():
    uvloop = pytest.importorskip("uvloop")
    budget, times = limiter(), []

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(burst(budget, 12, times))
    assert file().exists()
    asyncio.run(burst(limiter(), 5, times))

    assert most_in_any(0.2, times) <= 5


@pytest.mark.filterwarnings("error")
def test_a_loop_that_is_closed_early_leaves_no_open_file_and_no_warning(caplog):
    descriptors = Path("/proc/self/fd")

    def open_files():
        return len(list(descriptors.iterdir())) if descriptors.exists() else 0

    gc.collect()
    before = open_files()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(send(limiter()))
    loop.close()
    del loop
    gc.collect()

    assert open_files() == before
    assert caplog.records == []


def test_a_loop_in_virtual_time_shares_within_the_process():
    run(send(limiter()))

    assert not file().exists()


def client(**options):
    return LaunchClient(Authtoken("token"), organization_uid=ORGANIZATION, **options)


def test_a_client_shares_the_budget_of_the_machine_by_default():
    assert isinstance(client(region="eu")._pipeline.limiter, MachineRateLimiter)
    assert isinstance(client(region="au", share_budget="process")._pipeline.limiter, LocalRateLimiter)


def test_clients_that_disagree_about_the_scope_of_the_budget_cause_a_warning():
    first = client(region="gcp-na", share_budget="process")

    with pytest.warns(RateLimitMismatchWarning, match="Both use share_budget='process'") as caught:
        second = client(region="gcp-na")

    assert first._pipeline.limiter is second._pipeline.limiter
    assert caught[0].filename == __file__


def test_an_environment_variable_sets_the_scope_of_the_budget(monkeypatch):
    monkeypatch.setenv("CONTENTSTACK_LAUNCH_SHARE_BUDGET", "process")
    monkeypatch.setenv("CONTENTSTACK_AUTHTOKEN", "token")
    monkeypatch.setenv("CONTENTSTACK_ORGANIZATION_UID", ORGANIZATION)

    found = LaunchClient.from_env(region="azure-na")
    given = LaunchClient.from_env(region="azure-eu", share_budget="machine")

    assert isinstance(found._pipeline.limiter, LocalRateLimiter)
    assert found.settings_sources["share_budget"] == "environment (CONTENTSTACK_LAUNCH_SHARE_BUDGET)"
    assert isinstance(given._pipeline.limiter, MachineRateLimiter)


def test_an_unknown_scope_is_refused_with_the_valid_scopes(monkeypatch):
    with pytest.raises(ConfigurationError, match="must be 'machine' or 'process', not 'cluster'"):
        client(share_budget="cluster")
    monkeypatch.setenv("CONTENTSTACK_LAUNCH_SHARE_BUDGET", "all")
    with pytest.raises(ConfigurationError, match=r"not 'all'.*CONTENTSTACK_LAUNCH_SHARE_BUDGET"):
        LaunchClient.from_env(Authtoken("token"), organization_uid=ORGANIZATION)
