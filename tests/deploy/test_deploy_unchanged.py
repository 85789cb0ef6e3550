"""`skip_unchanged`: deploy() skips a deployment that would change nothing, and only then."""

from __future__ import annotations

import json
import logging

import pytest

from launch_async import ArchiveError, Deployment, Environment, InvalidArgumentError, LatestCommit, PreviousUpload
from launch_async.deploy.unchanged import is_unchanged
from launch_async.wire.documents import structure


@pytest.fixture
def memory(tmp_path):
    """The file in which the SDK records deployments."""
    return tmp_path / "deployed.json"


def uids_of(emulator) -> tuple[str, str]:
    project = emulator.add_project("night-sky")
    return project.uid, next(iter(project.environments))


def sent(emulator) -> int:
    return emulator.ledger.count("createDeployment")


async def test_unchanged_files_are_deployed_once(launch, folder, memory, caplog):
    emulator, client = launch
    uids = uids_of(emulator)
    caplog.set_level(logging.INFO, "launch_async.deploy")

    first = await client.deploy(*uids, folder, skip_unchanged=memory)
    lines = []
    again = await client.deploy(*uids, folder, skip_unchanged=memory, on_log=lines.append)

    assert (again.uid, again.status) == (first.uid, "LIVE")
    assert sent(emulator) == 1
    assert not lines
    used = [record.deployment_uid for record in caplog.records if record.name == "launch_async.deploy.deploying"]
    assert used == [first.uid]


async def test_replaced_files_are_deployed_again_but_not_after_a_rollback_to_them(launch, folder, memory):
    emulator, client = launch
    uids = uids_of(emulator)
    first = await client.deploy(*uids, folder, skip_unchanged=memory)
    emulator.add_deployment(uids[1], seconds=0)

    emulator.roll_back(first.uid)
    rolled_back = await client.deploy(*uids, folder, skip_unchanged=memory)
    emulator.add_deployment(uids[1], seconds=0)
    replaced = await client.deploy(*uids, folder, skip_unchanged=memory)

    assert (rolled_back.uid, rolled_back.status) == (first.uid, "LIVE")
    assert replaced.uid != first.uid
    assert sent(emulator) == 2


async def test_a_new_file_causes_a_deployment(launch, folder, memory):
    emulator, client = launch
    uids = uids_of(emulator)
    first = await client.deploy(*uids, folder, skip_unchanged=memory)

    (folder / "more.html").write_text("more", "utf-8")
    second = await client.deploy(*uids, folder, skip_unchanged=memory)

    assert second.deployment_number == (first.deployment_number or 0) + 1
    assert sent(emulator) == 2


async def test_changed_variables_cause_a_deployment(launch, folder, memory):
    emulator, client = launch
    uids = uids_of(emulator)
    await client.deploy(*uids, folder, skip_unchanged=memory)

    await client.variables.apply(await client.variables.diff(*uids, {"THEME": "dark"}))
    await client.deploy(*uids, folder, skip_unchanged=memory)
    await client.deploy(*uids, folder, skip_unchanged=memory)

    assert sent(emulator) == 2


async def test_a_later_deployment_of_other_files_causes_a_deployment(launch, folder, memory):
    emulator, client = launch
    uids = uids_of(emulator)
    await client.deploy(*uids, folder, skip_unchanged=memory)

    await client.deploy(*uids, PreviousUpload())
    await client.deploy(*uids, folder, skip_unchanged=memory)

    assert sent(emulator) == 3


async def test_an_unknown_deployment_in_the_file_causes_a_deployment(launch, folder, memory):
    emulator, client = launch
    uids = uids_of(emulator)
    await client.deploy(*uids, folder, skip_unchanged=memory)
    document = json.loads(memory.read_text("utf-8"))
    document["environments"][uids[1]]["deployment_uid"] = "f" * 24
    memory.write_text(json.dumps(document), "utf-8")

    await client.deploy(*uids, folder, skip_unchanged=memory)

    assert sent(emulator) == 2


async def test_a_running_deployment_is_waited_for_and_not_repeated(start, folder, memory):
    async with start(build_seconds=0.3) as (emulator, client):
        uids = uids_of(emulator)

        begun = await client.deploy(*uids, folder, skip_unchanged=memory, wait=False)
        ended = await client.deploy(*uids, folder, skip_unchanged=memory)

        assert begun.status.is_in_flight
        assert (ended.uid, ended.status) == (begun.uid, "LIVE")
        assert sent(emulator) == 1


async def test_one_file_records_several_environments(launch, folder, memory):
    emulator, client = launch
    sites = [await client.create_site(name, folder) for name in ("night-sky", "day-sky")]

    for _ in range(2):
        for site in sites:
            await client.deploy(site.project.uid, site.environment.uid, folder, skip_unchanged=memory)

    assert sent(emulator) == 2
    assert not [*memory.parent.glob("deployed.json.*")]


async def test_a_file_inside_the_deployed_folder_is_refused_unless_ignored(launch, folder):
    emulator, client = launch
    uids, memory = uids_of(emulator), folder / "deployed.json"
    await client.deploy(*uids, folder, skip_unchanged=memory)

    with pytest.raises(InvalidArgumentError, match=r"Add the file to \.launchignore"):
        await client.deploy(*uids, folder, skip_unchanged=memory)

    (folder / ".launchignore").write_text("deployed.json\n", "utf-8")
    changed = await client.deploy(*uids, folder, skip_unchanged=memory)
    assert (await client.deploy(*uids, folder, skip_unchanged=memory)).uid == changed.uid


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v": 2, "environments": {}}', '{"v": 1, "environments": {"a": 1}}'])
async def test_a_file_of_another_program_is_refused_and_not_overwritten(launch, folder, memory, text):
    emulator, client = launch
    memory.write_text(text, "utf-8")

    with pytest.raises(InvalidArgumentError, match=r"deploy\(\) did not write this file"):
        await client.deploy("a" * 24, "b" * 24, folder, skip_unchanged=memory)

    assert memory.read_text("utf-8") == text
    assert emulator.ledger.count() == 0


async def test_a_file_that_cannot_be_read_is_an_error(launch, folder, tmp_path):
    _, client = launch

    with pytest.raises(InvalidArgumentError, match="reading the file failed"):
        await client.deploy("a" * 24, "b" * 24, folder, skip_unchanged=tmp_path)


async def test_a_file_that_cannot_be_written_is_an_error(launch, folder, tmp_path):
    emulator, client = launch

    with pytest.raises(InvalidArgumentError, match="writing the file failed"):
        await client.deploy(*uids_of(emulator), folder, skip_unchanged=tmp_path / "nowhere" / "deployed.json")


@pytest.mark.parametrize("source", [LatestCommit(), PreviousUpload()])
async def test_skip_unchanged_needs_files_as_the_source(launch, memory, source):
    emulator, client = launch

    with pytest.raises(InvalidArgumentError, match="compares files"):
        await client.deploy("a" * 24, "b" * 24, source, skip_unchanged=memory)

    assert emulator.ledger.count() == 0


async def test_skip_unchanged_refuses_secrets(launch, folder, memory):
    _, client = launch
    (folder / ".env").write_text("A=1", "utf-8")

    with pytest.raises(ArchiveError, match="contains secrets"):
        await client.deploy("a" * 24, "b" * 24, folder, skip_unchanged=memory)


@pytest.mark.parametrize(
    ("status", "created", "changed", "expected"),
    [
        ("LIVE", 20, 10, True),
        ("QUEUED", 20, 10, True),
        ("DEPLOYING", 20, 10, True),
        ("DEPLOYED", 20, 10, False),
        ("ARCHIVED", 20, 10, False),
        ("FAILED", 20, 10, False),
        ("SKIPPED", 20, 10, False),
        ("LIVE", 20, 30, False),
        ("LIVE", None, 10, False),
        ("LIVE", 20, None, False),
    ],
)
def test_only_a_live_or_running_deployment_newer_than_the_settings_is_unchanged(status, created, changed, expected):
    def moment(second: int | None) -> str | None:
        return None if second is None else f"2026-05-04T09:00:{second}.000Z"

    deployment = structure({"uid": "a" * 24, "status": status, "createdAt": moment(created)}, Deployment)
    environment = structure({"uid": "b" * 24, "name": "production", "updatedAt": moment(changed)}, Environment)

    assert is_unchanged(deployment, environment) is expected
