"""With a state file, the next emulator continues where the last one stopped."""

import json
import os
import pickle

import pytest

from launch_async.emulator import LaunchEmulator


async def test_the_next_emulator_has_the_same_state(start, archive, tmp_path):
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


async def test_running_builds_continue(start, archive, tmp_path):
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


async def test_the_rollback_eligible_deployments_are_restored(start, tmp_path):
    file = tmp_path / "launch.state"
    async with start(state=file) as api:
        project = api.emulator.add_project("rolled", deployments=5)
        (environment,) = project.environments.values()
        oldest, second, *_ = environment.deployments

    async with start(state=file) as api:
        with pytest.raises(ValueError, match="not eligible"):
            api.emulator.roll_back(oldest)
        api.emulator.roll_back(second)
        path = f"/projects/{project.uid}/environments/{environment.uid}/deployments"
        shown = (await api.get(path)).json["deployments"]

    assert [one["status"] for one in reversed(shown)] == ["ARCHIVED", "LIVE", "ARCHIVED", "ARCHIVED", "ARCHIVED"]


async def test_the_file_contains_each_change_before_its_answer(start, archive, tmp_path):
    file, copy = tmp_path / "launch.state", tmp_path / "copy.state"
    async with start(state=file) as api:
        environment = await api.site(archive)
        copy.write_bytes(file.read_bytes())

    async with start(state=copy) as api:
        assert (await api.get(environment)).status == 200


async def test_a_request_appends_only_its_changes(start, archive, tmp_path):
    file = tmp_path / "launch.state"
    async with start(state=file) as api:
        environment = await api.site(archive)
        for number in range(300):
            api.emulator.add_project(f"p{number}")
        await api.put(environment, {"description": "before"})
        whole = file.read_bytes()
        await api.put(environment, {"description": "after"})
        appended = file.read_bytes().removeprefix(whole)

    assert len(whole) > 100_000
    ((kind, uid, fields),) = json.loads(appended)
    assert (kind, uid) == ("environment", environment.rpartition("/")[2])
    assert fields["settings"]["description"] == "after"


async def test_an_incomplete_last_line_is_ignored(start, archive, tmp_path):
    file = tmp_path / "launch.state"
    async with start(state=file) as api:
        environment = await api.site(archive)
        await api.put(environment, {"description": "before"})
        whole = file.read_bytes()
        await api.put(environment, {"description": "after"})
        cut = file.read_bytes()[:-10]
    file.write_bytes(cut)

    async with start(state=file) as api:
        shown = (await api.get(environment)).json["environment"]
        await api.put(environment, {"description": "again"})
    async with start(state=file) as api:
        again = (await api.get(environment)).json["environment"]

    assert len(whole) < len(cut)
    assert (shown["description"], again["description"]) == ("before", "again")


async def test_deleted_objects_stay_deleted(start, archive, tmp_path):
    file = tmp_path / "launch.state"
    async with start(state=file) as api:
        kept, gone = await api.site(archive, name="kept"), await api.site(archive, name="gone")
        api.emulator.add_domain(gone.rpartition("/")[2], "www.example.com")
        ended, token = api.emulator.issue_token(), api.emulator.issue_token()
        await api.put(kept, {"description": "all is in the file"})
        await api.delete(gone.partition("/environments")[0])
        api.emulator.revoke_token(ended)

    async with start(state=file) as api:
        statuses = [(await api.bearer(token).get(path)).status for path in (kept, gone)]
        refused = (await api.bearer(ended).get(kept)).status

    assert (statuses, refused) == ([200, 404], 401)


async def test_sessions_apps_codes_and_server_logs_are_restored(start, tmp_path):
    file = tmp_path / "launch.state"
    async with start(state=file) as api:
        emulator = api.emulator
        project = emulator.add_project("p", framework_preset="NUXT", deployments=1)
        (environment,) = project.environments.values()
        (uid,) = environment.deployments
        emulator.add_server_log(uid, "GET /", at=1.5)
        client_id, client_secret = emulator.add_app()
        code = emulator.authorize(client_id, "http://localhost:1")
        first = (emulator.authtoken, emulator.access_token, emulator.client_id, emulator.password)

    async with start(state=file) as api:
        path = f"/projects/{project.uid}/environments/{environment.uid}/deployments/{uid}/logs/server-logs"
        logs = (await api.get(f"{path}?startTime=1000&endTime=2000")).json["logs"]
        form = {
            "grant_type": "authorization_code", "client_id": client_id, "client_secret": client_secret, "code": code,
            "redirect_uri": "http://localhost:1",
        }  # fmt: skip
        issued = await api.with_headers({}).call("POST", "/token", data=form)
        emulator = api.emulator
        again = (emulator.authtoken, emulator.access_token, emulator.client_id, emulator.password)

    assert [line["message"] for line in logs] == ["GET /"]
    assert issued.status == 200
    assert again == first


async def test_a_path_out_of_the_folder_is_refused(start, archive, tmp_path):
    file = tmp_path / "launch.state"
    async with start(state=file) as api:
        await api.site(archive)
    file.write_text(file.read_text().replace('"archive":"', '"archive":"../'))

    with pytest.raises(ValueError, match="is not a state file"):
        LaunchEmulator(state=file)


@pytest.mark.parametrize(
    "content", [b"", b"{}", pickle.dumps({"version": 1}), pickle.dumps(print), b"cos\nmkdir\n(S'made-by-the-file'\ntR."]
)
def test_a_file_that_is_not_a_state_file_is_refused_and_not_executed(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "launch.state"
    file.write_bytes(content)

    with pytest.raises(ValueError, match="is not a state file"):
        LaunchEmulator(state=file)

    assert [found.name for found in tmp_path.iterdir()] == ["launch.state"]


@pytest.mark.skipif(os.name != "posix", reason="files have no POSIX permissions")
async def test_only_the_owner_can_read_the_state_file(start, tmp_path):
    file = tmp_path / "launch.state"
    async with start(state=file) as api:
        api.emulator.add_project("p", variables=[("KEY", "value")])

    assert file.stat().st_mode & 0o077 == 0
