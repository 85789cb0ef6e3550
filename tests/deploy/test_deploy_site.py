"""create_site() and deploy(), end to end against an emulator on real sockets."""

from __future__ import annotations

import asyncio
import pickle
import shutil
import time
import zipfile
from pathlib import Path

import pytest

from launch_async import (
    ArchiveError,
    Commit,
    ConflictError,
    DeadlineExceeded,
    DeploymentFailed,
    DeploymentStatus,
    InvalidArgumentError,
    LatestCommit,
    LaunchError,
    PreviousUpload,
    WaitTimeout,
    check_archive,
    create_archive,
    list_archive,
)
from launch_async.archive import walk
from launch_async.emulator import Script
from tests.support.passing_time import let_pass, until

PAGE = "<!doctype html><title>Night sky</title><h1>Tonight</h1>"


@pytest.mark.parametrize("style", ["aws", "azure", "gcp"])
async def test_a_folder_becomes_a_site_in_each_cloud(style, start, folder, fetch):
    async with start(upload_style=style) as (emulator, client):
        site = await client.create_site("night-sky", folder)
        page = await fetch(site.url)

    assert page == PAGE
    assert site.deployment.status is DeploymentStatus.LIVE
    assert (site.project.name, site.environment.name) == ("night-sky", "production")
    uploads = [entry for entry in emulator.ledger.requests if entry.operation == "uploadArchive"]
    assert [(entry.credentials, entry.organization) for entry in uploads] == [((), None)]


async def test_a_second_deployment_replaces_the_first(launch, folder, fetch, spool):
    _, client = launch
    site = await client.create_site("night-sky", folder)
    (folder / "index.html").write_text("<h1>Clouds</h1>", "utf-8")

    deployment = await client.deploy(site.project.uid, site.environment.uid, folder)

    assert deployment.deployment_number == 2
    assert await fetch(deployment.url) == "<h1>Clouds</h1>"
    assert list(spool.glob("*.zip")) == []


async def test_a_zip_is_sent_unchanged(launch, folder, fetch, tmp_path):
    _, client = launch
    with zipfile.ZipFile(tmp_path / "site.zip", "w") as archive:
        archive.writestr("index.html", PAGE)
        archive.writestr("padding.bin", bytes(1024))

    site = await client.create_site("night-sky", tmp_path / "site.zip")

    assert await fetch(site.url) == PAGE
    assert (tmp_path / "site.zip").exists()


@pytest.mark.parametrize("secrets", ["refuse", "drop"])
async def test_a_zip_with_secrets_is_refused(launch, tmp_path, secrets):
    emulator, client = launch
    file = tmp_path / "site.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(".env", "TOKEN=abc")
        archive.writestr("padding.bin", bytes(1024))

    with pytest.raises(ArchiveError, match="contains secrets"):
        await client.create_site("night-sky", file, secrets=secrets)

    assert emulator.ledger.requests == []


@pytest.mark.parametrize("checked_before", [True, False])
async def test_a_zip_with_secrets_is_sent_on_request(launch, tmp_path, checked_before):
    _, client = launch
    file = tmp_path / "site.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config/.env", "TOKEN=abc")
        archive.writestr("padding.bin", bytes(1024))

    source = check_archive(file, secrets="send") if checked_before else file
    site = await client.create_site("night-sky", source, secrets="refuse" if checked_before else "send")

    assert site.deployment.status.is_success


async def test_an_archive_can_be_deployed_twice_and_is_not_changed(launch, folder):
    _, client = launch
    with await create_archive(folder) as archive:
        site = await client.create_site("night-sky", archive)
        again = await client.deploy(site.project.uid, site.environment.uid, archive)
        unchanged = archive.content_hash == (await asyncio.to_thread(check_archive, archive.path)).content_hash

    assert again.deployment_number == 2
    assert unchanged


async def test_only_the_listed_files_are_deployed(launch, folder, fetch):
    _, client = launch
    listing = list_archive(folder)
    (folder / "late.html").write_text("too late", "utf-8")

    site = await client.create_site("night-sky", listing)

    assert "too late" not in await fetch(f"{site.url}/late.html")


async def test_the_previous_upload_can_be_deployed_again(launch, folder, fetch):
    _, client = launch
    site = await client.create_site("night-sky", folder)

    deployment = await client.deploy(site.project.uid, site.environment.uid, PreviousUpload())

    assert deployment.deployment_number == 2
    assert await fetch(deployment.url) == PAGE


@pytest.mark.parametrize("commit_hash", [None, "", " "], ids=repr)
def test_an_empty_commit_hash_is_refused(commit_hash):
    # With an unset variable in a pipeline, an empty hash would deploy the newest commit.
    with pytest.raises(InvalidArgumentError, match=r"^commit_hash: "):
        Commit(commit_hash)


@pytest.mark.parametrize(
    ("source", "commit"),
    [
        (Commit("c0ffee" * 6 + "c0ff"), "c0ffee" * 6 + "c0ff"),
        (LatestCommit(), "0123456789abcdef0123456789abcdef01234567"),
    ],
)
async def test_a_git_environment_deploys_a_commit(launch, source, commit):
    emulator, client = launch
    project = emulator.add_project("docs", git=True)
    environment = next(iter(project.environments))

    deployment = await client.deploy(project.uid, environment, source)

    assert deployment.commit_hash == commit
    assert emulator.ledger.count("uploadArchive") == 0


async def test_all_log_lines_come_before_the_deployment_is_returned(launch, folder):
    _, client = launch
    lines = []

    await client.create_site("night-sky", folder, on_log=lines.append)

    assert (lines[0].message, lines[-1].message) == ("Preparing the build machine", "Deployment is live")
    assert len(lines) == 7


async def test_progress_only_grows_and_ends_with_the_whole_file(launch, tmp_path):
    _, client = launch
    site = tmp_path / "large"
    site.mkdir()
    (site / "noise.bin").write_bytes(bytes(range(256)) * 4096)
    with await create_archive(site, level=0) as archive:
        sent = []
        await client.create_site("noise", archive, on_progress=sent.append)

    assert sent == sorted(sent)
    assert sent[-1] >= archive.size


async def test_without_waiting_the_deployment_is_still_in_flight(start, folder):
    async with start(build_seconds=60) as (_, client):
        site = await client.create_site("night-sky", folder, wait=False)
        deployment = await client.deploy(site.project.uid, site.environment.uid, folder, wait=False)

    assert site.deployment.status.is_in_flight
    assert deployment.status.is_in_flight


async def test_a_failed_build_raises_its_report_and_keeps_the_project(launch, folder):
    emulator, client = launch
    emulator.scripts.add(Script(outcome="FAILED"))

    with pytest.raises(DeploymentFailed) as failure:
        await client.create_site("night-sky", folder)

    report = failure.value.report
    assert report.status is DeploymentStatus.FAILED
    assert [project.uid async for project in client.projects.list()] == [report.ref.project_uid]


async def test_a_failed_redeployment_raises_its_report(launch, folder):
    emulator, client = launch
    site = await client.create_site("night-sky", folder)
    emulator.scripts.add(Script(outcome="CANCELLED"))

    with pytest.raises(DeploymentFailed) as failure:
        await client.deploy(site.project.uid, site.environment.uid, folder)

    assert failure.value.report.status is DeploymentStatus.CANCELLED


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("name", ""),
        ("name", "n" * 201),
        ("description", "d" * 256),
        ("environment_name", "e" * 201),
        ("framework_preset", "HTML"),
        ("environment_variables", {"EMPTY": ""}),
        ("environment_variables", {f"NAME_{number}": "x" for number in range(129)}),
        ("timeout", 0),
    ],
)
async def test_a_wrong_argument_is_refused_before_the_first_request(launch, folder, argument, value):
    emulator, client = launch
    arguments = {"name": "night-sky", argument: value}

    with pytest.raises(InvalidArgumentError):
        await client.create_site(arguments.pop("name"), folder, **arguments)

    assert emulator.ledger.requests == []


async def test_files_that_cannot_be_sent_are_refused_before_the_first_request(launch, folder, spool):
    emulator, client = launch
    (folder / ".env").write_text("TOKEN=abc", "utf-8")

    with pytest.raises(ArchiveError, match=r"\.env"):
        await client.create_site("night-sky", folder)
    with pytest.raises(ArchiveError, match="does not exist"):
        await client.create_site("night-sky", folder / "nowhere")

    assert emulator.ledger.requests == []
    assert list(spool.glob("*.zip")) == []


async def test_secrets_are_left_out_on_request(launch, folder, fetch):
    _, client = launch
    (folder / ".env").write_text("TOKEN=abc", "utf-8")

    site = await client.create_site("night-sky", folder, secrets="drop")

    assert "abc" not in await fetch(f"{site.url}/.env")


async def test_secrets_of_a_folder_are_sent_on_request(launch, folder, fetch):
    _, client = launch
    (folder / ".env").write_text("TOKEN=abc", "utf-8")

    site = await client.create_site("night-sky", folder, secrets="send")

    assert "abc" in await fetch(f"{site.url}/.env")


@pytest.mark.parametrize("source", [["site.zip"], 7, None])
async def test_a_source_of_the_wrong_type_is_refused(launch, source):
    emulator, client = launch

    with pytest.raises(InvalidArgumentError, match="source: must be a folder"):
        await client.deploy("0" * 24, "1" * 24, source)

    assert emulator.ledger.requests == []


@pytest.mark.parametrize(("project", "environment"), [("../projects", "1" * 24), ("0" * 24, "")])
async def test_a_malformed_uid_is_refused_before_anything_is_packed(launch, project, environment):
    _, client = launch

    with pytest.raises(InvalidArgumentError, match="_uid"):
        await client.deploy(project, environment, "/nowhere")


async def test_a_duplicate_name_is_a_conflict(launch, folder):
    _, client = launch
    await client.create_site("night-sky", folder)

    with pytest.raises(ConflictError):
        await client.create_site("night-sky", folder)


async def test_settings_and_variables_reach_the_environment(launch, folder):
    _, client = launch
    shutil.copytree(folder, folder / "public")

    site = await client.create_site(
        "night-sky",
        folder,
        description="What is up tonight",
        environment_name="preview",
        framework_preset="GATSBY",
        build_command="npm run build",
        environment_variables={"LIMIT": "7"},
    )

    environment = await client.environments.get(site.project.uid, site.environment.uid)
    assert (environment.name, environment.framework_preset) == ("preview", "GATSBY")
    assert (environment.output_directory, environment.build_command) == ("./public", "npm run build")
    assert await client.variables.read(site.project.uid, site.environment.uid) == {"LIMIT": "7"}


async def test_create_site_waits_for_an_environment_that_appears_late(start, folder):
    async with start(create_delay=3600) as (emulator, client):
        creating = asyncio.create_task(client.create_site("night-sky", folder))
        await until(lambda: emulator.ledger.count("listEnvironments"))
        emulator.advance(2 * 3600)
        site = await creating

    assert site.deployment.status.is_success
    assert emulator.ledger.count("listEnvironments") > 1
    assert emulator.ledger.count("createProject") == 1


async def test_a_404_for_a_new_project_is_retried(launch, folder):
    emulator, client = launch
    emulator.faults.add("status_before", operation="listEnvironments", status=404, times=1)

    site = await client.create_site("night-sky", folder)

    assert site.deployment.status.is_success


async def test_the_error_about_a_missing_environment_names_the_project(start, folder):
    async with start(create_delay=3600) as (emulator, client):
        creating = asyncio.create_task(client.create_site("night-sky", folder, timeout=20))
        await until(lambda: emulator.ledger.count("listEnvironments"))
        let_pass(20)
        with pytest.raises(WaitTimeout, match="environment 'production' did not appear") as failure:
            await creating
        (project,) = await client.projects.list().to_list()

    assert f"Project 'night-sky' ({project.uid}) was created" in str(failure.value)


@pytest.mark.parametrize("operation", ["listEnvironments", "listDeployments"])
async def test_a_failed_request_for_the_new_site_is_retried(launch, folder, operation):
    emulator, client = launch
    emulator.faults.add("status_before", operation=operation, status=500, times=1)

    site = await client.create_site("night-sky", folder)

    assert site.deployment.status.is_success
    assert emulator.ledger.count("createProject") == 1


async def test_a_lasting_error_after_the_creation_names_the_project(launch, folder):
    emulator, client = launch
    emulator.faults.add("status_before", operation="listEnvironments", status=403)

    with pytest.raises(LaunchError) as failure:
        await client.create_site("night-sky", folder)

    (project,) = await client.projects.list().to_list()
    assert failure.value.status == 403
    assert failure.value.ambiguous
    assert failure.value.__notes__ == [f"Project 'night-sky' ({project.uid}) was created. Do not create it again"]


async def test_a_lost_answer_does_not_create_a_second_project(launch, folder):
    emulator, client = launch
    emulator.faults.add("reset_after", operation="createProject", times=1)

    site = await client.create_site("night-sky", folder)

    assert [made.uid for made in emulator.ledger.created if made.noun == "project"] == [site.project.uid]


async def test_a_lost_answer_does_not_deploy_twice(launch, folder):
    emulator, client = launch
    site = await client.create_site("night-sky", folder)
    emulator.faults.add("reset_after", operation="createDeployment", times=1)

    deployment = await client.deploy(site.project.uid, site.environment.uid, folder)

    made = [made.uid for made in emulator.ledger.created if made.noun == "deployment"]
    assert made == [site.deployment.uid, deployment.uid]


@pytest.mark.parametrize(
    ("operation", "step", "ambiguous"),
    [
        ("getDeploymentUploadUrl", "uploading", False),
        ("uploadArchive", "uploading", False),
        ("createDeployment", "creating the deployment", True),
    ],
)
async def test_the_error_of_the_deadline_names_the_step(launch, folder, spool, operation, step, ambiguous):
    emulator, client = launch
    site = await client.create_site("night-sky", folder)
    emulator.faults.add("delay", operation=operation, delay=30)
    before = emulator.ledger.count(operation)

    deploying = asyncio.create_task(client.deploy(site.project.uid, site.environment.uid, folder, timeout=20))
    await until(lambda: emulator.ledger.count(operation) > before)
    let_pass(20)
    with pytest.raises(DeadlineExceeded, match=f"timeout of 20 s. The current step was: {step}") as failure:
        await deploying

    assert failure.value.ambiguous is ambiguous
    assert list(spool.glob("*.zip")) == []


async def test_the_deadline_ends_the_listing_of_the_folder(launch, folder, spool, monkeypatch):
    emulator, client = launch
    site = await client.create_site("night-sky", folder)
    for number in range(2000):
        (folder / f"page{number}").touch()
    seen: list[str] = []

    def slow(path: str, name: str, head: bytes | None) -> bool:
        seen.append(path)
        time.sleep(0.005)
        return False

    monkeypatch.setattr(walk, "holds_secret", slow)
    deploying = asyncio.create_task(client.deploy(site.project.uid, site.environment.uid, folder, timeout=20))
    await until(lambda: seen)
    let_pass(20)

    with pytest.raises(DeadlineExceeded):
        await deploying

    assert len(seen) < 2000
    assert list(spool.glob("*.zip")) == []
    assert emulator.ledger.count("uploadArchive") == 1


async def test_the_deadline_includes_the_build(start, folder):
    async with start(build_seconds=60) as (emulator, client):
        creating = asyncio.create_task(client.create_site("night-sky", folder, timeout=20))
        # The client reads the deployment after it has found the deployment in the list.
        await until(lambda: emulator.ledger.count("getDeployment"))
        let_pass(20)
        with pytest.raises(WaitTimeout) as failure:
            await creating

    assert failure.value.last is not None
    assert failure.value.last.status.is_in_flight


async def test_a_deployment_that_is_replaced_before_the_last_poll_is_returned(start, folder):
    async with start(build_seconds=60) as (emulator, client):
        site = await client.create_site("night-sky", folder, wait=False)
        emulator.advance(60)
        emulator.ledger.clear()
        deploying = asyncio.create_task(client.deploy(site.project.uid, site.environment.uid, folder))
        await until(lambda: emulator.ledger.created)
        emulator.advance(60)
        emulator.add_deployment(site.environment.uid, seconds=0)
        let_pass(20)
        deployment = await deploying

    assert deployment.deployment_number == 2
    assert (deployment.status, deployment.status.is_success) == ("ARCHIVED", True)


async def test_a_cancelled_call_deletes_its_temporary_file(launch, folder, spool):
    emulator, client = launch
    emulator.faults.add("delay", operation="uploadArchive", delay=30)

    creating = asyncio.create_task(client.create_site("night-sky", folder))
    await until(lambda: emulator.ledger.count("uploadArchive"))
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating

    assert emulator.ledger.count("uploadArchive") == 1
    assert list(spool.glob("*.zip")) == []


async def test_a_site_can_be_pickled(launch, folder):
    _, client = launch
    site = await client.create_site("night-sky", folder)

    assert pickle.loads(pickle.dumps(site)) == site


async def test_a_relative_folder_is_found_in_the_working_directory(launch, folder, monkeypatch, fetch):
    _, client = launch
    monkeypatch.chdir(folder.parent)

    site = await client.create_site("night-sky", Path(folder.name))

    assert await fetch(site.url) == PAGE
