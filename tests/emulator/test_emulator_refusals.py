"""Invalid requests and credentials get the errors of the service."""

import asyncio
import io
import json
import sys

import pytest

from launch_async.emulator import LaunchEmulator
from launch_async.http import Request
from tests.support.git_project import GIT_PROJECT

UID = "0" * 24
FORM = "application/x-www-form-urlencoded"
NEW_PROJECT = {
    "name": "p",
    "projectType": "FILEUPLOAD",
    "fileUpload": {"uploadUid": UID},
    "environment": {"name": "e", "frameworkPreset": "OTHER"},
}


@pytest.fixture
def environment(api):
    """The path of an existing environment."""
    project = api.emulator.add_project("there")
    return f"/projects/{project.uid}/environments/{next(iter(project.environments))}"


def fields_of(reply):
    return [next(iter(error)) for error in reply.json["errors"]]


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/projects/", "/projects//environments", "/storage/nope", "/__emulator__/state"]
)
async def test_an_unknown_path_is_a_404(api, path):
    reply = await api.with_headers({"x": "y"}).get(path)

    assert reply.status in (404, 401)
    assert "Traceback" not in reply.text


async def test_an_unsupported_method_is_a_405_that_lists_the_methods(api, environment):
    reply = await api.call("PATCH", environment, json={"name": "x"})

    assert reply.status == 405
    assert sorted(reply.headers["Allow"].split(", ")) == ["DELETE", "GET", "PUT"]


@pytest.mark.parametrize(
    ("noun", "path"),
    [
        ("PROJECT", f"/projects/{UID}"),
        ("PROJECT", "/projects/..%2F..%2Fetc"),
        ("PROJECT", f"/projects/{UID}/environments"),
        ("ENVIRONMENT", "{project}/environments/" + UID),
        ("ENVIRONMENT", "{project}/environments/" + UID + "/deployments/upload/signed_url"),
        ("DEPLOYMENT", "{environment}/deployments/" + UID),
        ("DEPLOYMENT", "{environment}/deployments/" + UID + "/logs/deployment-logs"),
    ],
)
async def test_a_404_names_the_kind_of_the_missing_object(api, environment, noun, path):
    reply = await api.get(path.format(project=environment.split("/environments")[0], environment=environment))

    assert (reply.status, reply.json["status"], reply.code) == (404, 404, f"launch.{noun}.NOT_FOUND")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b'{"name": NaN}', b"[" * 100_000])
async def test_a_body_that_is_not_a_json_object_is_a_400(api, body):
    reply = await api.call("POST", "/projects", data=body, headers={"Content-Type": "application/json"})

    assert (reply.status, reply.json["status"]) == (400, 400)


async def test_a_body_over_1_mib_is_a_400(api):
    body = io.BytesIO(b" " * 1_048_577)

    reply = await api.call("POST", "/projects", data=body, headers={"Content-Type": "application/json"})

    assert (reply.status, reply.code) == (400, "launch.BODY_TOO_LARGE")


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"name": ""}, "name", "launch.PROJECTS.NAME.NOT_EMPTY"),
        ({"name": "x" * 201}, "name", "launch.PROJECTS.NAME.TOO_LONG"),
        ({"name": 1}, "name", "launch.PROJECTS.NAME.INVALID"),
        ({"name": None}, "name", "launch.PROJECTS.NAME.INVALID"),
        ({"description": "x" * 256}, "description", "launch.PROJECTS.DESCRIPTION.TOO_LONG"),
        ({"projectType": "ZIP"}, "projectType", "launch.PROJECTS.PROJECT_TYPE.INVALID"),
        ({"fileUpload": {}}, "fileUpload.uploadUid", "launch.PROJECTS.UPLOAD_UID.REQUIRED"),
        ({"fileUpload": []}, "fileUpload", "launch.PROJECTS.FILE_UPLOAD.INVALID"),
        ({"environment": {"name": "e"}}, "environment.frameworkPreset", "launch.PROJECTS.FRAMEWORK_PRESET.REQUIRED"),
        ({"projectType": "GITPROVIDER"}, "repository", "launch.PROJECTS.REPOSITORY.REQUIRED"),
    ],
)
async def test_a_bad_field_of_a_new_project_is_named(api, change, field, code):
    reply = await api.post("/projects", {**NEW_PROJECT, **change})

    assert reply.status == 400
    assert fields_of(reply) == [field]
    assert reply.code == code


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"frameworkPreset": "REACT"}, "frameworkPreset"),
        ({"autoDeployOnPush": "yes"}, "autoDeployOnPush"),
        ({"environmentVariables": {}}, "environmentVariables"),
        ({"environmentVariables": ["A=1"]}, "environmentVariables.0"),
        ({"environmentVariables": [{"key": "A", "value": ""}]}, "environmentVariables.0.value"),
        ({"environmentVariables": [{"key": "", "value": "1"}]}, "environmentVariables.0.key"),
        ({"environmentVariables": [{"value": "1"}]}, "environmentVariables.0.key"),
        ({"environmentVariables": [{"key": "A", "value": "1"}] * 129}, "environmentVariables"),
        ({"environmentVariables": [{"key": "A", "value": "x" * 14_336}]}, "environmentVariables"),
        ({"passwordProtection": {"isEnabled": 1}}, "passwordProtection.isEnabled"),
    ],
)
async def test_a_bad_field_of_an_environment_is_named(api, environment, change, field):
    reply = await api.put(environment, change)

    assert reply.status == 400
    assert fields_of(reply) == [field]


async def test_one_refusal_names_all_bad_fields(api):
    reply = await api.post("/projects", {"projectType": "ZIP", "environment": {"name": 1}})

    assert fields_of(reply) == ["name", "projectType", "environment.name", "environment.frameworkPreset"]


async def test_names_are_unique(api, archive, environment):
    project = environment.split("/environments")[0]
    upload = await api.upload(archive)
    await api.site(archive, name="taken")

    replies = [
        await api.post("/projects", {**NEW_PROJECT, "name": "taken", "fileUpload": {"uploadUid": upload}}),
        await api.put(project, {"name": "taken"}),
        await api.post(
            f"{project}/environments", {"name": "production", "frameworkPreset": "OTHER", "uploadUid": upload}
        ),
    ]
    same_again = await api.put(project, {"name": "there"})

    assert [reply.status for reply in replies] == [409, 409, 409]
    assert replies[0].code == "launch.PROJECT.DUPLICATE_NAME"
    assert same_again.status == 200


async def test_a_name_can_be_used_again_after_a_change_or_a_deletion(api, environment):
    project = environment.split("/environments")[0]
    api.emulator.add_project("other")
    body = {"name": "production", "frameworkPreset": "OTHER", "gitBranch": "main"}

    await api.put(project, {"name": "renamed"})
    await api.put(environment, {"name": "renamed"})
    api.emulator.add_project("there")
    with pytest.raises(ValueError, match="already has a project with the name 'renamed'"):
        api.emulator.add_project("renamed")
    git = api.emulator.add_project("git", git=True)
    made = await api.post(f"/projects/{git.uid}/environments", {**body, "name": "again"})
    taken = await api.post(f"/projects/{git.uid}/environments", {**body, "name": "again"})
    await api.delete(f"/projects/{git.uid}/environments/{made.json['environment']['uid']}")
    free = await api.post(f"/projects/{git.uid}/environments", {**body, "name": "again"})
    await api.delete(project)
    api.emulator.add_project("renamed")

    assert (made.status, taken.status, free.status) == (201, 409, 201)


@pytest.mark.parametrize("below", [False, True])
async def test_an_update_does_not_restore_an_object_that_is_deleted_during_the_request(api, environment, below):
    project = environment.split("/environments")[0]
    target = environment if below else project

    async def slowly():
        yield b'{"name": '
        await api.delete(target)
        yield b'"changed"}'

    changed = await api.call("PUT", target, data=slowly(), headers={"Content-Type": "application/json"})

    assert changed.status == 404
    if not below:
        api.emulator.add_project("changed")


async def test_the_cost_of_a_creation_does_not_depend_on_the_number_of_projects():
    async def steps(emulator, name):
        counted = 0

        def count(_frame, event, _argument):
            nonlocal counted
            counted += event == "call"

        request = Request(
            "POST", f"{emulator.url}/projects", headers, json.dumps({**GIT_PROJECT, "name": name}).encode()
        )
        sys.setprofile(count)
        answer = await emulator.transport().send(request)
        sys.setprofile(None)
        assert answer.status == 201
        return counted

    async with LaunchEmulator(port=None, rate_limit=None) as emulator:
        headers = {"authtoken": emulator.authtoken, "organization_uid": emulator.organization_uid}
        await steps(emulator, "warm")
        few = await steps(emulator, "few")
        for number in range(300):
            emulator.add_project(f"project {number}")
        many = await steps(emulator, "many")

    assert abs(many - few) < 50


async def test_an_empty_update_is_refused(api, environment):
    project = environment.split("/environments")[0]

    replies = [await api.put(project, {}), await api.put(environment, {})]

    assert [(reply.status, reply.code) for reply in replies] == [(400, "launch.BODY_EMPTY")] * 2


async def test_only_the_name_and_description_of_a_project_can_be_changed(api, environment):
    reply = await api.put(environment.split("/environments")[0], {"projectType": "GITPROVIDER"})

    assert (reply.status, fields_of(reply)) == (400, ["projectType"])


async def test_a_delete_without_a_body_but_with_a_json_header_is_refused(api, environment):
    refused = await api.delete(environment, headers={"Content-Type": "application/json"})
    still_there = await api.get(environment, headers={"Content-Type": "application/json"})

    assert (refused.status, still_there.status) == (400, 200)


@pytest.mark.parametrize("body", [{"commitHash": "abcdef0"}, {"uploadUid": 1}, {"commitHash": "main"}])
async def test_a_deployment_that_does_not_fit_the_project_is_refused(api, environment, body):
    assert (await api.post(f"{environment}/deployments", body)).status == 400


async def test_an_upload_must_be_complete_and_belong_to_the_organization(api, archive, environment):
    target = (await api.get("/projects/upload/signed_url")).json
    other = api.emulator.add_organization()
    foreign = await api.bearer(other.access_token).upload(archive)

    never_sent = await api.post(f"{environment}/deployments", {"uploadUid": target["uploadUid"]})
    of_another = await api.post(f"{environment}/deployments", {"uploadUid": foreign})

    assert (never_sent.status, never_sent.code) == (400, "launch.DEPLOYMENT.FILE_UPLOAD_FAILED")
    assert of_another.status == 404


async def test_an_environment_of_a_file_upload_project_needs_an_upload(api, environment):
    body = {"name": "new", "frameworkPreset": "OTHER"}

    reply = await api.post(f"{environment.split('/environments')[0]}/environments", body)

    assert fields_of(reply) == ["uploadUid"]


async def test_the_number_of_projects_and_environments_can_be_limited(start, archive):
    async with start(project_limit=1, environment_limit=1) as api:
        project = (await api.site(archive)).split("/environments")[0]
        upload = await api.upload(archive)
        more = [
            await api.post("/projects", {**NEW_PROJECT, "fileUpload": {"uploadUid": upload}}),
            await api.post(f"{project}/environments", {"name": "x", "frameworkPreset": "OTHER", "uploadUid": upload}),
        ]

    assert [reply.code for reply in more] == ["launch.PROJECT.LIMIT_REACHED", "launch.ENVIRONMENT.LIMIT_REACHED"]


async def test_missing_and_wrong_credentials_are_refused(api):
    missing = await api.with_headers({}).get("/projects")
    wrong_authtoken = await api.with_headers({**api.headers, "authtoken": "wrong"}).get("/projects")
    wrong_bearer = await api.bearer("wrong").get("/projects")
    wrong_scheme = await api.with_headers({"Authorization": f"Basic {api.emulator.access_token}"}).get("/projects")

    assert [(reply.status, reply.code) for reply in (missing, wrong_authtoken)] == [(401, "Unauthorized")] * 2
    assert [(reply.status, reply.json["error_code"]) for reply in (wrong_bearer, wrong_scheme)] == [(401, 105)] * 2


async def test_an_authtoken_needs_the_organization_of_its_user(api):
    other = api.emulator.add_organization()
    alone = await api.with_headers({"authtoken": api.emulator.authtoken}).get("/projects")
    foreign = await api.get("/projects", headers={"organization_uid": other.organization_uid})

    assert [alone.status, foreign.status] == [403, 403]


async def test_organizations_do_not_see_each_other(api, environment):
    other = api.emulator.add_organization()
    other_caller = api.bearer(other.access_token)

    listed = (await other_caller.get("/projects")).json["projects"]
    statuses = [(await other_caller.get(environment)).status, (await other_caller.delete(environment)).status]

    assert listed == []
    assert statuses == [404, 404]
    assert (await api.get(environment)).status == 200


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("launch:manage", [200, 200, 204]),
        ("launch.projects:read", [200, 403, 403]),
        ("launch.projects:write", [403, 200, 403]),
        ("launch.projects:delete", [403, 403, 204]),
    ],
)
async def test_a_scope_allows_only_its_operations(api, environment, scope, allowed):
    caller = api.bearer(api.emulator.issue_token(scopes=[scope]))

    statuses = [
        (await caller.get(environment)).status,
        (await caller.put(environment, {"name": "x"})).status,
        (await caller.delete(environment)).status,
    ]

    assert statuses == allowed


async def test_reading_the_usage_needs_no_scope(api):
    caller = api.bearer(api.emulator.issue_token(scopes=[]))

    assert (await caller.get("/usage-analytics/revalidate-cdn-cache")).status == 200


def test_an_unknown_scope_is_refused_when_a_token_is_issued(api):
    with pytest.raises(ValueError, match="projects:read"):
        api.emulator.issue_token(scopes=["projects:read"])


async def test_app_tokens_allow_everything_except_git(api, archive):
    app = api.bearer(api.emulator.issue_token(kind="app"))
    git = api.emulator.add_project("git", git=True)
    path = f"/projects/{git.uid}"
    body = {"name": "x", "frameworkPreset": "OTHER"}

    await app.site(archive)
    refused = [
        await app.post("/projects", GIT_PROJECT),
        await app.post(f"{path}/environments", body),
        await app.post(f"{path}/environments/{next(iter(git.environments))}/deployments"),
        await app.call("PATCH", f"{path}/git-repository", json={}),
    ]

    assert [(reply.status, reply.code) for reply in refused] == [(403, "launch.FORBIDDEN_RESOURCE")] * 4


async def test_a_broken_git_connection_is_a_401_with_its_own_code(start):
    async with start(git_connected=False) as api:
        reply = await api.post("/projects", GIT_PROJECT)

    assert (reply.status, reply.code) == (401, "launch.GIT_PROVIDER.UNAUTHORIZED_ACCESS")


async def test_tokens_expire_and_can_be_revoked(api):
    short = api.bearer(api.emulator.issue_token(seconds=10))
    revoked = api.emulator.issue_token()

    before = (await short.get("/projects")).status
    api.emulator.advance(10)
    after = await short.get("/projects")

    assert (before, after.status, after.json["error_code"]) == (200, 401, 105)
    assert api.emulator.revoke_token(revoked)
    assert (await api.bearer(revoked).get("/projects")).status == 401


@pytest.mark.parametrize(("form", "status", "mark"), [("json", 401, '"error_code": 105'), ("xml", 403, "<Error>")])
async def test_a_wrong_region_is_answered_like_a_bad_token(start, form, status, mark):
    async with start(wrong_region=form) as api:
        api.checks_answers = form != "xml"
        reply = await api.get("/projects")

    assert reply.status == status
    assert mark in reply.text


async def test_an_error_inside_the_emulator_is_a_500_without_a_traceback(api, monkeypatch, caplog):
    monkeypatch.setattr(api.emulator._service.sites, "open", None)
    project = api.emulator.add_project("p")

    reply = await api.post(f"/projects/{project.uid}/environments/{next(iter(project.environments))}/deployments")

    assert (reply.status, reply.code) == (500, "launch.INTERNAL_ERROR")
    assert "Traceback" not in reply.text
    assert "createDeployment failed inside the emulator" in caplog.text


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/apps-api/apps/token", {"Content-Type": f"{FORM}; charset=bogus"}, b"a=b"),
        ("/apps-api/token", {"Content-Type": FORM}, b"a" * 2_000_000),
        ("/projects", {"Content-Type": "application/json"}, b'"' + b"a" * 2_000_000 + b'"'),
        ("/projects", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"not compressed"),
        ("/storage/aws/launch-uploads", {"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\nno header\r\n"),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_400(api, path, headers, body):
    reply = await api.call("POST", path, headers=headers, data=io.BytesIO(body))

    assert reply.status == 400


async def test_expect_100_continue_is_answered_before_the_body(api):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.emulator.url.rpartition(":")[2]))
    head = b"POST /v3/user-session HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    writer.write(head)
    interim_answer = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"{}")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()

    assert interim_answer == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.split()[1] == b"422"


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: here\r\n\r\n",
        b"POST /v3/user-session HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    ],
)
async def test_malformed_http_is_a_400_and_is_not_logged(api, sent, caplog):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.emulator.url.rpartition(":")[2]))
    writer.write(sent)
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()

    assert answer.split()[1] == b"400"
    assert not caplog.records


@pytest.mark.parametrize(
    ("operation", "path", "headers"),
    [
        ("createProject", "/projects", f"Content-Type: application/json\r\nauthtoken: {UID}"),
        ("oauthTokenDevHub", "/token", f"Content-Type: {FORM}"),
        ("uploadArchive", "/storage/aws/launch-uploads", "Content-Type: multipart/form-data; boundary=b"),
    ],
)
async def test_a_connection_that_ends_within_a_body_is_not_logged(api, operation, path, headers, caplog):
    headers = headers.replace(UID, f"{api.emulator.authtoken}\r\norganization_uid: {api.emulator.organization_uid}")
    _, writer = await asyncio.open_connection("127.0.0.1", int(api.emulator.url.rpartition(":")[2]))
    writer.write(f"POST {path} HTTP/1.1\r\nHost: here\r\n{headers}\r\nContent-Length: 9\r\n\r\n--b\r\n".encode())
    while not api.emulator.ledger.count(operation):
        await api.get("/openapi")
    writer.transport.abort()
    await api.get("/openapi")

    assert [entry.status for entry in api.emulator.ledger.requests if entry.operation == operation] == [None]
    assert not caplog.records
