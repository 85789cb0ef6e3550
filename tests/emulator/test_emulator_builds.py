"""Deployments in the emulator have the documented states and logs."""

from email.utils import parsedate_to_datetime

import pytest

from launch_async.emulator import LogLine
from launch_async.emulator.clock import parse_iso


@pytest.fixture
async def environment(api, archive):
    """The path of an environment whose first deployment has just been created."""
    return await api.site(archive)


async def statuses(api, environment):
    """Return the status of each deployment, oldest first."""
    shown = (await api.get(f"{environment}/deployments?limit=0")).json["deployments"]
    return [deployment["status"] for deployment in reversed(shown)]


async def log(api, environment, **query):
    newest = await api.newest(environment)
    reply = await api.get(f"{environment}/deployments/{newest['uid']}/logs/deployment-logs", params=query)
    return reply.json["deploymentLogs"]


async def test_a_deployment_is_queued_then_deploying_then_live(start, archive):
    async with start(queue_seconds=5.0, build_seconds=60.0) as api:
        environment = await api.site(archive)
        seen = [*await statuses(api, environment)]
        for seconds in (5, 59, 1):
            api.emulator.advance(seconds)
            seen += await statuses(api, environment)

    assert seen == ["QUEUED", "DEPLOYING", "DEPLOYING", "LIVE"]


async def test_the_previous_live_deployment_is_archived(api, environment):
    api.emulator.advance(60)
    await api.post(f"{environment}/deployments")
    while_building = await statuses(api, environment)
    api.emulator.advance(60)

    assert while_building == ["LIVE", "DEPLOYING"]
    assert await statuses(api, environment) == ["ARCHIVED", "LIVE"]


async def test_only_the_newest_deployment_waits_for_a_running_build(api, environment):
    second = await api.post(f"{environment}/deployments")
    await api.post(f"{environment}/deployments")
    together = await statuses(api, environment)
    api.emulator.advance(60)
    next_one = await statuses(api, environment)
    api.emulator.advance(60)

    assert second.json["deployment"]["status"] == "QUEUED"
    assert together == ["DEPLOYING", "SKIPPED", "QUEUED"]
    assert next_one == ["LIVE", "SKIPPED", "DEPLOYING"]
    assert await statuses(api, environment) == ["ARCHIVED", "SKIPPED", "LIVE"]


async def test_one_advance_finishes_several_builds_in_order(api, environment):
    await api.post(f"{environment}/deployments")

    api.emulator.advance(3600)

    assert await statuses(api, environment) == ["ARCHIVED", "LIVE"]


async def test_a_failed_deployment_is_neither_archived_nor_eligible_for_a_rollback(api, environment):
    api.emulator.script("FAILED", seconds=1)
    await api.post(f"{environment}/deployments")
    api.emulator.advance(120)
    await api.post(f"{environment}/deployments")
    api.emulator.advance(120)
    shown = (await api.get(f"{environment}/deployments")).json["deployments"]

    assert [(one["status"], one["isRollbackEligible"]) for one in reversed(shown)] == [
        ("ARCHIVED", True),
        ("FAILED", False),
        ("LIVE", False),
    ]


async def test_a_rollback_makes_an_archived_deployment_live_again_without_a_build(api):
    other = api.emulator.add_project("rolled", deployments=5)
    ((uid, environment),) = other.environments.items()
    path, uids = f"/projects/{other.uid}/environments/{uid}", list(environment.deployments)
    built = [(one.updated_at, one.created_at) for one in environment.deployments.values()]
    before = api.emulator.ledger.count()
    api.emulator.advance(7)

    api.emulator.roll_back(uids[1])

    changed = [one.updated_at for one in environment.deployments.values()]
    shown = (await api.get(f"{path}/deployments")).json["deployments"][::-1]
    assert [one["status"] for one in shown] == ["ARCHIVED", "LIVE", "ARCHIVED", "ARCHIVED", "ARCHIVED"]
    assert [one["isRollbackEligible"] for one in shown] == [False, False, True, True, True]
    assert [now > then for now, (then, _) in zip(changed, built, strict=True)] == [False, True, False, False, True]
    assert all(ended > began for ended, began in built)
    assert api.emulator.ledger.count() == before + 1

    await api.post(f"{path}/deployments")
    api.emulator.advance(60)
    assert (await statuses(api, path)) == [*["ARCHIVED"] * 5, "LIVE"]


async def test_after_a_rollback_the_site_shows_the_older_version(api, environment, zip_of):
    api.emulator.advance(60)
    first = await api.newest(environment)
    changed = await api.upload(zip_of({"index.html": "<h1>Newer</h1>"}))
    await api.post(f"{environment}/deployments", {"uploadUid": changed})
    api.emulator.advance(60)
    newer = (await api.page(environment)).text

    api.emulator.roll_back(first["uid"])

    assert "Newer" in newer
    assert "Hello from the archive" in (await api.page(environment)).text


async def test_a_rollback_to_a_deployment_that_is_not_eligible_is_refused(api):
    project = api.emulator.add_project("rolled", deployments=5)
    (environment,) = project.environments.values()
    oldest, *_, live = environment.deployments

    for uid, problem in ((oldest, ValueError), (live, ValueError), ("f" * 24, KeyError)):
        with pytest.raises(problem):
            api.emulator.roll_back(uid)

    assert environment.live is environment.deployments[live]


async def test_environments_build_side_by_side(api, archive):
    first, second = await api.site(archive, name="a"), await api.site(archive, name="b")

    api.emulator.advance(60)

    assert [await statuses(api, path) for path in (first, second)] == [["LIVE"], ["LIVE"]]


@pytest.mark.parametrize("outcome", ["FAILED", "CANCELLED", "ARCHIVED", "SOMETHING_NEW"])
async def test_a_scripted_outcome_does_not_change_the_live_deployment(api, environment, outcome):
    api.emulator.advance(60)
    api.emulator.script(outcome, seconds=1, lines=["so it ends"])

    await api.post(f"{environment}/deployments")
    api.emulator.advance(1)

    assert await statuses(api, environment) == ["LIVE", outcome]
    assert [line["message"] for line in await log(api, environment)] == ["so it ends"]


async def test_a_script_applies_only_to_its_environment_or_project(api, environment, archive):
    api.emulator.advance(60)
    other = await api.site(archive, name="other")
    api.emulator.script("FAILED", seconds=1, times=2, environment_uid=environment.rsplit("/", 1)[1])
    api.emulator.script("CANCELLED", seconds=1, times=None, project_uid=other.split("/")[2])
    api.emulator.advance(60)

    for _ in range(3):
        for path in (environment, other):
            await api.post(f"{path}/deployments")
        api.emulator.advance(60)

    assert await statuses(api, environment) == ["ARCHIVED", "FAILED", "FAILED", "LIVE"]
    assert await statuses(api, other) == ["LIVE", "CANCELLED", "CANCELLED", "CANCELLED"]


async def test_scripts_can_be_cleared(api, environment):
    api.emulator.script("FAILED")
    api.emulator.scripts.clear()
    await api.post(f"{environment}/deployments")

    api.emulator.advance(200)

    assert await statuses(api, environment) == ["ARCHIVED", "LIVE"]


async def test_an_unknown_running_status_can_be_scripted(api, environment):
    api.emulator.advance(60)
    api.emulator.script(running_status="PRIMING", queue_seconds=1, seconds=1)
    await api.post(f"{environment}/deployments")

    api.emulator.advance(1)

    assert await statuses(api, environment) == ["LIVE", "PRIMING"]


async def test_a_deleted_environment_stays_deleted_after_its_build_time(api, environment):
    project = environment.split("/environments")[0]
    await api.delete(environment)

    api.emulator.advance(60)

    assert (await api.get(f"{project}/environments")).json["pagination"]["count"] == 0


async def test_the_log_grows_during_the_build_in_order_of_time(api, environment):
    api.emulator.advance(10)
    early = await log(api, environment)
    api.emulator.advance(50)
    late = await log(api, environment)

    stamps = [line["timestamp"] for line in late]
    assert 0 < len(early) < len(late)
    assert late[: len(early)] == early
    assert stamps == sorted(stamps)
    assert len(set(stamps)) < len(stamps)
    assert {line["stage"] for line in late} == {"INSTALLING_DEPENDENCIES", "BUILD"}


async def test_a_deployment_that_has_not_started_has_no_log(api, environment):
    await api.post(f"{environment}/deployments")

    assert await log(api, environment) == []


@pytest.mark.parametrize(("bound", "expected"), [("exclusive", ["c"]), ("inclusive", ["a", "b", "c"])])
async def test_the_timestamp_parameter_of_the_log_follows_log_bound(start, archive, bound, expected):
    async with start(log_bound=bound) as api:
        api.emulator.script(seconds=2, lines=[LogLine("a", at=1.0), LogLine("b", at=1.0), LogLine("c", at=1.5)])
        environment = await api.site(archive)
        api.emulator.advance(2)
        lines = await log(api, environment)
        after = await log(api, environment, timestamp=lines[0]["timestamp"])
        without_zone = await log(api, environment, timestamp=lines[0]["timestamp"].rstrip("Z"))

    assert [line["message"] for line in lines] == ["a", "b", "c"]
    assert [line["message"] for line in after] == expected
    assert without_zone == after


async def test_a_late_line_is_inserted_by_its_time(api, environment):
    api.emulator.advance(60)
    api.emulator.script(seconds=2, lines=[LogLine("late", at=0.5, late=5.0), LogLine("on time", at=1.0)])
    await api.post(f"{environment}/deployments")
    api.emulator.advance(2)
    at_the_end = [line["message"] for line in await log(api, environment)]
    api.emulator.advance(5)

    assert at_the_end == ["on time"]
    assert [line["message"] for line in await log(api, environment)] == ["late", "on time"]


async def test_an_unreadable_timestamp_can_be_scripted(api, environment):
    api.checks_answers = False
    api.emulator.advance(60)
    api.emulator.script(seconds=1, lines=[LogLine("odd", timestamp="yesterday")])
    await api.post(f"{environment}/deployments")

    api.emulator.advance(1)

    assert await log(api, environment) == [{"message": "odd", "stage": "BUILD", "timestamp": "yesterday"}]


@pytest.mark.parametrize("timestamp", ["yesterday", "", "99999-01-01T00:00:00Z"])
async def test_a_malformed_timestamp_parameter_is_refused(api, environment, timestamp):
    newest = await api.newest(environment)

    reply = await api.get(
        f"{environment}/deployments/{newest['uid']}/logs/deployment-logs", params={"timestamp": timestamp}
    )

    assert (reply.status, list(reply.json["errors"][0])) == (400, ["timestamp"])


async def test_only_server_rendered_sites_have_server_logs(api, archive):
    static, rendered = (
        await api.site(archive),
        await api.site(archive, name="ssr", frameworkPreset="NEXTJS", outputDirectory="./"),
    )
    api.emulator.advance(60)
    await api.page(static)
    await api.page(rendered, "/index.html")
    now = int(api.emulator.clock.now() * 1000)
    an_hour = 3_600_000

    logs = []
    for path in (static, rendered):
        uid = (await api.newest(path))["uid"]
        window = {"startTime": str(now - an_hour), "endTime": str(now + an_hour)}
        logs.append((await api.get(f"{path}/deployments/{uid}/logs/server-logs", params=window)).json["logs"])

    assert logs[0] == []
    assert [line["message"] for line in logs[1]] == ["GET /index.html 200"]
    assert abs(parse_iso(logs[1][0]["timestamp"]) - now) < an_hour


@pytest.mark.parametrize("key", ["serverLogs", "bare"])
async def test_server_logs_are_limited_to_their_window_under_any_key(start, key):
    async with start(server_logs_key=key) as api:
        api.checks_answers = key != "bare"
        project = api.emulator.add_project("p", framework_preset="NUXT", deployments=1)
        environment = next(iter(project.environments.values()))
        uid = next(iter(environment.deployments))
        for second in (1, 2, 3):
            api.emulator.add_server_log(uid, f"line {second}", at=float(second))
        path = f"/projects/{project.uid}/environments/{environment.uid}/deployments/{uid}/logs/server-logs"
        shown = (await api.get(path, params={"startTime": "1500", "endTime": "2500"})).json

    lines = shown if key == "bare" else shown[key]
    assert lines == [{"source": "server", "message": "line 2", "timestamp": "1970-01-01T00:00:02.000Z"}]


async def test_server_logs_need_both_ends_of_the_window(api):
    project = api.emulator.add_project("p", framework_preset="NUXT", deployments=1)
    environment = next(iter(project.environments.values()))
    path = f"/projects/{project.uid}/environments/{environment.uid}/deployments/{next(iter(environment.deployments))}"

    replies = [
        await api.get(f"{path}/logs/server-logs{query}") for query in ("", "?startTime=1", "?startTime=1&endTime=x")
    ]

    assert [reply.status for reply in replies] == [400, 400, 400]


async def test_server_logs_of_a_static_site_can_fail_with_a_500(start):
    async with start(static_server_logs_fail=True) as api:
        project = api.emulator.add_project("p", deployments=1)
        environment = next(iter(project.environments.values()))
        path = (
            f"/projects/{project.uid}/environments/{environment.uid}/deployments/{next(iter(environment.deployments))}"
        )
        reply = await api.get(f"{path}/logs/server-logs")

    assert reply.status == 500


def test_time_only_moves_forward(api):
    with pytest.raises(ValueError, match="forward"):
        api.emulator.advance(-1)


async def test_the_date_header_has_the_time_of_the_emulator(api, environment):
    api.emulator.advance(86_400)

    dates = [reply.headers["Date"] for reply in (await api.get(environment), await api.page(environment))]

    told = [parsedate_to_datetime(date).timestamp() for date in dates]
    assert told == pytest.approx([api.emulator.clock.now()] * 2, abs=60)


@pytest.mark.parametrize(
    ("preset", "command", "lines"),
    [("NUXT", None, 1), ("OTHER", "npm start", 1), ("OTHER", None, 0), ("GATSBY", None, 0), ("GATSBY", "npm start", 0)],
)
async def test_only_presets_and_commands_with_a_server_have_server_logs(api, archive, preset, command, lines):
    settings = {"frameworkPreset": preset, "outputDirectory": "./", **({"serverCommand": command} if command else {})}
    environment = await api.site(archive, **settings)
    api.emulator.advance(60)
    await api.page(environment)
    uid, end = (await api.newest(environment))["uid"], int(api.emulator.clock.now() * 1000)

    logs = await api.get(f"{environment}/deployments/{uid}/logs/server-logs?startTime=0&endTime={end}")

    assert len(logs.json["logs"]) == lines
