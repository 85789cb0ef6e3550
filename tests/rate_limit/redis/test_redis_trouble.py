"""A restarted, emptied, stopped, slow or lost Redis causes neither a burst nor a hang."""

import asyncio
import os
import signal

import pytest
import trustme
from redis import Redis as SyncRedis
from redis.asyncio import Redis, Sentinel
from redis_server import RedisServer, free_port
from test_redis_budget import send

from launch_async.errors import ConfigurationError
from launch_async.rate_limit.redis.limiter import BudgetUnavailable, RedisRateLimiter
from launch_async.rate_limit.shared.messages import Grant
from launch_async.rate_limit.types import RateLimit
from tests.support.shared_budgets import in_virtual_time, most_in_any


@pytest.fixture
def own_server(redis_server, tmp_path):
    """A Redis that a test may stop and restart."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def budget_of(url, **options):
    return RedisRateLimiter(url, "blt1", **({"rate_limit": RateLimit(10, per=0.05), "patience": 0.4} | options))


async def sent_when_redis_answers(budget):
    """Send when Redis has answered. On a busy machine, Redis may need longer than the patience."""
    while True:
        try:
            return await send(budget)
        except BudgetUnavailable:
            continue


async def test_a_restarted_redis_without_data_allows_no_burst(own_server):
    options = {"patience": 5.0, "rate_limit": RateLimit(10, per=0.25)}
    one, other, times = budget_of(own_server.url, **options), budget_of(own_server.url, **options), []
    await asyncio.gather(*(send(one, times) for _ in range(9)), *(send(other, times) for _ in range(3)))

    await asyncio.to_thread(own_server.restart)
    newcomer = budget_of(own_server.url, **options)
    await asyncio.gather(*(send(each, times) for each in (newcomer, one, other) for _ in range(4)))

    assert len(times) == 24
    assert most_in_any(0.25, times) <= 10


@in_virtual_time
async def test_an_emptied_script_cache_is_filled_again(virtual_limiter):
    budget, times = virtual_limiter(), []
    await asyncio.gather(*(send(budget, times) for _ in range(12)))
    virtual_limiter.server.forget_scripts()

    await asyncio.gather(*(send(budget, times) for _ in range(12)))

    assert most_in_any(0.25, times) <= 10


@in_virtual_time
async def test_a_deleted_key_counts_as_a_used_budget(virtual_limiter, redis):
    budget, times = virtual_limiter(), []
    await asyncio.gather(*(send(budget, times) for _ in range(12)))
    redis.delete(budget.key)

    await asyncio.gather(*(send(budget, times) for _ in range(12)))

    assert most_in_any(0.25, times) <= 10


@in_virtual_time
async def test_a_replica_with_old_data_counts_as_a_used_budget(virtual_limiter, redis):
    budget, times = virtual_limiter(), []
    await send(budget, times)
    old = redis.get(budget.key)
    await asyncio.gather(*(send(budget, times) for _ in range(9)))
    redis.set(budget.key, old)

    await asyncio.gather(*(send(budget, times) for _ in range(10)))

    assert most_in_any(0.25, times) <= 10


async def test_without_redis_a_process_continues_with_its_share_and_recovers(own_server, caplog):
    budget, times = budget_of(own_server.url, local_share=0.5, rate_limit=RateLimit(10, per=0.25)), []
    await send(budget, times)
    own_server.stop()

    with caplog.at_level("INFO", "launch_async.rate_limit.shared"):
        await asyncio.gather(*(send(budget, times) for _ in range(4)))
        alone = budget.status().expected_wait
        own_server.start()
        while "is available again" not in caplog.text:
            await send(budget, times)

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert ".)" not in caplog.text
    assert most_in_any(0.25, times) <= 10
    assert alone > 0


async def test_the_share_pauses_after_a_refusal(own_server, caplog):
    budget = budget_of(own_server.url, local_share=1.0)
    own_server.stop()
    await send(budget, refused=True, retry_after=0.2)
    pause_ends = asyncio.get_running_loop().time() + 0.15

    await send(budget)

    assert asyncio.get_running_loop().time() >= pause_ends
    assert "cannot be reached" in caplog.text


async def test_without_redis_calls_fail_if_configured_so(own_server):
    budget = budget_of(own_server.url, when_unreachable="error")
    await sent_when_redis_answers(budget)
    own_server.stop()

    with pytest.raises(BudgetUnavailable, match="was not sent"):
        await budget.acquire()
    errors = await asyncio.gather(budget.acquire(), budget.acquire(), return_exceptions=True)
    assert [type(error) for error in errors] == [BudgetUnavailable] * 2
    assert errors[0] is not errors[1]

    own_server.start()
    await sent_when_redis_answers(budget)
    assert budget.status().sent == 2


async def test_a_redis_that_does_not_answer_blocks_no_caller(own_server):
    budget = budget_of(own_server.url, when_unreachable="error")
    await sent_when_redis_answers(budget)
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(BudgetUnavailable):
            await budget.acquire()
    finally:
        os.kill(own_server.pid, signal.SIGCONT)
    await sent_when_redis_answers(budget)

    assert budget.status().sent == 2


async def test_a_key_with_other_data_is_an_error_and_no_hang(own_server):
    budget = budget_of(own_server.url, when_unreachable="error")
    async with Redis.from_url(own_server.url) as client:
        await client.lpush(budget.key, "not ours")

    with pytest.raises(BudgetUnavailable, match="WRONGTYPE"):
        await budget.acquire()


async def test_an_error_of_the_client_reaches_the_callers(caplog):
    def broken():
        raise ValueError("no client today")

    budget = RedisRateLimiter(broken, "blt1")

    with pytest.raises(ValueError, match="no client today"):
        await budget.acquire()


@pytest.mark.parametrize("option", ["decode_responses=True", "no_such_option=1"])
async def test_an_impossible_option_in_the_url_is_a_clear_error(redis_server, caplog, option):
    budget = RedisRateLimiter(f"{redis_server.url}?{option}", "blt1")

    with pytest.raises(ConfigurationError, match="Redis client cannot be used"):
        await budget.acquire()
    await asyncio.sleep(0)

    assert caplog.text == ""


@pytest.mark.parametrize("client", [None, "a client of the other kind"])
async def test_a_function_that_returns_no_client_is_a_clear_error(redis_server, client):
    other = SyncRedis.from_url(redis_server.url)
    budget = RedisRateLimiter(lambda: client and other, "blt1")

    with pytest.raises(ConfigurationError, match="must return a client"):
        await budget.acquire()

    other.close()


async def test_a_process_that_was_suspended_does_not_use_an_old_slot(limiter):
    budget, loop = limiter(), asyncio.get_running_loop()
    await send(budget)
    waiting = asyncio.create_task(budget.acquire())
    queue, waiter = budget._budget._workers[loop]._queue, None
    while waiter is None:
        await asyncio.sleep(0)
        waiter = queue.next(lambda _: True)
    waiter.served.set_result(Grant(number=10**9, not_before=loop.time() - 2.0, not_after=loop.time() - 1.0))
    await waiting

    assert budget.status().sent == 2
    assert waiter.served.result().number != 10**9


async def test_an_account_with_minimal_rights_works(own_server):
    async with Redis.from_url(own_server.url) as client:
        rights = ["on", ">secret", "~launch:*", "+eval", "+evalsha", "+get", "+set", "+time"]
        await client.execute_command("ACL", "SETUSER", "deployer", *rights)
        await client.execute_command("ACL", "SETUSER", "default", "off")
    budget = budget_of(own_server.url.replace("//", "//deployer:secret@"))

    await send(budget)
    wrong = budget_of(own_server.url.replace("//", "//deployer:wrong@"), when_unreachable="error")
    with pytest.raises(BudgetUnavailable) as refused:
        await wrong.acquire()

    assert budget.status().sent == 1
    assert "wrong@" not in str(refused.value)


async def test_a_connection_may_be_encrypted(redis_server, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    files = {"tls-cert-file": "cert.pem", "tls-key-file": "key.pem", "tls-ca-cert-file": "ca.pem"}
    options = [part for name, file in files.items() for part in (f"--{name}", str(tmp_path / file))]
    server = RedisServer(tmp_path, *options, "--tls-auth-clients", "no", tls=True)
    server.start()
    try:
        budget = budget_of(f"rediss://127.0.0.1:{server.port}?ssl_ca_certs={tmp_path / 'ca.pem'}", patience=5.0)
        await send(budget)
    finally:
        server.stop()

    assert budget.status().sent == 1


@pytest.fixture(params=["asyncio", "uvloop"])
def on_a_loop(request):
    """Run a coroutine on a loop of asyncio, and of uvloop if it is installed."""
    factory = pytest.importorskip("uvloop").new_event_loop if request.param == "uvloop" else None

    def run(main):
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main)

    return run


def test_a_cluster_works(on_a_loop, redis_server, tmp_path):
    bus = free_port()
    server = RedisServer(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(bus))
    server.start()

    async def main():
        async with Redis.from_url(server.url) as client:
            await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while b"cluster_state:ok" not in await client.execute_command("CLUSTER", "INFO"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await asyncio.gather(*(send(budget) for _ in range(12)))

    budget = budget_of(server.url, cluster=True, patience=5.0)
    try:
        on_a_loop(main())
    finally:
        server.stop()

    assert budget.status().sent == 12


def test_a_client_with_a_sentinel_works(on_a_loop, redis_server, tmp_path):
    (tmp_path / "sentinel.conf").write_text(f"sentinel monitor main 127.0.0.1 {redis_server.port} 1\n")
    server = RedisServer(tmp_path, configuration=tmp_path / "sentinel.conf")
    server.start()

    async def main():
        sentinel = Sentinel([("127.0.0.1", server.port)])
        budget = budget_of(lambda: sentinel.master_for("main"), patience=5.0)
        await send(budget)
        for client in sentinel.sentinels:
            await client.aclose()
        return budget.status().sent

    try:
        assert on_a_loop(main()) == 1
    finally:
        server.stop()
