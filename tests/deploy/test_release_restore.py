"""Restoration: the previous commit or ZIP is deployed again, once, and not after a newer deployment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from launch_async import (
    Check,
    Commit,
    Deployment,
    DeploymentUnhealthy,
    InvalidArgumentError,
    LaunchError,
    StorageError,
)
from launch_async.deploy.release import copying

UNKNOWN_UID = "66c0aaaaaaaaaaaaaaaaaaaa"
BAD = Check(contains="good", every=0.01, attempts=1, grace=0)
FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat downloads without a noticeable pause."""
    monkeypatch.setattr(copying, "_PAUSE_S", 0.001)


@pytest.fixture
async def site(launch, version):
    """A healthy site."""
    _, client = launch
    return await client.create_site("night-sky", version("good"))


@pytest.fixture
def git(launch):
    """The UIDs of an environment of a Git project."""
    emulator, _ = launch
    project = emulator.add_project("from-git", git=True)
    return project.uid, next(iter(project.environments))


def uids_of(site: Any) -> tuple[str, str]:
    return site.project.uid, site.environment.uid


async def sha256_of(client: Any, deployment: Deployment) -> str:
    return str(await client.deployments._zip_hash(deployment))


async def test_an_unhealthy_release_is_replaced_by_the_same_bytes_as_before(launch, site, version, fetch, spool):
    emulator, client = launch

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.deploy(*uids_of(site), version("bad"), verify=BAD, on_failure="restore")

    restored = unhealthy.value.restored
    assert isinstance(restored, Deployment)
    assert restored.status.is_serving
    assert "good" in await fetch(restored.url)
    assert await sha256_of(client, restored) == await sha256_of(client, site.deployment)
    assert f"Deployment {restored.uid} has restored the previous version" in str(unhealthy.value)
    assert "Variables and settings are not restored" in str(unhealthy.value)
    assert list(spool.glob("launch-release-*")) == []
    assert emulator.ledger.count("createDeployment") == 2


async def test_an_unhealthy_commit_is_replaced_by_the_previous_commit(launch, git):
    emulator, client = launch
    await client.deploy(*git, Commit(FIRST))

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.deploy(*git, Commit(SECOND), verify=BAD, on_failure="restore")

    assert unhealthy.value.restored.commit_hash == FIRST
    assert emulator.ledger.count("uploadArchive") == 0


async def test_an_unhealthy_redeployment_of_the_same_commit_is_not_restored(launch, git):
    emulator, client = launch
    await client.deploy(*git, Commit(FIRST))

    with pytest.raises(DeploymentUnhealthy, match="the same version was live before") as unhealthy:
        await client.deploy(*git, Commit(FIRST), verify=BAD, on_failure="restore")

    assert unhealthy.value.restored is None
    assert emulator.ledger.count("createDeployment") == 2


async def test_unhealthy_files_that_were_already_live_are_not_restored(launch, site, version, tmp_path):
    emulator, client = launch
    memory, journal = tmp_path / "deployed.json", tmp_path / "release.journal"
    await client.deploy(*uids_of(site), version("bad"), skip_unchanged=memory)
    before = emulator.ledger.count("createDeployment")
    options = {"verify": BAD, "on_failure": "restore", "journal": journal, "skip_unchanged": memory}

    with pytest.raises(DeploymentUnhealthy, match="The deployment is still live"):
        await client.deploy(*uids_of(site), version("bad"), **options)

    assert emulator.ledger.count("createDeployment") == before


async def test_the_error_says_if_no_earlier_version_was_live(launch, version):
    emulator, client = launch
    project = emulator.add_project("empty")

    with pytest.raises(DeploymentUnhealthy, match="No earlier version was live") as unhealthy:
        await client.deploy(
            project.uid, next(iter(project.environments)), version("bad"), verify=BAD, on_failure="restore"
        )

    assert unhealthy.value.restored is None


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
async def test_a_newer_deployment_is_not_replaced(launch, site, version, seconds):
    emulator, client = launch

    def colleague(url: str) -> bool:
        emulator.add_deployment(site.environment.uid, seconds=seconds)
        return False

    before = emulator.ledger.count("createDeployment")
    with pytest.raises(DeploymentUnhealthy, match="another person or program has created deployment") as unhealthy:
        await client.deploy(*uids_of(site), version("bad"), verify=check_once(colleague), on_failure="restore")

    assert unhealthy.value.restored is None
    assert emulator.ledger.count("createDeployment") == before + 1


async def test_a_rollback_in_the_console_is_not_replaced(launch, site, version):
    emulator, client = launch

    def colleague(url: str) -> bool:
        emulator.roll_back(site.deployment.uid)
        return False

    with pytest.raises(DeploymentUnhealthy, match="is live again") as unhealthy:
        await client.deploy(*uids_of(site), version("bad"), verify=check_once(colleague), on_failure="restore")

    assert unhealthy.value.restored is None


def check_once(act: Callable[[str], bool]) -> Any:
    """Return a check that calls `act` at its first attempt."""

    async def check(url: str) -> bool:
        return act(url)

    return check


@pytest.fixture(autouse=True)
def one_attempt_per_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that returns False fails at its first attempt."""
    monkeypatch.setattr("launch_async.deploy.release.verifying.GRACE", 0)
    monkeypatch.setattr("launch_async.deploy.release.verifying.ATTEMPTS", 1)


async def test_the_version_of_a_rollback_is_restored_and_not_the_newer_one(launch, site, version, fetch):
    emulator, client = launch
    await client.deploy(*uids_of(site), version("worse"))
    emulator.roll_back(site.deployment.uid)

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.deploy(*uids_of(site), version("bad"), verify=BAD, on_failure="restore")

    assert "good" in await fetch(unhealthy.value.restored.url)


async def test_a_version_that_went_live_during_the_build_is_restored(launch, git):
    emulator, client = launch
    emulator.script("LIVE", seconds=0.2)
    await client.deployments.create(*git, commit_hash=FIRST)

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.deploy(*git, Commit(SECOND), verify=BAD, on_failure="restore")

    assert unhealthy.value.restored.commit_hash == FIRST


async def test_a_failed_restoration_is_in_the_message_and_is_the_cause(launch, site, version):
    emulator, client = launch
    emulator.script("LIVE")
    emulator.script("FAILED")

    with pytest.raises(DeploymentUnhealthy, match="Restoring the previous version failed: FAILED") as unhealthy:
        await client.deploy(*uids_of(site), version("bad"), verify=BAD, on_failure="restore")

    assert unhealthy.value.restored is None
    assert unhealthy.value.__cause__ is not None


async def test_a_failed_restoration_can_be_tried_again(launch, site, version, tmp_path):
    emulator, client = launch
    journal = tmp_path / "release.journal"
    emulator.faults.add("status_before", operation="downloadArchive", status=404)

    with pytest.raises(DeploymentUnhealthy, match=r"Call launch.restore\(.*\) to try again"):
        await client.deploy(*uids_of(site), version("bad"), verify=BAD, on_failure="restore")
    with pytest.raises(DeploymentUnhealthy, match=r"Call launch.resume_release\(.*\) to try again"):
        await client.deploy(*uids_of(site), version("worse"), verify=BAD, on_failure="restore", journal=journal)
    emulator.faults.clear()

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.resume_release(journal)
    assert unhealthy.value.restored is not None


@pytest.mark.parametrize("kind", ["reset_before", "truncate", "status_before"])
async def test_an_incomplete_download_is_repeated(launch, site, version, kind):
    emulator, client = launch
    await client.deploy(*uids_of(site), version("bad"))
    emulator.faults.add(kind, operation="downloadArchive", status=503, times=2)

    restored = await client.restore(*uids_of(site), to=site.deployment)

    assert await sha256_of(client, restored) == await sha256_of(client, site.deployment)


async def test_an_html_page_of_a_gateway_is_not_deployed_as_a_zip(launch, site, version):
    emulator, client = launch
    await client.deploy(*uids_of(site), version("bad"))
    emulator.faults.add("status_before", operation="downloadArchive", status=200, body="<h1>gateway</h1>" * 100)
    before = emulator.ledger.count("createDeployment")

    with pytest.raises(StorageError, match="invalid or incomplete ZIP"):
        await client.restore(*uids_of(site), to=site.deployment)

    assert emulator.ledger.count("createDeployment") == before
    assert emulator.ledger.count("downloadArchive") == 4


async def test_a_deployment_without_a_commit_or_zip_cannot_be_restored(launch, site, version):
    emulator, client = launch
    await client.deploy(*uids_of(site), version("bad"))
    emulator.faults.add("status_before", operation="getDeploymentDownloadUrl", status=404)

    with pytest.raises(StorageError, match="returns neither a commit nor a ZIP for deployment"):
        await client.restore(*uids_of(site), to=site.deployment)


async def test_restore_deploys_the_previous_version(launch, site, version, fetch):
    _, client = launch
    await client.deploy(*uids_of(site), version("bad"))

    restored = await client.restore(*uids_of(site))

    assert "good" in await fetch(restored.url)


async def test_a_second_restore_does_not_deploy_the_bad_version(launch, site, version):
    emulator, client = launch
    bad = await client.deploy(*uids_of(site), version("bad"))
    await client.restore(*uids_of(site))
    before = emulator.ledger.count("createDeployment")

    with pytest.raises(InvalidArgumentError, match="has already restored the ZIP of deployment") as refused:
        await client.restore(*uids_of(site))

    assert bad.uid in str(refused.value)
    assert emulator.ledger.count("createDeployment") == before


async def test_a_second_restore_does_not_deploy_the_bad_commit(launch, git):
    _, client = launch
    for commit in (FIRST, SECOND):
        await client.deploy(*git, Commit(commit))

    restored = await client.restore(*git)

    assert restored.commit_hash == FIRST
    with pytest.raises(InvalidArgumentError, match=f"commit {FIRST[:12]}"):
        await client.restore(*git)


async def test_two_deployments_of_one_commit_are_one_version(launch, git):
    _, client = launch
    for commit in (FIRST, SECOND, SECOND):
        await client.deploy(*git, Commit(commit))

    assert (await client.restore(*git)).commit_hash == FIRST


async def test_restoring_the_live_version_deploys_nothing(launch, site):
    emulator, client = launch

    assert (await client.restore(*uids_of(site), to=site.deployment.uid)).uid == site.deployment.uid
    assert emulator.ledger.count("createDeployment") == 0


async def test_a_running_restoration_is_waited_for_and_not_repeated(launch, git):
    emulator, client = launch
    for commit in (FIRST, SECOND):
        await client.deploy(*git, Commit(commit))
    emulator.script("LIVE", seconds=0.2)
    begun = await client.deployments.create(*git, commit_hash=FIRST)

    assert (await client.restore(*git)).uid == begun.uid


async def test_without_an_earlier_version_restore_is_an_error(launch, site):
    _, client = launch

    with pytest.raises(LaunchError, match="there is nothing to restore"):
        await client.restore(*uids_of(site))


async def test_a_deployment_that_was_never_live_is_not_restored(launch, site, version):
    emulator, client = launch
    failed = emulator.add_deployment(site.environment.uid, "FAILED", seconds=0)

    with pytest.raises(InvalidArgumentError, match=f"deployment {failed} is FAILED, so it was never live"):
        await client.restore(*uids_of(site), to=failed)


@pytest.mark.parametrize("wrong", [{"to": "latest"}, {"timeout": 0}])
async def test_malformed_arguments_are_refused_before_a_request(launch, site, wrong):
    emulator, client = launch
    before = len(emulator.ledger.requests)

    with pytest.raises(InvalidArgumentError):
        await client.restore(*uids_of(site), **wrong)

    assert len(emulator.ledger.requests) == before


async def test_the_error_contains_no_secret_of_the_storage(launch, site, version):
    emulator, client = launch
    await client.deploy(*uids_of(site), version("bad"))
    emulator.faults.add("status_before", operation="downloadArchive", status=404)

    with pytest.raises(StorageError) as failure:
        await client.restore(*uids_of(site), to=site.deployment)

    assert "signature" not in f"{failure.value!r} {failure.value}"
    assert hashlib.sha256(b"").hexdigest() not in str(failure.value)
