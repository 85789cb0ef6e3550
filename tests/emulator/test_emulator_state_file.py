"""The emulator is judged: with a state file, the next one goes on where the last one stopped."""

import os
import pickle

import pytest

from launch_async.emulator import LaunchEmulator


async def test_everything_is_there_again(start, archive, tmp_path):
    file = tmp_path / "launch.state"
    async with start(state=file) as api:
        environment = await api.site(archive, environmentVariables=[{"key": "A", "value": "1"}])
        hook = api.emulator.deploy_hook_url(environment.rsplit("/", 1)[1]).removeprefix(api.emulator.url)
        api.emulator.advance(60)
        token, before = api.emulator.issue_token(), (await api.get(environment)).json["environment"]

    async with start(state=str(file), seed=1) as api:
        after = (await api.bearer(token).get(environment)).json["environment"]
        page = await api.page(environment)
        again = await api.post(f"{environment}/deployments")
        hooked = await api.with_headers({}).call("POST", hook)

    assert {**after, "domains": []} == {**before, "domains": []}
    assert "Hello from the archive" in page.text
    assert (again.json["deployment"]["deploymentNumber"], hooked.status) == (2, 200)


async def test_builds_under_way_go_on(start, archive, tmp_path):
    file = tmp_path / "launch.state"
    async with start(state=file, queue_seconds=10.0) as api:
        waiting = await api.site(archive, name="waiting")
        api.emulator.script(queue_seconds=0)
        running = await api.site(archive, name="running")
        statuses = [(await api.newest(path))["status"] for path in (waiting, running)]

    async with start(state=file, queue_seconds=10.0) as api:
        api.emulator.advance(70)
        ends = [(await api.newest(path))["status"] for path in (waiting, running)]

    assert statuses == ["QUEUED", "DEPLOYING"]
    assert ends == ["LIVE", "LIVE"]


async def test_what_was_acknowledged_is_in_the_file_at_once(start, archive, tmp_path):
    file, copy = tmp_path / "launch.state", tmp_path / "copy.state"
    async with start(state=file) as api:
        environment = await api.site(archive)
        copy.write_bytes(file.read_bytes())

    async with start(state=copy) as api:
        assert (await api.get(environment)).status == 200


@pytest.mark.parametrize(
    "content", [b"", b"{}", pickle.dumps({"version": 1}), pickle.dumps(print), b"cos\nmkdir\n(S'made-by-the-file'\ntR."]
)
def test_a_file_that_is_no_state_is_refused_and_runs_nothing(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "launch.state"
    file.write_bytes(content)

    with pytest.raises(ValueError, match="is not a state file"):
        LaunchEmulator(state=file)

    assert [found.name for found in tmp_path.iterdir()] == ["launch.state"]


@pytest.mark.skipif(os.name != "posix", reason="files have other permissions here")
async def test_nobody_else_can_read_the_file(start, tmp_path):
    file = tmp_path / "launch.state"
    async with start(state=file) as api:
        api.emulator.add_project("p", variables=[("KEY", "value")])

    assert file.stat().st_mode & 0o077 == 0
