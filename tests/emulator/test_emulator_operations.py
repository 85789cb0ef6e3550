"""The public operations of the emulator."""

import re

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.support.git_project import GIT_PROJECT

UID = re.compile("[0-9a-f]{24}")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PROJECT_NAMES = [f"p{number}" for number in range(16, -1, -1)]


@pytest.fixture
def seventeen_projects(long_lived):
    """An emulator with the projects of `PROJECT_NAMES`."""
    for name in reversed(PROJECT_NAMES):
        long_lived.api.emulator.add_project(name)
    return long_lived


async def test_a_file_upload_project_has_the_same_keys_as_in_the_service(api, archive):
    environment = await api.site(archive)

    project = (await api.get(environment.split("/environments")[0])).json["project"]

    assert sorted(project) == [
        "createdAt", "createdBy", "deletedAt", "deletedBy", "name",
        "organizationUid", "projectType", "uid", "updatedAt", "updatedBy",
    ]  # fmt: skip
    assert UID.fullmatch(project["uid"])
    assert STAMP.fullmatch(project["createdAt"])
    assert (project["deletedAt"], project["deletedBy"]) == (None, None)
    assert project["organizationUid"] == api.emulator.organization_uid


async def test_a_new_project_has_an_environment_and_a_deployment(api, archive):
    environment = await api.site(archive, environmentVariables=[{"key": "A", "value": "1"}])

    shown = (await api.get(environment)).json["environment"]
    deployment = await api.newest(environment)

    assert shown["environmentVariables"] == [{"key": "A", "value": "1"}]
    assert deployment["deploymentNumber"] == 1
    assert "://" not in deployment["deploymentUrl"]
    assert shown["domains"] == [{"url": deployment["deploymentUrl"]}]
    assert [(made.noun, made.name) for made in api.emulator.ledger.created] == [
        ("project", "site"),
        ("environment", "production"),
        ("deployment", "1"),
    ]


async def test_the_first_environment_and_its_deployment_can_appear_late(start, archive):
    async with start(create_delay=100.0) as api:
        body = {
            "name": "late",
            "projectType": "FILEUPLOAD",
            "fileUpload": {"uploadUid": await api.upload(archive)},
            "environment": {"name": "production", "frameworkPreset": "OTHER"},
        }
        project = f"/projects/{(await api.post('/projects', body)).json['project']['uid']}"
        at_once = (await api.get(f"{project}/environments")).json["environments"]
        api.emulator.advance(100)
        environments = (await api.get(f"{project}/environments")).json["environments"]
        path = f"{project}/environments/{environments[0]['uid']}/deployments"
        too_early = (await api.get(path)).json["deployments"]
        api.emulator.advance(100)
        deployments = (await api.get(path)).json["deployments"]

    assert (at_once, too_early) == ([], [])
    assert len(deployments) == 1


async def test_a_git_project_shows_its_repository_and_deploys_commits(api):
    project = (await api.post("/projects", GIT_PROJECT)).json["project"]
    path = f"/projects/{project['uid']}/environments"
    environment = f"{path}/{(await api.get(path)).json['environments'][0]['uid']}"
    api.emulator.advance(60)

    newest = await api.post(f"{environment}/deployments")
    chosen = await api.post(f"{environment}/deployments", {"commitHash": "abcdef0"})
    wrong = await api.post(f"{environment}/deployments", {"uploadUid": "0" * 24})

    assert project["repository"]["repositoryName"] == "acme/shop"
    assert (newest.status, len(newest.json["deployment"]["commitHash"])) == (201, 40)
    assert chosen.json["deployment"]["commitHash"] == "abcdef0"
    assert chosen.json["deployment"]["gitBranch"] == "main"
    assert wrong.status == 400


async def test_an_update_keeps_all_fields_that_are_not_sent(api, archive):
    environment = await api.site(
        archive, buildCommand="npm run build", environmentVariables=[{"key": "A", "value": "1"}]
    )
    project = environment.split("/environments")[0]

    renamed = (await api.put(project, {"name": "other"})).json["project"]
    described = (await api.put(project, {"description": "text"})).json["project"]
    changed = (await api.put(environment, {"name": "staging"})).json["environment"]

    assert (renamed["name"], "description" in renamed) == ("other", False)
    assert (described["name"], described["description"]) == ("other", "text")
    assert (changed["name"], changed["buildCommand"]) == ("staging", "npm run build")
    assert changed["environmentVariables"] == [{"key": "A", "value": "1"}]


async def test_variables_in_an_update_replace_the_whole_list(api, archive):
    environment = await api.site(archive, environmentVariables=[{"key": "A", "value": "1"}])

    changed = await api.put(environment, {"environmentVariables": [{"key": "B", "value": "2"}]})

    assert changed.json["environment"]["environmentVariables"] == [{"key": "B", "value": "2"}]


async def test_a_new_environment_is_deployed(api, archive):
    project = (await api.site(archive)).split("/environments")[0]
    target = (await api.get(f"{project}/environments/upload/signed_url")).json
    await api.send(target, archive)

    made = await api.post(
        f"{project}/environments",
        {"name": "staging", "frameworkPreset": "OTHER", "uploadUid": target["uploadUid"]},
    )
    names = [e["name"] for e in (await api.get(f"{project}/environments")).json["environments"]]

    assert made.status == 201
    assert (await api.newest(f"{project}/environments/{made.json['environment']['uid']}"))["deploymentNumber"] == 1
    assert names == ["staging", "production"]


async def test_a_deletion_includes_all_parts_of_the_deleted_object(api, archive):
    environment = await api.site(archive)
    project = environment.split("/environments")[0]
    deployment = f"{environment}/deployments/{(await api.newest(environment))['uid']}"

    first = await api.delete(environment)
    after_environment = [(await api.get(path)).code for path in (environment, deployment)]
    second = await api.delete(project)
    after_project = (await api.get(project)).code

    assert (first.status, first.text, second.status, second.text) == (204, "", 204, "")
    assert after_environment == ["launch.ENVIRONMENT.NOT_FOUND", "launch.ENVIRONMENT.NOT_FOUND"]
    assert after_project == "launch.PROJECT.NOT_FOUND"


async def test_a_deployment_without_an_archive_uses_the_previous_one(api, archive):
    environment = await api.site(archive)
    api.emulator.advance(60)

    again = await api.post(f"{environment}/deployments")
    api.emulator.advance(60)

    assert again.status == 201
    assert "Hello from the archive" in (await api.page(environment)).text


async def test_the_archive_of_a_deployment_can_be_downloaded(api, archive):
    environment = await api.site(archive)
    deployment = f"{environment}/deployments/{(await api.newest(environment))['uid']}"

    link = (await api.get(f"{deployment}/download/signed_url")).json
    async with api.session.get(link["downloadUrl"]) as response:
        content = await response.read()
    api.emulator.advance(601)
    late = await api.with_headers({}).get(link["downloadUrl"])

    assert content == archive
    assert link["expiresIn"] == 600
    assert late.status == 403


async def test_a_git_deployment_has_nothing_to_download(api):
    project = api.emulator.add_project("git", git=True, deployments=1)
    environment = next(iter(project.environments.values()))
    path = f"/projects/{project.uid}/environments/{environment.uid}/deployments/{next(iter(environment.deployments))}"

    assert (await api.get(f"{path}/download/signed_url")).status == 404


async def test_the_undocumented_patch_returns_its_body(api):
    project = api.emulator.add_project("git", git=True)

    reply = await api.call("PATCH", f"/projects/{project.uid}/git-repository", json={"repositoryName": "a/b"})

    assert (reply.status, reply.json) == (200, {"repositoryName": "a/b"})


async def test_the_api_document_needs_no_credentials(api):
    document = (await api.with_headers({}).get("/openapi")).json

    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert (document["openapi"], document["info"]["version"]) == ("3.0.0", "1.0")
    assert len(operations) == 26


async def test_a_deploy_hook_needs_no_credentials(api, archive):
    environment = await api.site(archive)
    hook = api.emulator.deploy_hook_url(environment.rsplit("/", 1)[1])

    reply = await api.with_headers({}).call("POST", hook)
    unknown = await api.with_headers({}).call("POST", f"/manage/deploy/{'0' * 24}")

    assert reply.json == {"message": "Deployment triggered successfully"}
    assert (await api.newest(environment))["deploymentNumber"] == 2
    assert unknown.status == 404


async def test_a_deploy_hook_of_a_git_project_accepts_a_commit(api):
    project = api.emulator.add_project("git", git=True)
    environment = next(iter(project.environments))
    hook = api.emulator.deploy_hook_url(environment)

    good = await api.call("POST", f"{hook}?commit=abcdef0")
    bad = await api.call("POST", f"{hook}?commit=main")

    assert (good.status, bad.status) == (200, 404)
    assert (await api.newest(f"/projects/{project.uid}/environments/{environment}"))["commitHash"] == "abcdef0"


@pytest.mark.parametrize(
    "body",
    [
        {"cachePath": {"path": "/blog", "isPrefix": True}},
        {"cacheTags": ["a", "b"]},
        {"hostnames": ["www.example.com"]},
        {"hostnames": ["www.example.com"], "cachePath": {"path": "/"}},
    ],
)
async def test_a_revalidation_is_accepted_and_counted(api, body):
    project = api.emulator.add_project("p")
    path = f"/projects/{project.uid}/environments/{next(iter(project.environments))}/revalidate-cdn-cache"

    reply = await api.post(path, body)
    usage = (await api.get("/usage-analytics/revalidate-cdn-cache")).json

    assert (reply.status, reply.json) == (200, {})
    assert (usage["currentCacheRevalidations"], usage["maxCacheRevalidations"]) == (1, 500)
    assert STAMP.fullmatch(usage["usageReset"])


async def test_revalidations_beyond_the_daily_quota_are_refused_for_a_day(start):
    async with start(revalidation_quota=2, revalidate_status=204) as api:
        project = api.emulator.add_project("p")
        path = f"/projects/{project.uid}/environments/{next(iter(project.environments))}/revalidate-cdn-cache"
        statuses = [(await api.post(path, {"cacheTags": ["a"]})).status for _ in range(3)]
        api.emulator.advance(86_400)
        next_day = await api.post(path, {"cacheTags": ["a"]})

    assert statuses == [204, 204, 429]
    assert (next_day.status, next_day.text) == (204, "")


@pytest.mark.parametrize("body", [{}, {"cacheTags": ["a"], "hostnames": ["b"]}, {"cacheTags": ["a"] * 101}])
async def test_a_revalidation_needs_exactly_one_valid_strategy(api, body):
    project = api.emulator.add_project("p")

    reply = await api.post(
        f"/projects/{project.uid}/environments/{next(iter(project.environments))}/revalidate-cdn-cache", body
    )

    assert reply.status == 400


async def test_pages_follow_the_unusual_rules_of_the_service(api):
    for number in range(12):
        api.emulator.add_project(f"p{number}")

    default = (await api.get("/projects")).json
    everything = (await api.get("/projects?limit=0")).json
    beyond = (await api.get("/projects?skip=50")).json

    assert default["pagination"] == {"count": 12, "limit": 10, "skip": None}
    assert [project["name"] for project in default["projects"]] == [f"p{number}" for number in range(11, 1, -1)]
    assert len(everything["projects"]) == 12
    assert (beyond["projects"], beyond["pagination"]["count"]) == ([], 12)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(0, 10**14), skip=st.integers(0, 10**14))
def test_any_page_is_a_slice_of_the_whole_list(seventeen_projects, limit, skip):
    page = seventeen_projects.run(seventeen_projects.api.get(f"/projects?limit={limit}&skip={skip}")).json

    cut = PROJECT_NAMES[skip:] if limit == 0 else PROJECT_NAMES[skip : skip + limit]
    assert [project["name"] for project in page["projects"]] == cut
    assert page["pagination"] == {"count": len(PROJECT_NAMES), "limit": limit, "skip": skip or None}


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "skip=-1", "skip=1.5", "limit=%F0%9F%98%80", "limit="])
async def test_an_invalid_limit_or_skip_is_refused_by_name(api, query):
    reply = await api.get(f"/projects?{query}")

    assert reply.status == 400
    assert next(iter(reply.json["errors"][0])) in ("limit", "skip")


async def test_a_project_from_add_project_looks_like_any_other(api):
    project = api.emulator.add_project("big", environments=["a", "b"], deployments=3, variables=[("K", "V")])

    environments = (await api.get(f"/projects/{project.uid}/environments")).json["environments"]
    deployments = (await api.get(f"/projects/{project.uid}/environments/{environments[0]['uid']}/deployments")).json[
        "deployments"
    ]

    assert [environment["name"] for environment in environments] == ["b", "a"]
    assert [deployment["status"] for deployment in deployments] == ["LIVE", "ARCHIVED", "ARCHIVED"]
    assert environments[0]["environmentVariables"] == [{"key": "K", "value": "V"}]
    with pytest.raises(ValueError, match="big"):
        api.emulator.add_project("big")
    with pytest.raises(ValueError, match="same name"):
        api.emulator.add_project("other", environments=["a", "a"])


async def test_ten_thousand_deployments_can_be_read_in_pages(api):
    projects = [api.emulator.add_project(f"p{number}", deployments=100) for number in range(100)]
    (environment,) = projects[-1].environments.values()
    path = f"/projects/{projects[-1].uid}/environments/{environment.uid}/deployments"
    pages = [(await api.get(f"{path}?limit=40&skip={skip}")).json for skip in (0, 40, 80)]

    numbers = [deployment["deploymentNumber"] for page in pages for deployment in page["deployments"]]
    assert numbers == list(range(100, 0, -1))
    assert (await api.get("/projects?limit=1")).json["pagination"]["count"] == 100


@pytest.mark.parametrize(
    ("body", "purged"),
    [
        ({"cachePath": {"path": "/blog"}}, [("path", "/blog")]),
        ({"cachePath": {"path": "/", "isPrefix": True}}, [("prefix", "/")]),
        ({"cacheTags": ["a", "b", "a"]}, [("tag", "a"), ("tag", "b")]),
        ({"hostnames": ["a.example", "b.example"]}, [("hostname", "a.example"), ("hostname", "b.example")]),
        ({"cachePath": {"path": "/blog"}, "hostnames": ["a.example"]}, [("hostname", "a.example")]),
        ({"cacheTags": ["a"], "hostnames": ["b"]}, []),
    ],
)
async def test_the_ledger_lists_purges_and_host_names_win_over_a_path(api, body, purged):
    project = api.emulator.add_project("p")
    environment = next(iter(project.environments))

    await api.post(f"/projects/{project.uid}/environments/{environment}/revalidate-cdn-cache", body)

    assert [(one.environment_uid, one.kind, one.what) for one in api.emulator.ledger.purged] == [
        (environment, kind, what) for kind, what in purged
    ]


@pytest.mark.parametrize(("options", "deployed"), [({}, [1]), ({"git_connected": False}, [])])
async def test_a_push_deploys_if_the_environment_wants_it_and_git_is_connected(start, options, deployed):
    async with start(**options) as api:
        project = api.emulator.add_project("git", environments=["automatic", "by hand"], git=True)
        automatic, by_hand = project.environments
        path = f"/projects/{project.uid}/environments"
        await api.put(f"{path}/{automatic}", {"autoDeployOnPush": True})

        uids = [api.emulator.push(uid, "abcdef0") for uid in (automatic, by_hand)]
        api.emulator.advance(60)
        shown = (await api.get(f"{path}/{automatic}/deployments")).json["deployments"]

    assert [one["deploymentNumber"] for one in shown] == deployed
    assert uids == [shown[0]["uid"] if deployed else None, None]
    assert all((one["commitHash"], one["status"]) == ("abcdef0", "LIVE") for one in shown)
