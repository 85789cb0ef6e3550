"""Any number of clients, tasks, threads and loops with the same credentials fetch tokens only once."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from auth_support import ORGANIZATION, TokenIssuer, Wall, bound_to, refusal, token_of

from launch_async import AppCredentials, ConfigurationError, LaunchClient, TokenRequestError, TokenSet
from launch_async.auth.token_cache import TokenState
from launch_async.emulator import LaunchEmulator
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.passing_time import until

TOKENS = TokenSet(access_token="access", issued_at=0.0, expires_at=3600.0)


def app() -> AppCredentials:
    return AppCredentials("client", "secret")


async def test_many_tasks_of_several_clients_share_one_fetch() -> None:
    gate = asyncio.Event()
    issuer, credentials = TokenIssuer(gate=gate), app()
    views = [bound_to(credentials, issuer) for _ in range(5)]

    calls = [asyncio.ensure_future(token_of(view)) for view in views * 10]
    await until(lambda: len(issuer.requests) > 0)
    gate.set()

    assert set(await asyncio.gather(*calls)) == {"token-1"}
    assert len(issuer.requests) == 1


def test_threads_with_separate_loops_share_one_fetch() -> None:
    credentials, all_threads = app(), threading.Barrier(8)
    issuers = [TokenIssuer() for _ in range(8)]

    def work(issuer: TokenIssuer) -> str:
        async def fetch() -> str:
            all_threads.wait(timeout=10)
            return await token_of(bound_to(credentials, issuer))

        return asyncio.run(fetch())

    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(work, issuers))

    assert set(tokens) == {"token-1"}
    assert sum(len(issuer.requests) for issuer in issuers) == 1


async def test_a_refused_token_is_replaced_once_for_all_its_users() -> None:
    issuer, credentials = TokenIssuer(), app()
    views = [bound_to(credentials, issuer) for _ in range(20)]
    for view in views:
        await view.headers()

    renewed = await asyncio.gather(*[view.refresh() for view in views])

    assert all(renewed)
    assert issuer.issued == 2


async def test_calls_of_one_client_that_are_refused_together_renew_once(emulator: LaunchEmulator) -> None:
    credentials = AppCredentials(emulator.client_id, emulator.client_secret)

    async with (
        LaunchClient(credentials, base_url=emulator.url, limiter=UnlimitedRateLimiter()) as one,
        LaunchClient(credentials, base_url=emulator.url, limiter=UnlimitedRateLimiter()) as other,
    ):
        await one.usage.cache_revalidations()
        await other.usage.cache_revalidations()
        emulator.revoke_token(credentials.state.tokens.access_token)  # type: ignore[union-attr]
        await asyncio.gather(*[client.usage.cache_revalidations() for client in [one, other] * 8])

    assert emulator.ledger.count("oauthToken") == 2


async def test_a_waiter_takes_over_when_the_fetching_task_is_cancelled() -> None:
    gate = asyncio.Event()
    issuer, credentials = TokenIssuer(gate=gate), app()
    view = bound_to(credentials, issuer)
    first, second = asyncio.ensure_future(token_of(view)), asyncio.ensure_future(token_of(view))
    await until(lambda: len(issuer.requests) == 1)

    first.cancel()
    await until(lambda: len(issuer.requests) == 2)
    gate.set()

    assert await second == "token-1"
    assert first.cancelled()


async def test_a_cancelled_waiter_does_not_disturb_the_fetch() -> None:
    gate = asyncio.Event()
    issuer, credentials = TokenIssuer(gate=gate), app()
    view = bound_to(credentials, issuer)
    first, second = asyncio.ensure_future(token_of(view)), asyncio.ensure_future(token_of(view))
    await until(lambda: len(issuer.requests) == 1)

    second.cancel()
    gate.set()

    assert await first == "token-1"
    assert len(issuer.requests) == 1


def test_a_waiter_on_another_loop_takes_over_when_the_fetching_loop_ends() -> None:
    credentials = app()
    begun, ended = threading.Event(), threading.Event()

    def leave() -> None:
        async def begin() -> None:
            issuer = TokenIssuer(gate=asyncio.Event())
            task = asyncio.ensure_future(token_of(bound_to(credentials, issuer)))
            await until(lambda: len(issuer.requests) == 1)
            begun.set()
            await asyncio.to_thread(ended.wait, 10)
            assert not task.done()

        asyncio.run(begin())

    async def take_over() -> str:
        await asyncio.to_thread(begun.wait, 10)
        call = asyncio.ensure_future(token_of(bound_to(credentials, TokenIssuer())))
        await asyncio.sleep(0)
        ended.set()
        return await call

    thread = threading.Thread(target=leave)
    thread.start()
    try:
        assert asyncio.run(take_over()) == "token-1"
    finally:
        thread.join()


async def test_a_renewal_whose_loop_has_just_stopped_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launch_async.auth.token_cache._RENEWAL_LIMIT_S", 0.01)
    credentials, loop = app(), asyncio.new_event_loop()
    abandoned = TokenIssuer(gate=asyncio.Event())

    def begin() -> None:
        task = loop.create_task(token_of(bound_to(credentials, abandoned)))
        loop.run_until_complete(until(lambda: len(abandoned.requests) == 1))
        task.cancel()  # The loop does not run again before the end of the test.

    await asyncio.to_thread(begin)
    assert await token_of(bound_to(credentials, TokenIssuer())) == "token-1"

    await asyncio.to_thread(loop.run_until_complete, asyncio.sleep(0))
    loop.close()


async def test_the_error_of_a_failed_fetch_reaches_only_its_waiters() -> None:
    gate = asyncio.Event()
    issuer, credentials = TokenIssuer(refusal(401), gate=gate), app()
    view = bound_to(credentials, issuer)
    calls = [asyncio.ensure_future(token_of(view)) for _ in range(5)]
    await until(lambda: len(issuer.requests) == 1)
    gate.set()

    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [TokenRequestError] * 5
    assert len({id(outcome) for outcome in outcomes}) == 5
    assert await token_of(view) == "token-1"


# Compare with the threads before the test, because pytest-xdist has its own threads.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_fetches_although_the_parent_was_fetching() -> None:
    state = TokenState(Wall())
    state.keep(TOKENS)
    with state._lock:
        pid = os.fork()
        if pid == 0:
            fresh = threading.Thread(target=lambda: os._exit(0 if state._lock.acquire(timeout=5) else 1))
            fresh.start()
            fresh.join()
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_tokens_stay_unchanged_through_json() -> None:
    tokens = TokenSet(
        access_token="a",
        issued_at=1.0,
        expires_at=2.0,
        refresh_token="r",
        organization_uid=ORGANIZATION,
        location="EU",
        kind="user",
        scopes=frozenset({"launch:manage"}),
    )

    assert TokenSet.from_json(tokens.to_json()) == tokens
    assert TokenSet.from_json(TOKENS.to_json()) == TOKENS


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"access_token": 1}', "null", '{"secret-word": 1}'])
def test_json_that_holds_no_tokens_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match="Authorize the app again") as caught:
        TokenSet.from_json(text)

    assert "secret-word" not in str(caught.value)


def test_the_repr_of_tokens_hides_them() -> None:
    tokens = TokenSet(access_token="a-secret", refresh_token="b-secret", issued_at=0.0, expires_at=1.0)

    assert "secret" not in repr(tokens)
    assert "a-secret" not in repr([tokens.access_token])
