"""The journal of a release: another process can resume the release, and no release starts twice."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import attrs
import pytest

from launch_async import (
    Check,
    ConfigurationError,
    Deployment,
    DeploymentFailed,
    DeploymentUnhealthy,
    InvalidArgumentError,
    JournalError,
    JournalInUse,
)
from launch_async.deploy.release.journal import ReleaseJournal
from tests.support.clients import client_of
from tests.support.passing_time import until

CHECK = Check(contains="good", every=0.01, attempts=1, grace=0)


@pytest.fixture
async def uids(launch, version):
    """The UIDs of an environment with a healthy site."""
    _, client = launch
    site = await client.create_site("night-sky", version("good"))
    return site.project.uid, site.environment.uid


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The path of a file that does not exist yet."""
    return tmp_path / "release.journal"


async def test_resuming_a_finished_release_raises_its_error_again_and_deploys_nothing(launch, uids, version, journal):
    emulator, client = launch
    with pytest.raises(DeploymentUnhealthy) as first:
        await client.deploy(*uids, version("bad"), verify=CHECK, on_failure="restore", journal=journal)
    before = emulator.ledger.count("createDeployment")

    with pytest.raises(DeploymentUnhealthy) as again:
        await client.resume_release(journal)

    assert str(again.value) == str(first.value)
    assert again.value.results == first.value.results
    assert again.value.restored.uid == first.value.restored.uid
    assert emulator.ledger.count("createDeployment") == before


async def test_resuming_a_healthy_release_returns_its_deployment(launch, uids, version, journal):
    _, client = launch
    deployment = await client.deploy(*uids, version("good"), verify=CHECK, journal=journal)

    assert (await client.resume_release(journal)).uid == deployment.uid


async def test_the_journal_of_a_finished_release_can_be_used_again(launch, uids, version, journal):
    _, client = launch
    first = await client.deploy(*uids, version("good"), journal=journal)
    second = await client.deploy(*uids, version("good"), journal=journal)

    assert first.uid != second.uid
    assert (await client.resume_release(journal)).uid == second.uid


async def test_a_release_that_was_cancelled_during_the_build_can_be_resumed(start, version, journal):
    async with start(build_seconds=3600.0) as (emulator, client):
        emulator.script("LIVE", seconds=0)
        site = await client.create_site("night-sky", version("good"))
        uids = site.project.uid, site.environment.uid
        releasing = asyncio.create_task(
            client.deploy(*uids, version("bad"), verify=CHECK, on_failure="restore", journal=journal)
        )
        await until(lambda: emulator.ledger.count("getDeployment"))
        releasing.cancel()
        await asyncio.wait([releasing])
        emulator.change(build_seconds=0.0)
        emulator.advance(3600)

        async with client_of(emulator) as other:
            with pytest.raises(DeploymentUnhealthy) as unhealthy:
                await other.resume_release(journal, verify=CHECK)

        assert isinstance(unhealthy.value.restored, Deployment)
        assert emulator.ledger.count("createDeployment") == 2


async def test_the_journal_of_an_unfinished_release_is_refused_for_a_new_release(launch, uids, version, journal):
    emulator, client = launch
    kept = ReleaseJournal.begun(journal, {})
    kept.note(sends={})
    kept.close()
    before = len(emulator.ledger.requests)

    with pytest.raises(JournalError, match=r"Finish it with launch\.resume_release\("):
        await client.deploy(*uids, version("bad"), verify=CHECK, on_failure="restore", journal=journal)

    assert emulator.ledger.count("createDeployment") == 0
    assert len(emulator.ledger.requests) == before


async def test_a_journal_can_be_used_again_after_a_refused_deployment(launch, uids, version, journal):
    emulator, client = launch
    emulator.faults.add("status_before", operation="createDeployment", status=400, times=1)
    with pytest.raises(Exception, match="Injected fault"):
        await client.deploy(*uids, version("good"), journal=journal)

    assert await client.resume_release(journal) is None
    assert (await client.deploy(*uids, version("good"), journal=journal)).status.is_serving


async def test_a_failed_build_finishes_the_release(launch, uids, version, journal):
    emulator, client = launch
    emulator.script("FAILED")
    with pytest.raises(DeploymentFailed):
        await client.deploy(*uids, version("good"), journal=journal)

    with pytest.raises(DeploymentFailed):
        await client.resume_release(journal)
    assert (await client.deploy(*uids, version("good"), journal=journal)).status.is_serving


async def test_a_release_is_resumed_only_with_its_original_checks(launch, uids, journal):
    emulator, client = launch
    about = {"base_url": emulator.url, "organization_uid": emulator.organization_uid, "checks": [str(CHECK)]}
    kept = ReleaseJournal.begun(journal, {**about, "on_failure": "restore"})
    kept.note(sends={})
    kept.close()

    for wrong in ((), attrs.evolve(CHECK, contains="moon")):
        with pytest.raises(InvalidArgumentError, match="Pass these checks: GET /, status 200, contains 'good'"):
            await client.resume_release(journal, verify=wrong)


async def test_a_release_of_another_organization_is_refused(launch, journal):
    emulator, client = launch
    about = {"base_url": emulator.url, "organization_uid": "blt0000000000000000", "checks": []}
    ReleaseJournal.begun(journal, about).close()

    with pytest.raises(ConfigurationError, match="organization_uid blt0000000000000000"):
        await client.resume_release(journal)


def test_a_journal_that_is_open_cannot_be_opened_again(journal: Path) -> None:
    kept = ReleaseJournal.begun(journal, {})

    for open_it in (ReleaseJournal.reopened, lambda path: ReleaseJournal.begun(path, {})):
        with pytest.raises(JournalInUse):
            open_it(journal)
    kept.close()
    ReleaseJournal.reopened(journal).close()


def test_an_incomplete_last_line_is_ignored(journal: Path) -> None:
    kept = ReleaseJournal.begun(journal, {"checks": []})
    kept.note(sends={"first": None})
    whole = journal.read_bytes()
    kept.note(deployment="a" * 24)
    kept.close()
    content = journal.read_bytes()

    for length in range(len(whole), len(content)):
        journal.write_bytes(content[:length])
        cut = ReleaseJournal.reopened(journal)
        assert cut.facts["sends"] == {"first": None}
        assert "deployment" not in cut.facts
        cut.note(deployment="b" * 24)
        cut.close()
        again = ReleaseJournal.reopened(journal)
        assert again.facts["deployment"] == "b" * 24
        again.close()


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 40, b'["00000000", {}]\n', json.dumps({"a": 1}).encode()])
def test_a_file_that_is_not_a_journal_is_refused_and_not_changed(journal: Path, content: bytes) -> None:
    journal.write_bytes(content)

    for open_it in (ReleaseJournal.reopened, lambda path: ReleaseJournal.begun(path, {})):
        with pytest.raises(JournalError):
            open_it(journal)
    assert journal.read_bytes() == content


def test_a_missing_journal_and_a_missing_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="does not exist"):
        ReleaseJournal.reopened(tmp_path / "nothing")
    with pytest.raises(JournalError, match="cannot be used"):
        ReleaseJournal.begun(tmp_path / "no-folder" / "journal", {})
