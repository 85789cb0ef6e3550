"""For undocumented behaviour, the emulator's default is the safe one, and an option chooses the alternative.

The numbers are the rows of FACTS §11. Rows that are not here: 3, 4, 6 and 25 are in test_emulator_builds.py and
test_emulator_operations.py, 7 in test_emulator_storage.py, most of 8 in test_emulator_faults.py, 30 in
test_emulator_refusals.py, 28 in test_emulator_other_programs.py.
"""

import asyncio

import aiohttp
import pytest
from emulator.conftest import make_zip

from launch_async.emulator import LaunchEmulator, LogLine
from tests.support.git_project import GIT_PROJECT

NEXT = {"name": "next", "frameworkPreset": "OTHER"}
WHOLE_HASH = "0123456789abcdef0123456789abcdef01234567"


def choices(*pairs):
    """Parametrize a test over the default (no option) and the alternatives, each with the expected result."""
    return pytest.mark.parametrize(("options", "expected"), pairs)


def place(api, name="there", **project):
    """Return the path of a new environment."""
    made = api.emulator.add_project(name, **project)
    return f"/projects/{made.uid}/environments/{next(iter(made.environments))}"


async def statuses(api, environment):
    """Return the status of each deployment, oldest first."""
    shown = (await api.get(f"{environment}/deployments?limit=0")).json["deployments"]
    return [one["status"] for one in sorted(shown, key=lambda one: one["deploymentNumber"])]


@choices(({}, (201, 201)), ({"create_status": 200}, (200, 200)), ({"create_status": 202}, (202, 202)))
async def test_1_the_status_of_creations(start, options, expected):
    async with start(**options) as api:
        api.checks_answers = not options
        environment = place(api, git=True)
        made = await api.post(f"{environment.rpartition('/')[0]}", NEXT)
        deployed = await api.post(f"{environment}/deployments")

    assert (made.status, deployed.status) == expected
    assert deployed.json["deployment"]["uid"]


@choices(
    ({}, (200, "{}")),
    ({"revalidate_body": False}, (200, "")),
    ({"revalidate_status": 201}, (201, "{}")),
    ({"revalidate_status": 204}, (204, "")),
)
async def test_1_and_2_the_answer_to_a_revalidation(start, options, expected):
    async with start(**options) as api:
        api.checks_answers = "revalidate_body" not in options
        reply = await api.post(f"{place(api)}/revalidate-cdn-cache", {"cacheTags": ["a"]})

    assert (reply.status, reply.text) == expected


@choices(
    ({}, (400, 400, [])),
    ({"server_logs_window_status": 500}, (500, 500, [])),
    ({"static_server_logs_fail": True}, (400, 500, None)),
)
async def test_5_server_logs_without_a_window_and_server_logs_of_static_sites(start, options, expected):
    async with start(**options) as api:
        rendered = place(api, framework_preset="NUXT", deployments=1)
        static = place(api, name="static", deployments=1)
        paths = [
            f"{path}/deployments/{(await api.newest(path))['uid']}/logs/server-logs" for path in (rendered, static)
        ]
        without = [await api.get(path) for path in paths]
        of_static = await api.get(f"{paths[1]}?startTime=0&endTime=1")

    assert (*(reply.status for reply in without), of_static.json.get("logs")) == expected


@choices(({}, [204, 429]), ({"count_deletes": False}, [204, 200]))
async def test_8_whether_deletions_count(start, options, expected):
    async with start(rate_limit=1, **options) as api:
        environment = place(api)

        assert [(await api.delete(environment)).status, (await api.get("/projects")).status] == expected


@choices(
    ({}, ("application/json", "launch.TOO_MANY_REQUESTS")),
    ({"refusal_body": "html"}, ("text/html", "429 Too Many Requests")),
    ({"refusal_body": "empty"}, ("text/html", "")),
)
async def test_8_the_body_of_a_429(start, options, expected):
    async with start(rate_limit=1, **options) as api:
        api.checks_answers = not options
        await api.get("/projects")
        refused = await api.get("/projects")

    media_type, text = expected
    assert (refused.status, refused.headers["Content-Type"].partition(";")[0]) == (429, media_type)
    assert text in refused.text


@choices(
    ({}, [200, 200, 200]),
    ({"oauth_path": "/apps-api/apps/token"}, [200, 404, 404]),
    ({"oauth_path": "/apps-api/token"}, [404, 200, 404]),
    ({"oauth_path": "/token"}, [404, 404, 200]),
)
async def test_9_the_path_of_the_token_endpoint(start, options, expected):
    async with start(**options) as api:
        api.checks_answers = not options
        replies = [
            await api.with_headers({}).call("POST", path, data=machine(api))
            for path in ("/apps-api/apps/token", "/apps-api/token", "/token")
        ]

    assert [reply.status for reply in replies] == expected


def machine(api, **more):
    emulator = api.emulator
    named = {"client_id": emulator.client_id, "client_secret": emulator.client_secret}
    return {"grant_type": "client_credentials", **named, **more}


async def machine_token(api, **more):
    return (await api.with_headers({}).call("POST", "/apps-api/apps/token", data=machine(api, **more))).json


@choices(({}, [403, 403]), ({"scope_parameter": "scopes"}, [403, 200]), ({"scope_parameter": "scope"}, [200, 403]))
async def test_10_the_parameter_for_scopes(start, options, expected):
    async with start(**options) as api:
        tokens = [await machine_token(api, **{name: "launch.projects:write"}) for name in ("scopes", "scope")]

        assert [(await api.bearer(one["access_token"]).get("/projects")).status for one in tokens] == expected


async def test_11_refresh_tokens_for_machines(start):
    async with start() as api:
        without = await machine_token(api)
    async with start(machine_refresh_token=True) as api:
        first = await machine_token(api)
        refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = await machine_token(api, **refresh)
        works = await api.bearer(second["access_token"]).get("/projects")

    assert "refresh_token" not in without
    assert (second["authorization_type"], works.status) == ("app", 200)


@choices(({}, [200, 200, 200]), ({"check_bearer_organization": True}, [200, 200, 403]))
async def test_12_the_organization_header_in_addition_to_a_bearer_token(start, options, expected):
    async with start(**options) as api:
        own = api.bearer(api.emulator.access_token)
        other = api.emulator.add_organization()
        headers = [
            {},
            {"organization_uid": api.emulator.organization_uid},
            {"organization_uid": other.organization_uid},
        ]

        assert [(await own.get("/projects", headers=each)).status for each in headers] == expected


@choices(({}, 403), ({"missing_organization_status": 401}, 401))
async def test_13_an_authtoken_without_its_organization(start, options, expected):
    async with start(**options) as api:
        reply = await api.with_headers({"authtoken": api.emulator.authtoken}).get("/projects")

    assert reply.status == expected


@choices(
    ({}, (403, "launch.FORBIDDEN_RESOURCE")),
    ({"app_token_git_status": 401}, (401, "launch.GIT_PROVIDER.UNAUTHORIZED_ACCESS")),
)
async def test_14_an_app_token_for_git_operations(start, options, expected):
    async with start(**options) as api:
        environment = place(api, git=True)
        app = api.bearer(api.emulator.issue_token(kind="app"))
        project = environment.partition("/environments")[0]
        replies = [
            await app.post("/projects", GIT_PROJECT),
            await app.post(f"{project}/environments", NEXT),
            await app.post(f"{environment}/deployments"),
            await app.call("PATCH", f"{project}/git-repository", json={}),
        ]

    assert [(reply.status, reply.code) for reply in replies] == [expected] * 4


@choices(({}, (200, {"repositoryName": "a/b"})), ({"git_repository_status": 501}, (501, None)))
async def test_15_the_undocumented_patch(start, options, expected):
    async with start(**options) as api:
        api.checks_answers = not options
        project = place(api, git=True).partition("/environments")[0]
        reply = await api.call("PATCH", f"{project}/git-repository", json={"repositoryName": "a/b"})

    status, body = expected
    assert reply.status == status
    assert body in (None, reply.json)


@choices(
    ({}, [200, 405]),
    ({"wrong_method_status": 404}, [200, 404]),
    ({"environment_update": "PATCH"}, [405, 200]),
    ({"environment_update": "either"}, [200, 200]),
)
async def test_16_the_method_of_an_environment_update(start, options, expected):
    async with start(**options) as api:
        api.checks_answers = "environment_update" not in options
        environment = place(api)
        replies = [await api.call(method, environment, json={"name": method}) for method in ("PUT", "PATCH")]

    assert [reply.status for reply in replies] == expected


@choices(({}, [("B", "2"), ("C", "3")]), ({"variables_update": "merge"}, [("A", "1"), ("B", "2"), ("C", "3")]))
async def test_17_whether_an_update_replaces_or_merges_variables(start, options, expected):
    async with start(**options) as api:
        environment = place(api, variables=[("A", "1"), ("B", "1")])
        sent = [{"key": "B", "value": "2"}, {"key": "C", "value": "3"}]
        shown = (await api.put(environment, {"environmentVariables": sent})).json["environment"]
        later = (await api.put(environment, {"name": "renamed"})).json["environment"]

    assert [(one["key"], one["value"]) for one in shown["environmentVariables"]] == expected
    assert later["environmentVariables"] == shown["environmentVariables"]


async def test_17_merged_variables_are_limited_too(start):
    async with start(variables_update="merge") as api:
        environment = place(api, variables=[(f"K{number}", "1") for number in range(128)])
        reply = await api.put(environment, {"environmentVariables": [{"key": "ONE_MORE", "value": "1"}]})
        kept = (await api.get(environment)).json["environment"]["environmentVariables"]

    assert (reply.status, len(kept)) == (400, 128)


@choices(
    ({}, (201, 201)),
    ({"required_settings": ["outputDirectory"]}, (400, 201)),
    ({"required_settings": ["outputDirectory", "environmentVariables", "buildCommand"]}, (400, 400)),
)
async def test_18_the_required_settings_of_a_new_environment(start, options, expected):
    async with start(**options) as api:
        least = await api.post("/projects", GIT_PROJECT)
        named = {**GIT_PROJECT["environment"], "outputDirectory": "./", "environmentVariables": []}
        more = await api.post("/projects", {**GIT_PROJECT, "name": "more", "environment": named})
        environment = place(api, git=True)
        second = await api.post(environment.rpartition("/")[0], NEXT)

    assert (least.status, more.status) == expected
    assert second.status == least.status
    if least.status == 400:
        assert next(iter(least.json["errors"][0])) == "environment.outputDirectory"
        assert next(iter(second.json["errors"][0])) == "outputDirectory"


@choices(
    ({}, [201, 201, 201]),
    ({"commit_form": "full"}, [201, 400, 201]),
    ({"git_needs_commit": True}, [400, 201, 201]),
)
async def test_19_the_form_of_a_commit_hash(start, options, expected):
    async with start(**options) as api:
        environment = place(api, git=True)
        bodies = [{}, {"commitHash": WHOLE_HASH[:7]}, {"commitHash": WHOLE_HASH}]

        assert [(await api.post(f"{environment}/deployments", body)).status for body in bodies] == expected


@choices(
    ({}, (201, ["DEPLOYING", "QUEUED"], ["ARCHIVED", "LIVE"])),
    ({"while_building": "refuse"}, (400, ["DEPLOYING"], ["LIVE"])),
    ({"while_building": "fail"}, (201, ["FAILED", "DEPLOYING"], ["FAILED", "LIVE"])),
)
async def test_20_a_deployment_during_another_build(start, options, expected):
    async with start(**options) as api:
        environment = place(api, git=True)
        await api.post(f"{environment}/deployments")
        api.emulator.advance(30)
        second = await api.post(f"{environment}/deployments")
        during_the_build = await statuses(api, environment)
        api.emulator.advance(200)

        assert (second.status, during_the_build, await statuses(api, environment)) == expected


async def test_20_the_log_of_a_replaced_build_ends_with_the_reason(start):
    async with start(while_building="fail") as api:
        environment = place(api, git=True)
        first = (await api.post(f"{environment}/deployments")).json["deployment"]
        api.emulator.advance(30)
        await api.post(f"{environment}/deployments")
        path = f"{environment}/deployments/{first['uid']}/logs/deployment-logs"
        right_after = (await api.get(path)).json["deploymentLogs"]
        api.emulator.advance(200)

        assert "replaced by a newer deployment" in right_after[-1]["message"]
        assert (await api.get(path)).json["deploymentLogs"] == right_after


@choices(
    ({}, ["ARCHIVED", "ARCHIVED", "LIVE"]),
    ({"superseded_status": "DEPLOYED"}, ["DEPLOYED", "DEPLOYED", "LIVE"]),
)
async def test_21_the_status_of_a_deployment_that_was_live(start, options, expected):
    async with start(**options) as api:
        assert await statuses(api, place(api, deployments=3)) == expected


@choices(
    ({}, [False, True, True, True, False]),
    ({"superseded_status": "DEPLOYED"}, [False, True, True, True, False]),
    ({"rollback_retention": 1}, [False, False, False, True, False]),
    ({"rollback_retention": 0}, [False] * 5),
)
async def test_21_the_deployments_that_are_eligible_for_a_rollback(start, options, expected):
    async with start(**options) as api:
        shown = (await api.get(f"{place(api, deployments=5)}/deployments")).json["deployments"]

    assert [one["isRollbackEligible"] for one in reversed(shown)] == expected


@choices(({}, ["c", "b", "a"]), ({"list_order": "oldest"}, ["a", "b", "c"]), ({"list_order": "uid"}, "by uid"))
async def test_22_the_order_of_lists(start, options, expected):
    async with start(**options) as api:
        uids = {name: api.emulator.add_project(name).uid for name in "abc"}
        shown = [project["name"] for project in (await api.get("/projects")).json["projects"]]

    assert shown == (sorted(uids, key=lambda name: uids[name]) if expected == "by uid" else expected)


@choices(({}, str), ({"usage_reset": "epoch_ms"}, int))
async def test_23_the_format_of_the_reset_time(start, options, expected):
    async with start(**options) as api:
        usage = (await api.get("/usage-analytics/revalidate-cdn-cache")).json

    assert type(usage["usageReset"]) is expected


@choices(
    ({}, [200, 200, 200]),
    ({"usage_scope": "launch.projects:read"}, [403, 200, 200]),
    ({"usage_scope": "launch:manage"}, [403, 403, 200]),
)
async def test_23_the_scope_for_reading_the_usage(start, options, expected):
    async with start(**options) as api:
        tokens = [
            api.emulator.issue_token(scopes=scopes) for scopes in ([], ["launch.projects:read"], ["launch:manage"])
        ]
        path = "/usage-analytics/revalidate-cdn-cache"

        assert [(await api.bearer(token).get(path)).status for token in tokens] == expected


@choices(({}, 429), ({"quota_status": 403}, 403))
async def test_24_the_status_of_a_revalidation_beyond_the_quota(start, options, expected):
    async with start(revalidation_quota=0, **options) as api:
        reply = await api.post(f"{place(api)}/revalidate-cdn-cache", {"cacheTags": ["a"]})

    assert (reply.status, reply.code) == (expected, "launch.REVALIDATE_CDN_CACHE.LIMIT_REACHED")


@choices(({}, False), ({"unset_fields": "null"}, True))
async def test_26_whether_unset_fields_are_left_out_or_null(start, options, expected):
    async with start(**options) as api:
        environment = place(api, deployments=1)
        shown = [
            ((await api.get(environment.partition("/environments")[0])).json["project"], "description"),
            ((await api.get(environment)).json["environment"], "buildCommand"),
            (await api.newest(environment), "commitHash"),
        ]

    assert [name in item for item, name in shown] == [expected] * 3
    assert [item.get(name) for item, name in shown] == [None] * 3


async def test_27_domains_and_their_certificates(start):
    async with start() as api:
        environment = place(api, deployments=1)
        uid = environment.rpartition("/")[2]
        custom = f"{environment}/domains/{api.emulator.add_domain(uid, 'www.example.com')}"
        certificate = {"url": "www.example.com", "customCertificate": "c", "customPrivateKey": "k"}
        await api.put(custom, certificate)
        ignored = await own_domain(api, environment)
        await api.put(custom, {**certificate, "url": "new.example.com", "sslMethod": "CUSTOM"})
        taken = await own_domain(api, environment)
        await api.put(custom, {"url": "new.example.com", "sslMethod": "AUTOMATIC"})
        managed = await own_domain(api, environment)
        checked = await api.call("POST", f"{custom}/revalidate")
        unknown = await api.call("POST", f"{environment}/domains/{'0' * 24}/revalidate")
        shown = (await api.get(environment)).json["environment"]["domains"]
        pages = [(await api.get(f"{environment}/domains?limit={limit}")).status for limit in (0, 1, 100, 101)]

    assert (checked.status, unknown.status, pages) == (200, 404, [400, 200, 200, 400])
    assert (ignored["url"], ignored["sslMethod"]) == ("www.example.com", None)
    assert (taken["url"], taken["sslMethod"]) == ("new.example.com", "CUSTOM")
    assert (managed["sslMethod"], managed["customCertificateExpiresAt"]) == ("AUTOMATIC", None)
    assert [one["url"] for one in shown][1:] == ["new.example.com"]


async def own_domain(api, environment):
    """Return the custom domain in the list of domains."""
    (own,) = (one for one in (await api.get(f"{environment}/domains")).json["domains"] if one["isCustomDomain"])
    return own


@choices(({}, [200, 200]), ({"domain_header": True}, [403, 200]), ({"domains": False}, [404, 404]))
async def test_27_the_header_of_domains_and_whether_domains_exist(start, options, expected):
    async with start(**options) as api:
        api.checks_answers = False
        environment = place(api)
        headers = {"x-project-uid": environment.split("/")[2]}
        statuses = [
            (await api.get(f"{environment}/domains")).status,
            (await api.get(f"{environment}/domains", headers=headers)).status,
        ]

    assert statuses == expected


async def test_27_the_keys_of_dns_records_and_of_an_updated_domain(start):
    async with start(dns_records_key="records", domain_update_body="domain") as api:
        environment = place(api)
        domain = api.emulator.add_domain(environment.rpartition("/")[2], "www.example.com")
        updated = await api.put(f"{environment}/domains/{domain}", {"url": "www.example.com", "sslMethod": "AUTOMATIC"})
        listed = await own_domain(api, environment)

    assert updated.json["domain"] == listed
    assert [record["name"] for record in listed["domainInfo"]["records"]] == ["www.example.com"]


@choices(({"upload_style": "gcp"}, ("PUT", 200)), ({"upload_style": "gcp_form"}, ("POST", 204)))
async def test_28_the_upload_method_of_gcp(start, archive, options, expected):
    async with start(**options) as api:
        target = (await api.get("/projects/upload/signed_url")).json
        sent = await api.send(target, archive)
        environment = await api.site(archive)
        api.emulator.advance(60)
        page = await api.page(environment)

    assert (target["method"], sent.status) == expected
    assert "Hello from the archive" in page.text


@pytest.mark.parametrize("index", range(6))
async def test_28_a_changed_field_of_the_form_is_refused(start, archive, index):
    async with start(upload_style="gcp_form") as api:
        target = (await api.get("/projects/upload/signed_url")).json
        target["fields"][index]["formFieldValue"] += "x"

        assert (await api.send(target, archive)).status == 403


@choices(({}, (["early", "late"], ["old"])), ({"log_retention": 100.0}, (["late"], [])))
async def test_29_how_long_logs_are_kept(start, options, expected):
    async with start(**options) as api:
        environment = place(api, git=True, framework_preset="NUXT")
        api.emulator.script(seconds=60, lines=[LogLine("early", at=0.0), LogLine("late", at=60.0)])
        uid = (await api.post(f"{environment}/deployments")).json["deployment"]["uid"]
        api.emulator.advance(60)
        api.emulator.add_server_log(uid, "old", at=api.emulator.clock.now() - 60)
        api.emulator.advance(90)
        path = f"{environment}/deployments/{uid}/logs"
        lines = (await api.get(f"{path}/deployment-logs")).json["deploymentLogs"]
        now = int(api.emulator.clock.now() * 1000)
        served = (await api.get(f"{path}/server-logs?startTime=0&endTime={now}")).json["logs"]

    assert ([line["message"] for line in lines], [line["message"] for line in served]) == expected


async def live_log(api, *messages, **headers):
    """Open a live log, add lines to the log, and return the whole session."""
    environment = place(api, git=True, framework_preset="NUXT", deployments=1)
    deployment = (await api.newest(environment))["uid"]
    url = f"{api.emulator.url}{environment}/deployments/{deployment}/logs/live"
    async with api.session.get(url, headers={**api.headers, **headers}) as response:
        for message in messages:
            api.emulator.add_server_log(deployment, message, at=0.0)
        api.emulator.advance(900)
        return response.status, response.content_type, await response.text()


@choices(
    ({}, (": heartbeat", "event: log", "event: log")),
    ({"live_log_event": "novel"}, (": heartbeat", "event: novel", "event: novel")),
    ({"live_log_event": ""}, (": heartbeat", "data: {", "data: {")),
    ({"live_log_entries": "list"}, (": heartbeat", "event: log\ndata: [{")),
    ({"live_log_resume": True}, (": heartbeat", "id: 1\n", "id: 2\n")),
    ({"live_log_heartbeat": "event"}, ("event: heartbeat", "event: log", "event: log")),
)
async def test_31_the_frames_of_the_live_log(start, options, expected):
    heartbeat, *entries = expected
    async with start(live_log_cap=900.0, live_log_heartbeat_seconds=1000.0, **options) as api:
        status, kind, text = await live_log(api, "one", "two")
    frames, beginnings = text.split("\n\n"), [heartbeat, "event: session\n", *entries, "event: session-ended\n", ""]

    assert (status, kind) == (200, "text/event-stream")
    assert [frame[: len(begin)] for frame, begin in zip(frames, beginnings, strict=True)] == beginnings
    assert ['"message": "one"' in frames[2], '"message": "two"' in frames[-3]] == [True, True]


async def test_31_the_interval_of_heartbeats_and_the_delay_of_lines(start):
    async with start(live_log_heartbeat_seconds=10.0, live_log_delay=15.0) as api:
        environment = place(api, deployments=1)
        deployment = (await api.newest(environment))["uid"]
        url = f"{api.emulator.url}{environment}/deployments/{deployment}/logs/live"
        async with api.session.get(url, headers=api.headers) as response:
            pieces = [await response.content.readany()]
            api.emulator.add_server_log(deployment, "one")
            for seconds in (10, 5, 5):
                api.emulator.advance(seconds)
                pieces.append(await response.content.readany())

    assert [b"heartbeat" in piece for piece in pieces] == [True, True, False, True]
    assert [b"one" in piece for piece in pieces] == [False, False, True, False]


async def test_31_a_new_session_continues_after_the_last_event_id(start):
    async with start(live_log_cap=0.001, live_log_resume=True) as api:
        environment = place(api, git=True, framework_preset="NUXT", deployments=1)
        deployment = (await api.newest(environment))["uid"]
        for number in range(4):
            api.emulator.add_server_log(deployment, f"line {number}")
        url = f"{environment}/deployments/{deployment}/logs/live"
        resumed = await api.get(url, headers={"Last-Event-ID": "2"})
        fresh = await api.get(url)

    assert [f"line {number}" in resumed.text for number in range(4)] == [False, False, True, True]
    assert "line" not in fresh.text


@choices(({"live_logs_status": 404}, 404), ({"live_logs_status": 405}, 405), ({"live_logs_status": 501}, 501))
async def test_31_the_status_of_a_live_log_that_is_not_available(start, options, expected):
    async with start(**options) as api:
        status, _, text = await live_log(api)

    assert (status, "launch.LIVE_LOGS.NOT_AVAILABLE" in text) == (expected, True)


async def test_31_connections_can_be_broken_by_an_order(start):
    async with start(control=True) as api:
        environment = place(api, deployments=1)
        deployment = (await api.newest(environment))["uid"]
        url = f"{api.emulator.url}{environment}/deployments/{deployment}/logs/live"
        async with api.session.get(url, headers=api.headers) as response:
            control = api.with_headers({"Emulator-Secret": api.emulator.control_secret})
            broken = await control.post("/__emulator__/live_log_breaks")
            with pytest.raises(aiohttp.ClientError):
                await response.read()

    assert broken.json == {"broken": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"oauth_path": "/elsewhere"},
        {"required_settings": ["name"]},
        {"while_building": "wait"},
        {"quota_status": 500},
        {"log_retention": 0},
    ],
)
def test_an_unknown_value_of_an_option_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LaunchEmulator(**wrong)


@choices(({}, (200, 12)), ({"zero_limit": "refused"}, (400, 0)))
async def test_32_a_limit_of_zero(start, options, expected):
    async with start(**options) as api:
        for number in range(12):
            api.emulator.add_project(f"p{number}")
        reply = await api.get("/projects?limit=0")
        one = await api.get("/projects?limit=1")

    assert (reply.status, len(reply.json.get("projects", []))) == expected
    assert len(one.json["projects"]) == 1


@choices(({}, ["a", "b", "c", "d"]), ({"build_log_lines": 3}, ["b", "c", "d"]))
async def test_33_a_long_build_log(start, options, expected):
    async with start(**options) as api:
        environment = place(api, git=True)
        api.emulator.script(lines=["a", "b", "c", "d"], seconds=1)
        await api.post(f"{environment}/deployments")
        api.emulator.advance(2)
        path = f"{environment}/deployments/{(await api.newest(environment))['uid']}/logs/deployment-logs"
        lines = (await api.get(path)).json["deploymentLogs"]

    assert [line["message"] for line in lines] == expected


@pytest.mark.parametrize("status", [500, 520, 522, 524])
@choices(({}, 0), ({"failures_act": True}, 1))
async def test_34_whether_a_failed_creation_has_an_effect(start, options, expected, status):
    async with start(**options) as api:
        environment = place(api, git=True)
        api.emulator.faults.add("status", operation="createDeployment", status=status)
        reply = await api.post(f"{environment}/deployments")
        shown = (await api.get(f"{environment}/deployments")).json["deployments"]

    assert (reply.status, len(shown)) == (status, expected)


@choices(({}, 1), ({"listing_delay": 20.0}, 0))
async def test_35_the_delay_before_a_creation_is_listed(start, options, expected):
    async with start(**options) as api:
        project = api.emulator.add_project("late", environments=[])
        api.emulator.advance(60)
        path = f"/projects/{project.uid}/environments"
        await api.post(path, NEXT | {"uploadUid": await api.upload(make_zip())})
        now = (await api.get(path)).json["environments"]
        api.emulator.advance(20.1)
        later = (await api.get(path)).json["environments"]
        known = await api.get(f"{path}/{later[0]['uid']}")

    assert (len(now), len(later), known.status) == (expected, 1, 200)


async def test_35_a_creation_may_take_effect_after_its_504(api):
    environment = place(api, git=True)
    api.emulator.faults.add("late", operation="createDeployment", delay=0.05, times=1)
    reply = await api.post(f"{environment}/deployments")
    before = (await api.get(f"{environment}/deployments")).json["deployments"]
    await asyncio.gather(*api.emulator._dispatcher._late)
    after = (await api.get(f"{environment}/deployments")).json["deployments"]

    assert (reply.status, before, len(after)) == (504, [], 1)


async def test_35_a_late_creation_is_dropped_when_the_emulator_stops(start):
    async with start() as api:
        environment = place(api, git=True)
        api.emulator.faults.add("late", operation="createDeployment", delay=3600)
        assert (await api.post(f"{environment}/deployments")).status == 504
