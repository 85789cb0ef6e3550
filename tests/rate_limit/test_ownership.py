"""Requests count against the budget of the organization that a response has named. Unused limiters are removed."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref

import pytest

from launch_async import AccessToken, LaunchClient, RateLimit
from launch_async.rate_limit import registry
from launch_async.rate_limit.local import LocalRateLimiter
from tests.support.core import FakeTransport, answer, virtual_time
from tests.support.shared_budgets import most_in_any

NUMBERS = itertools.count(1)


def organization() -> str:
    return f"blt{next(NUMBERS):016x}"


def client(*answers: object, token: str | None = None) -> tuple[LaunchClient, FakeTransport]:
    transport = FakeTransport(*(answer(200, document) for document in answers))
    credentials = AccessToken(token or f"token-{next(NUMBERS)}")
    launch = LaunchClient(credentials, base_url="https://own.example.com", transport=transport, share_budget="process")
    return launch, transport


def naming(*organizations: str) -> dict[str, object]:
    return {"projects": [{"uid": f"p{place}", "organizationUid": uid} for place, uid in enumerate(organizations)]}


@virtual_time
async def test_two_tokens_share_a_budget_when_an_answer_names_their_organization() -> None:
    uid = organization()
    (one, _), (other, _) = client(naming(uid)), client(naming(uid, uid))
    assert one._pipeline.limiter is not other._pipeline.limiter

    await one.request("GET", "/projects")
    await other.request("GET", "/projects")

    assert one._pipeline.limiter is other._pipeline.limiter
    of_organization = registry.shared_limiter("own.example.com", uid, RateLimit(10), "process")
    assert one._pipeline.limiter is of_organization


@virtual_time
async def test_derived_and_later_clients_of_the_token_use_the_budget_of_the_organization() -> None:
    first, _ = client(naming(organization()), token="the-same")
    derived = first.with_options(timeout=5)
    await first.request("GET", "/projects")

    again, _ = client(token="the-same")

    assert first._pipeline.limiter is derived._pipeline.limiter is again._pipeline.limiter


@virtual_time
async def test_earlier_requests_still_count() -> None:
    launch, transport = client(*[naming(organization())] * 40)

    await asyncio.gather(*(launch.request("GET", "/projects") for _ in range(40)))

    assert len(transport.times) == 40
    assert most_in_any(1.0, transport.times) <= 10


@virtual_time
async def test_after_the_change_only_the_budget_of_the_organization_is_used() -> None:
    launch, _ = client(*[naming(organization())] * 3)
    await launch.request("GET", "/projects")
    before = launch._pipeline._budget._limiter
    assert isinstance(before, LocalRateLimiter)

    await launch.request("GET", "/projects")
    await asyncio.sleep(5)
    await launch.request("GET", "/projects")

    assert before.status().sent == 2
    assert launch.budget.sent == 2


@pytest.mark.parametrize(
    "document",
    [
        {"projects": []},
        naming("blt0123456789abcdef", "blt00000000000000ff"),
        {"message": '{"organizationUid":"blt0123456789abcdef"}'},
        {"organizationUid": "not-one"},
        {"organizationUid": None},
    ],
    ids=["none", "two", "in a text", "malformed", "null"],
)
@virtual_time
async def test_an_answer_without_a_definite_organization_changes_nothing(document: object) -> None:
    launch, _ = client(document)
    before = launch._pipeline.limiter

    await launch.request("GET", "/projects")

    assert launch._pipeline.limiter is before


def test_limiters_of_unused_tokens_are_removed() -> None:
    known = len(registry._shared)
    for _ in range(300):
        launch, _ = client()
        assert launch.budget.sent == 0
        del launch
    gc.collect()

    assert len(registry._shared) <= max(known, registry._MAX_IDLE) + 1


def test_the_next_client_uses_the_budget_of_a_closed_client() -> None:
    launch, _ = client(token="left")
    limiter = weakref.ref(launch._pipeline.limiter)
    del launch
    gc.collect()

    assert client(token="left")[0]._pipeline.limiter is limiter()
