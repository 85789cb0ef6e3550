"""Cache revalidation: quota errors differ from rate limit errors, and the SDK warns about needless purges."""

from __future__ import annotations

import logging

import pytest

from launch_async import ForbiddenError, QuotaExceededError, RateLimitError, RetryPolicy
from launch_async.resources._cache import CachePurges


@pytest.fixture
def uids(launch):
    emulator, _ = launch
    project = emulator.add_project("night-sky", deployments=1)
    return project.uid, next(iter(project.environments))


async def test_an_exhausted_quota_is_reported_and_not_retried(start):
    async with start(revalidation_quota=1) as (emulator, client):
        project = emulator.add_project("night-sky")
        uids = project.uid, next(iter(project.environments))
        await client.environments.revalidate_cache(*uids, path="/")

        with pytest.raises(QuotaExceededError, match="The daily quota of 1 cache revalidation is used up") as failure:
            await client.environments.revalidate_cache(*uids, path="/")

    assert (failure.value.status, failure.value.retryable) == (429, False)
    assert failure.value.codes == ("launch.REVALIDATE_CDN_CACHE.LIMIT_REACHED",)
    assert emulator.ledger.count("revalidateCdnCache") == 2


async def test_a_rate_limit_error_is_retried_after_one_request_for_the_usage(launch, uids):
    emulator, client = launch
    emulator.faults.add("retry_after", operation="revalidateCdnCache", delay=0.01, times=3)

    await client.environments.revalidate_cache(*uids, cache_tags=["news"])

    assert emulator.ledger.count("revalidateCdnCache") == 4
    assert emulator.ledger.count("getCacheRevalidationUsage") == 1


async def test_a_403_with_an_exhausted_quota_is_a_quota_error(start):
    async with start(revalidation_quota=0) as (emulator, client):
        project = emulator.add_project("night-sky")
        body = '{"errors":[{"code":"launch.REVALIDATE.NOT_ALLOWED","message":"no"}],"status":403}'
        emulator.faults.add("status_before", operation="revalidateCdnCache", status=403, body=body)

        with pytest.raises(QuotaExceededError) as failure:
            await client.environments.revalidate_cache(project.uid, next(iter(project.environments)), path="/")

    assert failure.value.status == 403


async def test_a_403_with_quota_left_is_a_forbidden_error(launch, uids):
    emulator, client = launch
    emulator.faults.add("status_before", operation="revalidateCdnCache", status=403)

    with pytest.raises(ForbiddenError):
        await client.environments.revalidate_cache(*uids, path="/")

    assert emulator.ledger.count("getCacheRevalidationUsage") == 1


@pytest.mark.parametrize(("status", "body"), [(500, None), (200, "{}")])
async def test_if_the_usage_cannot_be_read_the_original_error_is_raised(launch, uids, status, body):
    emulator, client = launch
    emulator.faults.add("status_before", operation="revalidateCdnCache", status=403)
    emulator.faults.add("status_before", operation="getCacheRevalidationUsage", status=status, body=body)

    with pytest.raises(ForbiddenError):
        await client.environments.revalidate_cache(*uids, path="/")


async def test_a_429_without_a_launch_code_is_a_rate_limit_error(launch, uids):
    emulator, client = launch
    emulator.faults.add("retry_after", operation="revalidateCdnCache", delay=0.01, body="slow down")

    with pytest.raises(RateLimitError):
        await client.environments.revalidate_cache(*uids, path="/")

    assert emulator.ledger.count("revalidateCdnCache") == RetryPolicy().refusals
    assert emulator.ledger.count("getCacheRevalidationUsage") == 0


async def test_a_purge_right_after_a_deployment_of_this_client_warns_once(launch, folder, caplog):
    _, client = launch
    site = await client.create_site("night-sky", folder)
    uids = site.project.uid, site.environment.uid

    with caplog.at_level(logging.WARNING, "launch_async.resources._cache"):
        await client.environments.revalidate_cache(*uids, path="/")
        await client.environments.revalidate_cache(*uids, path="/")

    assert [record.name for record in caplog.records] == ["launch_async.resources._cache"]
    assert f"environment {site.environment.uid} purged its whole cache 0 s ago" in caplog.text


async def test_a_purge_without_a_deployment_of_this_client_warns_about_nothing(launch, uids, caplog):
    _, client = launch

    with caplog.at_level(logging.WARNING, "launch_async.resources._cache"):
        await client.environments.revalidate_cache(*uids, path="/")

    assert caplog.records == []


@pytest.mark.parametrize(("after", "warnings"), [(60.0, 1), (60.1, 0)])
def test_a_purge_over_a_minute_after_a_deployment_gives_no_warning(after, warnings, caplog):
    now = 1000.0
    purges = CachePurges(lambda: now)
    purges.deployed("environment")
    now += after

    with caplog.at_level(logging.WARNING, "launch_async.resources._cache"):
        purges.hint("environment")

    assert len(caplog.records) == warnings
