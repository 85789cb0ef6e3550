"""The control endpoint does the same over HTTP as the Python methods, and only with the secret."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from launch_async.emulator import LaunchEmulator
from launch_async.emulator.options import NAMES


def secret_of(api):
    return {"Emulator-Secret": api.emulator.control_secret}


@pytest.fixture
async def control(start):
    """An `Api` without credentials of Launch, on an emulator with the control endpoint."""
    async with start(control=True) as api:
        yield api.with_headers(secret_of(api))


async def test_the_control_endpoint_is_off_by_default(api):
    assert (await api.get("/__emulator__/state")).status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Emulator-Secret": ""},
        {"Emulator-Secret": "control" + "0" * 40},
        {"Origin": "https://www.example.com"},
        {"Origin": "null"},
        {"Host": "rebound.example.com"},
        {"Host": "[::"},
    ],
    ids=str,
)
async def test_an_order_without_the_secret_or_from_a_foreign_page_is_refused(control, headers):
    refused = await control.post("/__emulator__/projects", {"name": "p"}, headers=headers)

    assert refused.status == 403
    assert (await control.get("/__emulator__/state")).json["projects"] == 0


async def test_an_order_may_come_from_a_page_of_the_emulator_or_from_localhost(control):
    url = control.emulator.url
    port = url.rpartition(":")[2]

    assert (await control.get("/__emulator__/state", headers={"Origin": url})).status == 200
    assert (await control.get("/__emulator__/state", headers={"Host": f"localhost:{port}"})).status == 200


async def test_a_refusal_lists_the_known_names(control):
    order = await control.post("/__emulator__/scrips")
    field = await control.post("/__emulator__/advance", {"second": 1})
    operation = await control.post("/__emulator__/faults", {"kind": "empty", "operation": "x"})

    assert "scripts, advance" in order.text
    assert "Unknown parameters: second. The parameters are seconds" in field.text
    assert "createDeployment, createEnvironment" in operation.text


async def test_a_project_can_be_added_and_is_in_the_state(control):
    made = await control.post("/__emulator__/projects", {"name": "p", "environments": ["a", "b"], "deployments": 2})
    state = (await control.get("/__emulator__/state")).json

    assert made.status == 201
    assert set(made.json["environments"]) == {"a", "b"}
    assert (state["projects"], state["environments"], state["deployments"]) == (1, 2, {"LIVE": 2, "ARCHIVED": 2})


async def test_a_rollback_can_be_ordered(control):
    made = (await control.post("/__emulator__/projects", {"name": "p", "deployments": 2})).json
    (environment,) = made["environments"].values()
    deployments = control.emulator._service.state.environments[environment["uid"]].deployments

    done = await control.post("/__emulator__/rollbacks", {"deployment_uid": next(iter(deployments))})
    again = await control.post("/__emulator__/rollbacks", {"deployment_uid": next(iter(deployments))})

    assert (done.status, done.json["deployments"]) == (200, {"LIVE": 1, "ARCHIVED": 1})
    assert [one.status for one in deployments.values()] == ["LIVE", "ARCHIVED"]
    assert (again.status, "not eligible for a rollback" in again.text) == (400, True)


async def test_scripts_time_and_deploy_hooks_control_a_build(control):
    made = (await control.post("/__emulator__/projects", {"name": "p", "git": True})).json
    lines = ["plain", {"message": "full", "stage": "INSTALLING_DEPENDENCIES", "at": 1.0}]
    script = await control.post("/__emulator__/scripts", {"outcome": "FAILED", "seconds": 5, "lines": lines})
    await control.call("POST", made["environments"]["production"]["deploy_hook_url"])
    before = (await control.get("/__emulator__/state")).json["deployments"]
    after = (await control.post("/__emulator__/advance", {"seconds": 5})).json["deployments"]

    assert script.status == 201
    assert (before, after) == ({"QUEUED": 1}, {"FAILED": 1})


async def test_faults_can_be_added_and_removed(control):
    ordered = await control.post(
        "/__emulator__/faults", {"kind": "status_before", "operation": "getOpenapi", "status": 504}
    )
    refused = (await control.get("/openapi")).status
    await control.delete("/__emulator__/faults")

    assert ordered.json == {"faults": 1}
    assert (refused, (await control.get("/openapi")).status) == (504, 200)


async def test_the_ledger_can_be_read_and_cleared_and_contains_no_orders(control):
    await control.get("/openapi")
    ledger = (await control.get("/__emulator__/ledger")).json
    cleared = await control.delete("/__emulator__/ledger")

    assert [(entry["operation"], entry["status"]) for entry in ledger["requests"]] == [("getOpenapi", 200)]
    assert cleared.status == 204
    assert (await control.get("/__emulator__/ledger")).json == {"requests": [], "created": [], "purged": []}


async def test_organizations_and_tokens_can_be_added(control):
    other = (await control.post("/__emulator__/organizations", {"name": "Other", "rate_limit": 1})).json
    token = (
        await control.post(
            "/__emulator__/tokens",
            {"scopes": ["launch.projects:read"], "organization_uid": other["organization_uid"]},
        )
    ).json["access_token"]

    assert [(await control.bearer(token).get("/projects")).status for _ in range(2)] == [200, 429]


async def test_the_options_of_the_rate_limit_can_be_changed(start):
    order = {
        "rate_limit": 1, "rate_window": "bucket", "rate_headers": True, "split_rate": True, "count_refused": True,
    }  # fmt: skip
    async with start(control=True) as api:
        api.headers |= secret_of(api)
        before = await api.get("/projects")
        ordered = await api.post("/__emulator__/options", order)
        read = await api.get("/projects")
        written = await api.put("/projects/x", {"name": "y"})
        refused = await api.get("/projects")

    assert {name: ordered.json[name] for name in order} == order
    assert [reply.status for reply in (before, read, written, refused)] == [200, 200, 404, 429]
    assert ["X-RateLimit-Limit" in reply.headers for reply in (before, read)] == [False, True]


async def test_the_rate_limit_can_be_removed_for_all_organizations(start):
    async with start(control=True, rate_limit=1) as api:
        api.headers |= secret_of(api)
        other = api.bearer(api.emulator.add_organization().access_token)
        await api.post("/__emulator__/options", {"rate_limit": None})

        assert [(await caller.get("/projects")).status for caller in (api, api, other, other)] == [200] * 4


async def test_the_distribution_of_delays_can_be_changed(start):
    order = {"latency": 0.001, "latency_sigma": 0.9}
    async with start(control=True, seed=7) as api:
        api.headers |= secret_of(api)
        await api.post("/__emulator__/options", order)
        drawn = [api.emulator._service.latency.draw() for _ in range(3)]
        ordered = await api.post("/__emulator__/options", order)
        again = [api.emulator._service.latency.draw() for _ in range(3)]

    assert drawn == again
    assert len({*drawn}) == 3
    assert {name: ordered.json[name] for name in order} == order


async def test_the_options_can_be_read_and_changed(control):
    before = (await control.get("/__emulator__/options")).json
    await control.post("/__emulator__/options", {"list_order": "oldest", "log_retention": 60})
    after = (await control.get("/__emulator__/options")).json

    assert after == {**before, "list_order": "oldest", "log_retention": 60.0}
    assert before.keys() == {*NAMES} - {"tls", "clock"}


async def test_apps_codes_and_revocations_simulate_an_authorization(control):
    app = (await control.post("/__emulator__/apps")).json
    order = {"client_id": app["client_id"], "redirect_uri": "http://localhost:1"}
    code = (await control.post("/__emulator__/codes", order)).json["code"]
    form = {"grant_type": "authorization_code", **app, "redirect_uri": "http://localhost:1", "code": code}
    tokens = (await control.call("POST", "/apps-api/apps/token", data=form)).json
    user = control.bearer(tokens["access_token"])
    before = (await user.get("/projects")).status
    revoked = await control.post("/__emulator__/revocations", {"token": tokens["access_token"]})

    assert (before, revoked.json) == (200, {"revoked": True})
    assert (await user.get("/projects")).status == 401


async def test_server_logs_can_be_added(control):
    project = control.emulator.add_project("p", framework_preset="NUXT", deployments=1)
    (environment,) = project.environments.values()
    (uid,) = environment.deployments
    order = {"deployment_uid": uid, "message": "GET /", "source": "edge", "at": 1.5}
    ordered = await control.post("/__emulator__/server_logs", order)
    path = f"/projects/{project.uid}/environments/{environment.uid}/deployments/{uid}/logs/server-logs"
    shown = await control.bearer(control.emulator.access_token).get(f"{path}?startTime=1000&endTime=2000")

    assert ordered.status == 201
    assert [(line["message"], line["source"]) for line in shown.json["logs"]] == [("GET /", "edge")]


@pytest.mark.parametrize(
    ("method", "order", "body", "status"),
    [
        ("POST", "faults", {"kind": "explode"}, 400),
        ("POST", "faults", {"kind": "empty", "nht": 1}, 400),
        ("POST", "faults", {"kind": "empty", "operation": "getProjects"}, 400),
        ("POST", "pushes", {"environment_uid": "unknown", "commit_hash": "abcdef0"}, 400),
        ("POST", "domains", {"environment_uid": "unknown", "url": "www.example.com"}, 400),
        ("POST", "faults", {}, 400),
        ("POST", "advance", {"seconds": -1}, 400),
        ("POST", "advance", {"seconds": "soon"}, 400),
        ("POST", "advance", {"seconds": 1e30}, 400),
        ("POST", "advance", {"seconds": "5"}, 400),
        ("POST", "options", {"rate_limit": True}, 400),
        ("POST", "projects", {"name": 5}, 400),
        ("POST", "projects", {"name": "p", "environments": "staging"}, 400),
        ("POST", "scripts", {"lines": "compiling"}, 400),
        ("POST", "tokens", {"scopes": ["everything"]}, 400),
        ("POST", "tokens", {"organization_uid": "unknown"}, 400),
        ("POST", "advance", [], 400),
        ("POST", "codes", {"client_id": "unknown", "redirect_uri": "http://localhost:1"}, 400),
        ("POST", "server_logs", {"deployment_uid": "unknown", "message": ""}, 400),
        ("POST", "options", {"limit": 1}, 400),
        ("POST", "options", {"rate_limit": 0}, 400),
        ("POST", "options", {"rate_limit": "1"}, 400),
        ("POST", "options", {"rate_limit": 1, "rate_window": "hourly"}, 400),
        ("POST", "options", {"latency": -1}, 400),
        ("POST", "options", {"seed": 1}, 400),
        ("POST", "nope", {}, 404),
        ("DELETE", "nope", None, 404),
        ("GET", "nope", None, 404),
    ],
)
async def test_a_malformed_order_is_refused_with_a_reason(control, method, order, body, status):
    reply = await control.call(method, f"/__emulator__/{order}", json=body)

    assert reply.status == status
    assert reply.json["errors"][0]["message"]
    assert "Attribute(" not in reply.text


async def test_scripts_can_be_removed(control):
    await control.post("/__emulator__/scripts", {"outcome": "FAILED"})
    await control.delete("/__emulator__/scripts")
    made = (await control.post("/__emulator__/projects", {"name": "p"})).json
    await control.call("POST", made["environments"]["production"]["deploy_hook_url"])

    assert (await control.post("/__emulator__/advance", {"seconds": 60})).json["deployments"] == {"LIVE": 1}


def test_the_option_control_is_off_by_default():
    assert not LaunchEmulator()._service.options.control


async def test_a_push_and_a_domain_can_be_ordered(start):
    async with start(control=True) as api:
        api.headers |= secret_of(api)
        project = api.emulator.add_project("git", git=True)
        (environment,) = project.environments
        path = f"/projects/{project.uid}/environments/{environment}"
        domain = await api.post("/__emulator__/domains", {"environment_uid": environment, "url": "www.example.com"})
        order = {"environment_uid": environment, "commit_hash": "abcdef0"}
        before = (await api.post("/__emulator__/pushes", order)).json
        await api.put(path, {"autoDeployOnPush": True})
        pushed = (await api.post("/__emulator__/pushes", order)).json
        listed = await api.get(f"{path}/domains")
        newest = await api.newest(path)

    assert (before, pushed) == ({"deployment_uid": None}, {"deployment_uid": newest["uid"]})
    assert domain.json["uid"] in [one["uid"] for one in listed.json["domains"]]


def test_one_string_instead_of_a_list_is_refused():
    emulator = LaunchEmulator()

    with pytest.raises(ValueError, match=r"such as \['staging'\]"):
        emulator.add_project("landing", environments="staging")
    with pytest.raises(ValueError, match=r"such as \['compiling'\]"):
        emulator.script(lines="compiling")


def test_threads_can_add_projects_while_others_change_options():
    emulator = LaunchEmulator()
    before = sys.getswitchinterval()

    def fill(name):
        for number in range(400):
            emulator.add_organization()
            emulator.add_project(f"{name}-{number}")

    def look(_):
        for _ in range(400):
            emulator.change(rate_limit=None)

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as pool:
            done = [pool.submit(work, name) for work, name in ((fill, "a"), (fill, "b"), (look, "c"))]
    finally:
        sys.setswitchinterval(before)

    assert [each.exception() for each in done] == [None, None, None]
