"""What served before is put back: the same commit or the same bytes, once, and only if nobody has moved on since."""

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

NOBODY = "66c0aaaaaaaaaaaaaaaaaaaa"
BAD = Check(contains="good", every=0.01, attempts=1, grace=0)
FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch again at once."""
    monkeypatch.setattr(copying, "_PAUSE", 0.001)


@pytest.fixture
async def site(launch, version):
    """A site that serves something good."""
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


async def test_a_bad_release_is_put_back_byte_for_byte(launch, site, version, fetch, spool):
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


async def test_a_bad_commit_is_put_back(launch, git):
    emulator, client = launch
    await client.deploy(*git, Commit(FIRST))

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.deploy(*git, Commit(SECOND), verify=BAD, on_failure="restore")

    assert unhealthy.value.restored.commit_hash == FIRST
    assert emulator.ledger.count("uploadArchive") == 0


async def test_the_same_commit_once_more_is_not_put_back(launch, git):
    emulator, client = launch
    await client.deploy(*git, Commit(FIRST))

    with pytest.raises(DeploymentUnhealthy, match="the same version was live before") as unhealthy:
        await client.deploy(*git, Commit(FIRST), verify=BAD, on_failure="restore")

    assert unhealthy.value.restored is None
    assert emulator.ledger.count("createDeployment") == 2


async def test_files_that_stood_already_are_not_put_back(launch, site, version, tmp_path):
    emulator, client = launch
    memory, journal = tmp_path / "deployed.json", tmp_path / "release.journal"
    await client.deploy(*uids_of(site), version("bad"), skip_unchanged=memory)
    before = emulator.ledger.count("createDeployment")
    options = {"verify": BAD, "on_failure": "restore", "journal": journal, "skip_unchanged": memory}

    with pytest.raises(DeploymentUnhealthy, match="The deployment is still live"):
        await client.deploy(*uids_of(site), version("bad"), **options)

    assert emulator.ledger.count("createDeployment") == before


async def test_a_project_with_nothing_good_before_says_so(launch, version):
    emulator, client = launch
    project = emulator.add_project("empty")

    with pytest.raises(DeploymentUnhealthy, match="No earlier version was live") as unhealthy:
        await client.deploy(
            project.uid, next(iter(project.environments)), version("bad"), verify=BAD, on_failure="restore"
        )

    assert unhealthy.value.restored is None


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
async def test_what_somebody_has_deployed_since_is_left_alone(launch, site, version, seconds):
    emulator, client = launch

    def colleague(url: str) -> bool:
        emulator.add_deployment(site.environment.uid, seconds=seconds)
        return False

    before = emulator.ledger.count("createDeployment")
    with pytest.raises(DeploymentUnhealthy, match="someone has created deployment") as unhealthy:
        await client.deploy(*uids_of(site), version("bad"), verify=_once(colleague), on_failure="restore")

    assert unhealthy.value.restored is None
    assert emulator.ledger.count("createDeployment") == before + 1


async def test_a_rollback_in_the_console_meanwhile_is_left_alone(launch, site, version):
    emulator, client = launch

    def colleague(url: str) -> bool:
        emulator.roll_back(site.deployment.uid)
        return False

    with pytest.raises(DeploymentUnhealthy, match="is live again") as unhealthy:
        await client.deploy(*uids_of(site), version("bad"), verify=_once(colleague), on_failure="restore")

    assert unhealthy.value.restored is None


def _once(act: Callable[[str], bool]) -> Any:
    """A check that acts at its first attempt, and fails at once."""

    async def check(url: str) -> bool:
        return act(url)

    return check


@pytest.fixture(autouse=True)
def impatient_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a function fail at its first attempt."""
    monkeypatch.setattr("launch_async.deploy.release.verifying.GRACE", 0)
    monkeypatch.setattr("launch_async.deploy.release.verifying.ATTEMPTS", 1)


async def test_what_was_rolled_back_in_the_console_is_not_put_back(launch, site, version, fetch):
    emulator, client = launch
    await client.deploy(*uids_of(site), version("worse"))
    emulator.roll_back(site.deployment.uid)

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.deploy(*uids_of(site), version("bad"), verify=BAD, on_failure="restore")

    assert "good" in await fetch(unhealthy.value.restored.url)


async def test_what_went_live_while_the_release_was_built_is_put_back(launch, git):
    emulator, client = launch
    emulator.script("LIVE", seconds=0.2)
    await client.deployments.create(*git, commit_hash=FIRST)

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.deploy(*git, Commit(SECOND), verify=BAD, on_failure="restore")

    assert unhealthy.value.restored.commit_hash == FIRST


async def test_a_restoration_that_fails_is_told_and_is_the_cause(launch, site, version):
    emulator, client = launch
    emulator.script("LIVE")
    emulator.script("FAILED")

    with pytest.raises(DeploymentUnhealthy, match="Restoring the previous version failed: FAILED") as unhealthy:
        await client.deploy(*uids_of(site), version("bad"), verify=BAD, on_failure="restore")

    assert unhealthy.value.restored is None
    assert unhealthy.value.__cause__ is not None


async def test_what_could_not_be_put_back_can_be_tried_again(launch, site, version, tmp_path):
    emulator, client = launch
    journal = tmp_path / "release.journal"
    emulator.faults.add("status_before", operation="downloadArchive", status=404)

    with pytest.raises(DeploymentUnhealthy, match=r"launch.restore\(.*\) tries again"):
        await client.deploy(*uids_of(site), version("bad"), verify=BAD, on_failure="restore")
    with pytest.raises(DeploymentUnhealthy, match=r"launch.resume_release\(.*\) tries again"):
        await client.deploy(*uids_of(site), version("worse"), verify=BAD, on_failure="restore", journal=journal)
    emulator.faults.clear()

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.resume_release(journal)
    assert unhealthy.value.restored is not None


@pytest.mark.parametrize("kind", ["reset_before", "truncate", "status_before"])
async def test_a_zip_that_does_not_come_whole_is_fetched_again(launch, site, version, kind):
    emulator, client = launch
    await client.deploy(*uids_of(site), version("bad"))
    emulator.faults.add(kind, operation="downloadArchive", status=503, times=2)

    restored = await client.restore(*uids_of(site), to=site.deployment)

    assert await sha256_of(client, restored) == await sha256_of(client, site.deployment)


async def test_a_gateways_page_is_not_deployed_as_a_zip(launch, site, version):
    emulator, client = launch
    await client.deploy(*uids_of(site), version("bad"))
    emulator.faults.add("status_before", operation="downloadArchive", status=200, body="<h1>gateway</h1>" * 100)
    before = emulator.ledger.count("createDeployment")

    with pytest.raises(StorageError, match="invalid or incomplete ZIP"):
        await client.restore(*uids_of(site), to=site.deployment)

    assert emulator.ledger.count("createDeployment") == before
    assert emulator.ledger.count("downloadArchive") == 4


async def test_a_deployment_of_which_the_service_shows_nothing_cannot_be_put_back(launch, site, version):
    emulator, client = launch
    await client.deploy(*uids_of(site), version("bad"))
    emulator.faults.add("status_before", operation="getDeploymentDownloadUrl", status=404)

    with pytest.raises(StorageError, match="returns neither a commit nor a ZIP for deployment"):
        await client.restore(*uids_of(site), to=site.deployment)


async def test_restore_puts_back_what_served_before(launch, site, version, fetch):
    _, client = launch
    await client.deploy(*uids_of(site), version("bad"))

    restored = await client.restore(*uids_of(site))

    assert "good" in await fetch(restored.url)


async def test_a_second_restore_does_not_bring_the_bad_version_back(launch, site, version):
    emulator, client = launch
    bad = await client.deploy(*uids_of(site), version("bad"))
    await client.restore(*uids_of(site))
    before = emulator.ledger.count("createDeployment")

    with pytest.raises(InvalidArgumentError, match="has already restored the ZIP of deployment") as refused:
        await client.restore(*uids_of(site))

    assert bad.uid in str(refused.value)
    assert emulator.ledger.count("createDeployment") == before


async def test_a_second_restore_of_a_commit_does_not_bring_the_bad_one_back(launch, git):
    _, client = launch
    for commit in (FIRST, SECOND):
        await client.deploy(*git, Commit(commit))

    restored = await client.restore(*git)

    assert restored.commit_hash == FIRST
    with pytest.raises(InvalidArgumentError, match=f"commit {FIRST[:12]}"):
        await client.restore(*git)


async def test_the_same_commit_deployed_twice_counts_as_one(launch, git):
    _, client = launch
    for commit in (FIRST, SECOND, SECOND):
        await client.deploy(*git, Commit(commit))

    assert (await client.restore(*git)).commit_hash == FIRST


async def test_restoring_what_serves_deploys_nothing(launch, site):
    emulator, client = launch

    assert (await client.restore(*uids_of(site), to=site.deployment.uid)).uid == site.deployment.uid
    assert emulator.ledger.count("createDeployment") == 0


async def test_a_restoration_that_is_on_its_way_is_waited_for_and_not_repeated(launch, git):
    emulator, client = launch
    for commit in (FIRST, SECOND):
        await client.deploy(*git, Commit(commit))
    emulator.script("LIVE", seconds=0.2)
    begun = await client.deployments.create(*git, commit_hash=FIRST)

    assert (await client.restore(*git)).uid == begun.uid


async def test_where_nothing_served_before_there_is_nothing_to_restore(launch, site):
    _, client = launch

    with pytest.raises(LaunchError, match="there is nothing to restore"):
        await client.restore(*uids_of(site))


async def test_a_deployment_that_never_served_is_not_restored(launch, site, version):
    emulator, client = launch
    failed = emulator.add_deployment(site.environment.uid, "FAILED", seconds=0)

    with pytest.raises(InvalidArgumentError, match=f"deployment {failed} is FAILED, so it was never live"):
        await client.restore(*uids_of(site), to=failed)


@pytest.mark.parametrize("wrong", [{"to": "latest"}, {"timeout": 0}])
async def test_malformed_arguments_cost_no_request(launch, site, wrong):
    emulator, client = launch
    before = len(emulator.ledger.requests)

    with pytest.raises(InvalidArgumentError):
        await client.restore(*uids_of(site), **wrong)

    assert len(emulator.ledger.requests) == before


async def test_no_secret_of_the_storage_is_in_what_is_raised(launch, site, version):
    emulator, client = launch
    await client.deploy(*uids_of(site), version("bad"))
    emulator.faults.add("status_before", operation="downloadArchive", status=404)

    with pytest.raises(StorageError) as failure:
        await client.restore(*uids_of(site), to=site.deployment)

    assert "signature" not in f"{failure.value!r} {failure.value}"
    assert hashlib.sha256(b"").hexdigest() not in str(failure.value)
