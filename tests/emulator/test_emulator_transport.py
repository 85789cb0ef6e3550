"""The transport of the emulator: a client can use the emulator without a socket and in virtual time."""

import asyncio
import zipfile

import pytest

from launch_async import Authtoken, LaunchClient, ResponseLost, RetryPolicy
from launch_async.emulator import Clock, LaunchEmulator
from launch_async.http import Request
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.virtual_time import loop_time, run


def client_of(emulator, **options):
    return LaunchClient(
        Authtoken(emulator.authtoken),
        base_url=emulator.url,
        organization_uid=emulator.organization_uid,
        transport=emulator.transport(),
        **options,
        limiter=UnlimitedRateLimiter(),
    )


def asked(emulator, path="/projects", **changes):
    headers = {"authtoken": emulator.authtoken, "organization_uid": emulator.organization_uid}
    return emulator.transport().send(Request("GET", emulator.url + path, headers, **changes))


@pytest.mark.parametrize("style", ["aws", "azure", "gcp", "gcp_form"])
def test_a_site_can_be_created_and_downloaded_without_a_socket(tmp_path, style):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("<h1>Hello</h1>" * 200)

    async def main():
        emulator = LaunchEmulator(port=None, clock=Clock(loop_time), build_seconds=0, upload_style=style)
        async with emulator, client_of(emulator) as client:
            site = await client.create_site("shop", folder)
            target = await client.deployments.download_url(site.project.uid, site.environment.uid, site.deployment.uid)
            archive = await emulator.transport().send(Request("GET", target.url))
            (tmp_path / "back.zip").write_bytes(archive.body)

    asyncio.run(main())

    assert zipfile.ZipFile(tmp_path / "back.zip").namelist() == ["index.html"]


def test_builds_rate_limit_latency_and_ledger_use_the_given_clock():
    emulator = LaunchEmulator(port=None, clock=Clock(loop_time), rate_limit=1, latency=0.25)
    environment = next(iter(emulator.add_project("shop").environments))
    uid = emulator.add_deployment(environment, seconds=3600)

    async def main():
        statuses = [(await asked(emulator)).status for _ in range(4)]
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(3600)
        await asked(emulator)
        return statuses, before, emulator._service.state.deployments[uid].status

    statuses, before, status = run(main())

    assert statuses == [200, 429, 200, 429]
    assert before == 2.0
    assert status == "LIVE"
    assert [entry.arrival for entry in emulator.ledger.requests] == [0.25, 0.75, 1.25, 1.75, 3602.25]


def test_a_fault_can_delay_the_answer():
    emulator = LaunchEmulator(port=None, clock=Clock(loop_time))
    emulator.faults.add("delay", delay=7)

    async def main():
        answer = await asked(emulator)
        return answer.status, asyncio.get_running_loop().time()

    assert run(main()) == (200, 7.0)


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncate"])
async def test_a_dropped_connection_is_an_error_of_the_transport(kind):
    emulator = LaunchEmulator(port=None)
    emulator.faults.add(kind, times=1)

    with pytest.raises(ConnectionResetError):
        await asked(emulator)
    assert (await asked(emulator)).status == 200


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncate"])
async def test_a_dropped_connection_is_a_lost_answer_for_the_client(kind):
    emulator = LaunchEmulator(port=None)
    emulator.faults.add(kind)

    async with client_of(emulator, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(ResponseLost):
            await client.usage.cache_revalidations()


async def test_an_emulator_with_a_socket_has_a_transport_too(start):
    async with start() as api:
        api.emulator.add_project("shop")
        answer = await asked(api.emulator)

    assert b'"shop"' in answer.body
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_an_archive_needs_a_started_emulator(caplog):
    answer = await asked(LaunchEmulator(port=None), "/projects/upload/signed_url")

    assert answer.status == 500
    assert "start the emulator first" in caplog.text
