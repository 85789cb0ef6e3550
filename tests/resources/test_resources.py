"""All operations against the emulator over real sockets, or against a script for answers that it never gives."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

from launch_async import (
    AccessToken,
    BadRequestError,
    CacheRevalidationUsage,
    ConflictError,
    DecodeError,
    Deployment,
    DeploymentRef,
    DeploymentStatus,
    FrameworkPreset,
    GitProvider,
    InternalServerError,
    InvalidArgumentError,
    LaunchClient,
    LogLine,
    NotFoundError,
    PasswordProtection,
    Project,
    RetryPolicy,
    ServerLogsUnavailable,
    SignedUploadUrl,
    StorageError,
)
from launch_async.emulator import LaunchEmulator
from launch_async.http import Response
from launch_async.models import FormField, UploadHeader, UploadMethod
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.clients import client_of
from tests.support.core import (
    DEPLOYMENT,
    ENVIRONMENT,
    GIT,
    ORGANIZATION,
    PROJECT,
    TOKEN,
    UPLOAD,
    FakeTransport,
    answer,
    client_on,
)


def _zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("index.html", "<h1>Hello</h1>")
        archive.writestr("padding.bin", bytes(1100))
    return sink.getvalue()


SITE = _zip()
COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
SETTINGS: dict[str, Any] = {
    "framework_preset": "ASTRO",
    "output_directory": "./out",
    "build_command": "npm run build",
    "server_command": "npm start",
    "environment_variables": {"A": "1", "B": "two words"},
    "is_streaming_enabled": True,
    "is_contentstack_authentication_enabled": False,
}
SETTINGS_ON_THE_WIRE: dict[str, Any] = {
    "frameworkPreset": "ASTRO",
    "outputDirectory": "./out",
    "buildCommand": "npm run build",
    "serverCommand": "npm start",
    "environmentVariables": [{"key": "A", "value": "1"}, {"key": "B", "value": "two words"}],
    "isStreamingEnabled": True,
    "isContentstackAuthenticationEnabled": False,
}
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
async def emulator() -> AsyncIterator[LaunchEmulator]:
    async with LaunchEmulator(rate_limit=None, build_seconds=60.0) as started:
        yield started


@pytest.fixture
async def launch(emulator: LaunchEmulator) -> AsyncIterator[LaunchClient]:
    async with client_of(emulator, retry=ONCE) as opened:
        yield opened


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small ZIP that can be deployed."""
    path = tmp_path / "site.zip"
    path.write_bytes(SITE)
    return path


async def uploaded(launch: LaunchClient, site: Path) -> str:
    target = await launch.uploads.url_for_project()
    await launch.uploads.send(target, site)
    return target.upload_uid


# Projects


async def test_a_project_from_a_file_is_created_changed_and_deleted(launch: LaunchClient, site: Path) -> None:
    created = await launch.projects.create_from_upload(
        "landing", upload_uid=await uploaded(launch, site), description="Campaign site"
    )
    renamed = await launch.projects.update(created.uid, name="landing-2026")
    described = await launch.projects.update(created.uid, description="")
    got = await launch.projects.get(created.uid)
    await launch.projects.delete(created.uid)

    assert (created.name, created.description, created.project_type) == ("landing", "Campaign site", "FILEUPLOAD")
    assert created.repository is None
    assert created.created_at is not None
    assert (renamed.name, renamed.description) == ("landing-2026", "Campaign site")
    assert (described.name, described.description) == ("landing-2026", "")
    assert got == described
    with pytest.raises(NotFoundError, match=r"operation getProject; status 404; code launch\.PROJECT\.NOT_FOUND"):
        await launch.projects.get(created.uid)


async def test_a_project_from_git_names_its_repository(launch: LaunchClient) -> None:
    project = await launch.projects.create_from_git("storefront", git_provider=GitProvider.EXTERNAL, **GIT)

    assert project.project_type == "GITPROVIDER"
    assert project.repository is not None
    assert project.repository.repository_url == "https://github.com/acme/storefront"


async def test_a_duplicate_name_is_a_conflict(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    emulator.add_project("landing", git=True)

    with pytest.raises(ConflictError, match=r"launch\.PROJECT\.DUPLICATE_NAME"):
        await launch.projects.create_from_git("landing", **GIT)


async def test_projects_are_listed_page_by_page(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    for number in range(5):
        emulator.add_project(f"p{number}")

    pager = launch.projects.list(limit=2)

    assert sorted([str(project.name) async for project in pager]) == ["p0", "p1", "p2", "p3", "p4"]
    assert emulator.ledger.count("listProjects") == 3
    assert await pager.total() == 5
    assert len(await launch.projects.list(limit=2, skip=4).page()) == 1


async def test_a_git_repository_is_changed_with_a_custom_body(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("storefront", git=True)

    assert await launch.projects.update_git_repository(project.uid, {"any": ["thing"]}) == {"any": ["thing"]}


async def test_the_answer_to_a_changed_git_repository_may_be_empty() -> None:
    async with client_on(FakeTransport(answer(204))) as launch:
        assert await launch.projects.update_git_repository(PROJECT, {"a": 1}) is None


# Environments


async def test_an_environment_is_created_changed_and_deleted(launch: LaunchClient, site: Path) -> None:
    project = await launch.projects.create_from_upload("landing", upload_uid=await uploaded(launch, site))
    target = await launch.uploads.url_for_environment(project.uid)
    await launch.uploads.send(target, site)

    created = await launch.environments.create_from_upload(
        project.uid, "staging", upload_uid=target.upload_uid, **SETTINGS
    )
    listed = await launch.environments.list(project.uid).to_list()
    got = await launch.environments.get(project.uid, created.uid)
    await launch.environments.delete(project.uid, created.uid)

    assert {environment.name for environment in listed} == {"production", "staging"}
    assert {environment.project_uid for environment in listed} == {project.uid}
    assert (created.project_uid, got.project_uid) == (project.uid, project.uid)
    assert got.framework_preset is FrameworkPreset.ASTRO
    assert {variable.key: variable.value for variable in got.environment_variables} == {"A": "1", "B": "two words"}
    with pytest.raises(NotFoundError):
        await launch.environments.get(project.uid, created.uid)


async def test_an_environment_from_git_has_its_branch(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("storefront", git=True)

    environment = await launch.environments.create_from_git(
        project.uid, "staging", git_branch="develop", auto_deploy_on_push=True, **SETTINGS
    )

    assert (environment.git_branch, environment.auto_deploy_on_push) == ("develop", True)


async def test_every_field_of_an_update_arrives(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("landing")
    (environment,) = project.environments.values()

    updated = await launch.environments.update(
        project.uid,
        environment.uid,
        name="Production",
        description="The site",
        git_branch="main",
        auto_deploy_on_push=False,
        password_protection=PasswordProtection(is_enabled=True, username="preview", password="hidden-password"),
        has_lytics_enabled=True,
        is_cache_priming_enabled=False,
        **SETTINGS,
    )

    assert environment.settings == {
        **SETTINGS_ON_THE_WIRE,
        "name": "Production",
        "description": "The site",
        "gitBranch": "main",
        "autoDeployOnPush": False,
        "passwordProtection": {"isEnabled": True, "username": "preview", "password": "hidden-password"},
        "hasLyticsEnabled": True,
        "isCachePrimingEnabled": False,
    }
    assert updated.password_protection == PasswordProtection(
        is_enabled=True, username="preview", password="hidden-password"
    )
    assert updated.project_uid == project.uid
    assert "hidden" not in repr(updated)


async def test_a_field_that_an_update_omits_keeps_its_value(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("landing", variables=[("A", "1")])
    (environment,) = project.environments.values()

    await launch.environments.update(
        project.uid, environment.uid, password_protection=PasswordProtection(is_enabled=False)
    )

    assert environment.settings["environmentVariables"] == [{"key": "A", "value": "1"}]
    assert environment.settings["passwordProtection"] == {"isEnabled": False}


async def test_none_in_an_update_is_sent_as_null(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("landing")
    (environment,) = project.environments.values()
    await launch.projects.update(project.uid, description="The site")
    await launch.environments.update(
        project.uid, environment.uid, password_protection=PasswordProtection(is_enabled=True), **SETTINGS
    )

    undescribed = await launch.projects.update(project.uid, description=None)
    updated = await launch.environments.update(
        project.uid,
        environment.uid,
        description=None,
        output_directory=None,
        build_command=None,
        server_command=None,
        git_branch=None,
        auto_deploy_on_push=None,
        password_protection=None,
    )

    nulls = {
        "description", "outputDirectory", "buildCommand", "serverCommand", "gitBranch", "autoDeployOnPush",
        "passwordProtection",
    }  # fmt: skip
    assert {name for name, value in environment.settings.items() if value is None} == nulls
    assert undescribed.description is None
    assert (updated.build_command, updated.password_protection) == (None, None)
    assert environment.settings["environmentVariables"] == SETTINGS_ON_THE_WIRE["environmentVariables"]


@pytest.mark.parametrize(
    "parameter",
    [
        "name", "framework_preset", "environment_variables", "is_streaming_enabled",
        "is_contentstack_authentication_enabled", "has_lytics_enabled", "is_cache_priming_enabled",
    ],
)  # fmt: skip
async def test_none_for_a_field_without_null_is_refused_before_a_request(parameter: str) -> None:
    transport = FakeTransport()
    async with client_on(transport) as launch:
        with pytest.raises(InvalidArgumentError, match=parameter):
            await launch.environments.update(PROJECT, ENVIRONMENT, **{parameter: None})  # type: ignore[arg-type]

    assert transport.requests == []


async def test_an_empty_set_of_variables_removes_all_variables(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("landing", variables=[("A", "1")])
    (environment,) = project.environments.values()

    await launch.environments.update(project.uid, environment.uid, environment_variables={})

    assert environment.settings["environmentVariables"] == []


async def test_a_refusal_of_the_service_reaches_the_user_without_secrets() -> None:
    refusal = answer(
        400,
        {
            "errors": [
                {"environmentVariables.0.value": {"code": "launch.X.NOT_EMPTY", "message": "hidden-value is bad."}},
                {"passwordProtection.password": {"code": "launch.X.WEAK", "message": "hidden-password is weak."}},
            ],
            "status": 400,
        },
    )
    async with client_on(FakeTransport(refusal)) as launch:
        with pytest.raises(BadRequestError) as caught:
            await launch.environments.update(
                PROJECT,
                ENVIRONMENT,
                environment_variables={"A": "hidden-value"},
                password_protection=PasswordProtection(password="hidden-password"),
            )

    error = caught.value
    assert [fault.field for fault in error.field_errors] == [
        "environmentVariables.0.value",
        "passwordProtection.password",
    ]
    assert error.codes == ("launch.X.NOT_EMPTY", "launch.X.WEAK")
    assert "hidden" not in f"{error} {error!r} {vars(error)}"


# Every optional field reaches the wire, and nothing else


async def test_every_field_of_a_project_from_git_is_sent() -> None:
    transport = FakeTransport(answer(201, {"project": {"uid": PROJECT}}))
    async with client_on(transport) as launch:
        await launch.projects.create_from_git(
            "storefront",
            git_provider="GitHub",
            description="Shop",
            environment_name="main",
            environment_description="Of a shop",
            auto_deploy_on_push=True,
            **GIT,
            **SETTINGS,
        )

    assert transport.bodies == [
        {
            "name": "storefront",
            "description": "Shop",
            "projectType": "GITPROVIDER",
            "repository": {
                "repositoryName": "acme/storefront",
                "username": "acme",
                "repositoryUrl": "https://github.com/acme/storefront",
                "gitProviderMetadata": {"gitProvider": "GitHub"},
            },
            "environment": {
                "name": "main",
                "description": "Of a shop",
                "gitBranch": "main",
                "autoDeployOnPush": True,
                **SETTINGS_ON_THE_WIRE,
            },
        }
    ]


async def test_every_field_of_a_project_from_a_file_is_sent() -> None:
    transport = FakeTransport(answer(201, {"project": {"uid": PROJECT}}))
    async with client_on(transport) as launch:
        await launch.projects.create_from_upload("landing", upload_uid=UPLOAD, environment_name="Default", **SETTINGS)
        await launch.projects.create_from_upload("plain", upload_uid=UPLOAD)

    assert transport.bodies == [
        {
            "name": "landing",
            "projectType": "FILEUPLOAD",
            "fileUpload": {"uploadUid": UPLOAD},
            "environment": {"name": "Default", "uploadUid": UPLOAD, **SETTINGS_ON_THE_WIRE},
        },
        {
            "name": "plain",
            "projectType": "FILEUPLOAD",
            "fileUpload": {"uploadUid": UPLOAD},
            "environment": {
                "name": "production",
                "frameworkPreset": "OTHER",
                "outputDirectory": "./",
                "environmentVariables": [],
                "uploadUid": UPLOAD,
            },
        },
    ]


async def test_an_environment_sends_the_fields_that_the_vendors_tools_always_send() -> None:
    transport = FakeTransport(answer(201, {"environment": {"uid": ENVIRONMENT}}))
    async with client_on(transport) as launch:
        await launch.environments.create_from_upload(PROJECT, "staging", upload_uid=UPLOAD, framework_preset="GATSBY")
        await launch.environments.create_from_git(PROJECT, "dev", git_branch="develop")

    assert transport.bodies == [
        {
            "name": "staging",
            "frameworkPreset": "GATSBY",
            "outputDirectory": "./public",
            "environmentVariables": [],
            "uploadUid": UPLOAD,
        },
        {
            "name": "dev",
            "frameworkPreset": "OTHER",
            "outputDirectory": "./",
            "environmentVariables": [],
            "gitBranch": "develop",
        },
    ]


# Deployments


async def test_a_deployment_is_created_listed_and_read(launch: LaunchClient, site: Path) -> None:
    project = await launch.projects.create_from_upload("landing", upload_uid=await uploaded(launch, site))
    (environment,) = await launch.environments.list(project.uid).to_list()
    target = await launch.uploads.url_for_deployment(project.uid, environment.uid)
    await launch.uploads.send(target, site)

    created = await launch.deployments.create(project.uid, environment.uid, upload_uid=target.upload_uid)
    again = await launch.deployments.create(project.uid, environment.uid)
    listed = await launch.deployments.list(project.uid, environment.uid).to_list()
    got = await launch.deployments.get(project.uid, environment.uid, created.uid)

    assert [created.deployment_number, again.deployment_number] == [2, 3]
    assert {one.deployment_number for one in listed} == {1, 2, 3}
    assert all(one.ref.project_uid == project.uid for one in (*listed, got, created))
    assert all(one.ref.environment_uid == environment.uid for one in (*listed, got, created))
    assert got.status is DeploymentStatus.SKIPPED
    assert got.environment == environment.uid


async def test_a_commit_is_deployed(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("storefront", git=True)
    (environment,) = project.environments

    deployment = await launch.deployments.create(project.uid, environment, commit_hash=COMMIT)

    assert (deployment.commit_hash, deployment.git_branch) == (COMMIT, "main")


async def test_the_url_of_a_deployment_can_be_opened(
    launch: LaunchClient, emulator: LaunchEmulator, site: Path
) -> None:
    project = await launch.projects.create_from_upload("landing", upload_uid=await uploaded(launch, site))
    (environment,) = await launch.environments.list(project.uid).to_list()
    emulator.advance(61)
    live = await launch.deployments.list(project.uid, environment.uid).first()

    assert live is not None
    assert live.status is DeploymentStatus.LIVE
    assert live.url is not None
    assert live.url.startswith("http://127.0.0.1:")
    async with aiohttp.ClientSession() as session, session.get(live.url) as page:
        assert await page.text() == "<h1>Hello</h1>"


async def test_the_url_of_a_deployment_at_another_host_is_https() -> None:
    document = {"deployment": {"uid": DEPLOYMENT, "deploymentUrl": "landing.contentstackapps.com"}}
    async with client_on(FakeTransport(answer(200, document))) as launch:
        deployment = await launch.deployments.get(PROJECT, ENVIRONMENT, DEPLOYMENT)

    assert deployment.url == "https://landing.contentstackapps.com"


async def test_build_logs_are_ordered_by_time_and_can_begin_after_a_time(
    launch: LaunchClient, emulator: LaunchEmulator
) -> None:
    project = emulator.add_project("landing", deployments=1)
    (environment,) = project.environments.values()
    (deployment,) = environment.deployments

    lines = await launch.deployments.logs(project.uid, environment.uid, deployment)
    moment = lines[2].timestamp
    assert moment is not None
    elsewhere = moment.astimezone(timezone(timedelta(hours=9)))
    later = await launch.deployments.logs(project.uid, environment.uid, deployment, after=elsewhere)

    assert all(isinstance(line, LogLine) for line in lines)
    stamps = [line.timestamp for line in lines if line.timestamp]
    assert stamps == sorted(stamps)
    assert later == tuple(line for line in lines if line.timestamp and line.timestamp > moment)


@pytest.mark.parametrize("key", ["logs", "serverLogs", "bare"])
async def test_server_logs_are_read_under_any_key(key: Any) -> None:
    async with (
        LaunchEmulator(rate_limit=None, server_logs_key=key) as emulator,
        client_of(emulator, retry=ONCE) as launch,
    ):
        project = emulator.add_project("app", framework_preset="NEXTJS", deployments=1)
        (environment,) = project.environments.values()
        (deployment,) = environment.deployments
        start = datetime.now(UTC).replace(microsecond=120_000)
        emulator.add_server_log(deployment, "GET / 200", at=start.timestamp())
        emulator.add_server_log(deployment, "too late", at=start.timestamp() + 5)

        lines = await launch.deployments.server_logs(
            project.uid, environment.uid, deployment, start=start, end=start + timedelta(seconds=1)
        )

    assert [(line.message, line.source, line.timestamp) for line in lines] == [("GET / 200", "server", start)]


async def test_a_window_of_server_logs_is_requested_in_whole_milliseconds() -> None:
    transport = FakeTransport(answer(200, {"logs": []}))
    start = datetime(2026, 5, 4, 9, 5, 1, 120_000, tzinfo=UTC)
    async with client_on(transport) as launch:
        lines = await launch.deployments.server_logs(PROJECT, ENVIRONMENT, DEPLOYMENT, start=start, end=start)

    assert lines == ()
    assert transport.requests[0].url.endswith("?startTime=1777885501120&endTime=1777885501120")


async def test_a_window_that_begins_before_1970_is_requested_in_digits() -> None:
    transport = FakeTransport(answer(200, {"logs": []}))
    long_ago, end = datetime.min.replace(tzinfo=UTC), datetime(2026, 5, 4, tzinfo=UTC)
    async with client_on(transport) as launch:
        await launch.deployments.server_logs(PROJECT, ENVIRONMENT, DEPLOYMENT, start=long_ago, end=end)

    assert "?startTime=0&" in transport.requests[0].url


async def test_the_error_for_server_logs_of_a_static_site_says_why() -> None:
    async with (
        LaunchEmulator(rate_limit=None, static_server_logs_fail=True) as emulator,
        client_of(emulator, retry=ONCE) as launch,
    ):
        project = emulator.add_project("landing", deployments=1)
        (environment,) = project.environments.values()
        (deployment,) = environment.deployments
        now = datetime.now(UTC)

        with pytest.raises(ServerLogsUnavailable, match="Only server-rendered deployments have server logs") as caught:
            await launch.deployments.server_logs(project.uid, environment.uid, deployment, start=now, end=now)

    assert isinstance(caught.value.__cause__, InternalServerError)
    assert (caught.value.status, caught.value.operation) == (500, "getServerLogs")
    assert caught.value.codes == ("launch.SERVER_LOGS.GET_FAILED",)


@pytest.mark.parametrize(
    ("call", "document"),
    [
        ("logs", {"deploymentLogs": "none"}),
        ("logs", {"logs": []}),
        ("server_logs", {"lines": []}),
        ("server_logs", "text"),
    ],
)
async def test_logs_of_another_shape_are_a_decode_error(call: str, document: object) -> None:
    now = datetime.now(UTC)
    options = {} if call == "logs" else {"start": now, "end": now}
    async with client_on(FakeTransport(answer(200, document))) as launch:
        with pytest.raises(DecodeError):
            await getattr(launch.deployments, call)(PROJECT, ENVIRONMENT, DEPLOYMENT, **options)


@pytest.mark.parametrize("call", ["logs", "server_logs"])
async def test_an_odd_entry_does_not_hide_the_log(call: str) -> None:
    entries = json.loads((Path(__file__).parent.parent / "wire" / "odd_answers.json").read_text())["log_lines"]
    now = datetime.now(UTC)
    options = {} if call == "logs" else {"start": now, "end": now}
    async with client_on(FakeTransport(answer(200, {"deploymentLogs": entries, "logs": entries}))) as launch:
        lines = await getattr(launch.deployments, call)(PROJECT, ENVIRONMENT, DEPLOYMENT, **options)

    assert [line.message for line in lines] == [
        "first", "last of all times", '{"text": "an object"}', "42", "numeric stage", "a bare string", "nanoseconds",
        "no zone", "epoch",
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["downloadUrl", "url", "signedUrl"])
async def test_the_url_of_a_download_is_found_under_any_name_and_returns_the_archive(key: Any, site: Path) -> None:
    async with LaunchEmulator(rate_limit=None, download_key=key) as emulator, client_of(emulator, retry=ONCE) as launch:
        project = await launch.projects.create_from_upload("landing", upload_uid=await uploaded(launch, site))
        (environment,) = await launch.environments.list(project.uid).to_list()
        deployment = await launch.deployments.list(project.uid, environment.uid).first()
        assert deployment is not None

        download = await launch.deployments.download_url(project.uid, environment.uid, deployment.uid)
        async with aiohttp.ClientSession() as session, session.get(download.url) as archive:
            content = await archive.read()

    assert content == SITE
    assert download.expires_in == 600
    assert "sig=" not in repr(download)


@pytest.mark.parametrize(
    ("fields", "extra"),
    [
        ({"expiresIn": 600, "size": 600, "checksum": None}, {"size": 600, "checksum": None}),
        ({"expiresIn": None, "checksum": None}, {"checksum": None}),
        ({"expiresIn": "soon"}, {"expiresIn": "soon"}),
    ],
    ids=["same value", "null", "odd expiry"],
)
async def test_a_download_keeps_every_unknown_field(fields: dict[str, Any], extra: dict[str, Any]) -> None:
    async with client_on(FakeTransport(answer(200, {"downloadUrl": "https://s/1", **fields}))) as launch:
        download = await launch.deployments.download_url(PROJECT, ENVIRONMENT, DEPLOYMENT)

    assert (download.url, download.extra) == ("https://s/1", extra)


@pytest.mark.parametrize(
    ("document", "url"),
    [
        ({"downloadUrl": "", "url": "https://s/1"}, "https://s/1"),
        ({"somethingElse": 7, "link": "https://s/2", "expiresIn": "soon"}, "https://s/2"),
        ({"downloadUrl": 7, "signedUrl": "https://s/3"}, "https://s/3"),
    ],
    ids=["empty", "any https", "wrong type"],
)
async def test_the_url_of_a_download_is_found_in_another_shape(document: dict[str, Any], url: str) -> None:
    async with client_on(FakeTransport(answer(200, document))) as launch:
        download = await launch.deployments.download_url(PROJECT, ENVIRONMENT, DEPLOYMENT)

    assert download.url == url
    assert url not in repr(download)
    assert url not in repr(download.extra)


@pytest.mark.parametrize("document", [{}, [], {"url": 7}, {"link": "ftp://s/1"}, "https://s/1"], ids=repr)
async def test_a_download_without_a_url_is_a_decode_error(document: object) -> None:
    async with client_on(FakeTransport(answer(200, document))) as launch:
        with pytest.raises(DecodeError, match=r"\$: no field contains a URL"):
            await launch.deployments.download_url(PROJECT, ENVIRONMENT, DEPLOYMENT)


# The cache, the quota, hooks and the other operations


async def test_each_way_to_purge_reaches_the_service(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("landing")
    (environment,) = project.environments

    await launch.environments.revalidate_cache(project.uid, environment, path="/", is_prefix=True)
    await launch.environments.revalidate_cache(project.uid, environment, cache_tags=["a", "b", "a"])
    await launch.environments.revalidate_cache(project.uid, environment, hostnames=["www.example.com"])
    usage = await launch.usage.cache_revalidations()

    assert isinstance(usage, CacheRevalidationUsage)
    assert (usage.current_cache_revalidations, usage.max_cache_revalidations, usage.remaining) == (3, 500, 497)


async def test_a_purge_sends_only_the_given_targets() -> None:
    transport = FakeTransport(answer(204))
    async with client_on(transport) as launch:
        await launch.environments.revalidate_cache(PROJECT, ENVIRONMENT, path="/blog")
        await launch.environments.revalidate_cache(PROJECT, ENVIRONMENT, cache_tags=["a", "b", "a"])
        await launch.environments.revalidate_cache(PROJECT, ENVIRONMENT, hostnames=("www.example.com",))

    assert transport.bodies == [
        {"cachePath": {"path": "/blog", "isPrefix": False}},
        {"cacheTags": ["a", "b"]},
        {"hostnames": ["www.example.com"]},
    ]


async def test_a_deploy_hook_needs_no_credentials(emulator: LaunchEmulator) -> None:
    project = emulator.add_project("storefront", git=True)
    (environment,) = project.environments.values()
    async with LaunchClient(base_url=emulator.url) as launch:
        message = await launch.deploy_hooks.trigger(environment.hook_uid, commit=COMMIT[:7])

    assert message == "Deployment triggered successfully"
    (deployment,) = environment.deployments.values()
    assert deployment.commit_hash == COMMIT[:7]
    assert emulator.ledger.requests[-1].credentials == ()


@pytest.mark.parametrize("response", [answer(204), answer(200, []), answer(200, {"message": 7})], ids=repr)
async def test_a_deploy_hook_with_an_empty_answer_was_triggered(response: Response) -> None:
    async with client_on(FakeTransport(response)) as launch:
        assert await launch.deploy_hooks.trigger(DEPLOYMENT) == ""


async def test_the_description_of_the_api_needs_no_credentials(emulator: LaunchEmulator) -> None:
    async with LaunchClient(base_url=emulator.url) as launch:
        document = await launch.openapi()

    assert isinstance(document, dict)
    assert document["openapi"] == "3.0.0"
    assert emulator.ledger.requests[-1].credentials == ()


async def test_a_raw_request_is_sent_like_an_operation(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("landing")

    listed = await launch.request("get", "/projects", query={"limit": 1, "skip": None})
    changed = await launch.request("PUT", f"/projects/{project.uid}", json={"name": "other"})
    deleted = await launch.request("DELETE", f"/projects/{project.uid}")
    with pytest.raises(NotFoundError, match="operation GET /nowhere"):
        await launch.request("GET", "/nowhere")

    assert isinstance(listed, dict)
    assert isinstance(changed, dict)
    assert (listed["pagination"], deleted) == ({"count": 1, "limit": 1, "skip": None}, None)
    assert project.name == "other"


async def test_the_emulator_receives_every_operation(
    launch: LaunchClient, emulator: LaunchEmulator, site: Path
) -> None:
    git = emulator.add_project("storefront", git=True, deployments=1, framework_preset="NEXTJS")
    (environment,) = git.environments.values()
    (deployment,) = environment.deployments
    project = await launch.projects.create_from_upload("landing", upload_uid=await uploaded(launch, site))
    (first,) = await launch.environments.list(project.uid).to_list()
    build = await launch.deployments.list(project.uid, first.uid).first()
    assert build is not None
    now = datetime.now(UTC)

    await launch.projects.list().to_list()
    await launch.projects.get(git.uid)
    await launch.projects.update(git.uid, name="shop")
    await launch.projects.update_git_repository(git.uid, {})
    await launch.environments.get(git.uid, environment.uid)
    await launch.environments.update(git.uid, environment.uid, name="live")
    await launch.environments.revalidate_cache(git.uid, environment.uid, path="/")
    await launch.usage.cache_revalidations()
    await launch.uploads.url_for_environment(git.uid)
    await launch.uploads.url_for_deployment(git.uid, environment.uid)
    await launch.deployments.get(git.uid, environment.uid, deployment)
    await launch.deployments.create(git.uid, environment.uid)
    await launch.deployments.logs(git.uid, environment.uid, deployment)
    await launch.deployments.server_logs(git.uid, environment.uid, deployment, start=now, end=now)
    await launch.deployments.download_url(project.uid, first.uid, build.uid)
    added = await launch.environments.create_from_git(git.uid, "dev", git_branch="dev")
    await launch.environments.delete(git.uid, added.uid)
    await launch.projects.delete(git.uid)

    seen = {entry.operation for entry in emulator.ledger.requests if entry.status is not None and entry.status < 300}
    assert seen - {"uploadArchive"} == {
        "listProjects", "createProject", "getProject", "updateProject", "deleteProject", "updateProjectGitRepository",
        "listEnvironments", "createEnvironment", "getEnvironment", "updateEnvironment", "deleteEnvironment",
        "revalidateCdnCache", "getProjectUploadUrl", "getEnvironmentUploadUrl", "getDeploymentUploadUrl",
        "getDeploymentDownloadUrl", "listDeployments", "createDeployment", "getDeployment", "getDeploymentLogs",
        "getServerLogs", "getCacheRevalidationUsage",
    }  # fmt: skip


# Uploads


@pytest.mark.parametrize("style", ["aws", "azure", "gcp"])
@pytest.mark.parametrize("expiry", ["seconds", "epoch_ms"])
async def test_a_file_reaches_each_cloud_without_credentials(style: Any, expiry: Any, site: Path) -> None:
    progress: list[int] = []
    began = datetime.now(UTC)
    options: dict[str, Any] = {"rate_limit": None, "upload_style": style, "upload_expiry": expiry}
    async with LaunchEmulator(**options) as emulator, client_of(emulator, retry=ONCE) as launch:
        target = await launch.uploads.url_for_project()
        await launch.uploads.send(target, str(site), on_progress=progress.append)
        project = await launch.projects.create_from_upload("landing", upload_uid=target.upload_uid)

        (sent,) = [entry for entry in emulator.ledger.requests if entry.operation == "uploadArchive"]

    assert isinstance(project, Project)
    assert sent.credentials == ()
    assert sent.organization is None
    assert progress[-1] >= len(SITE)
    assert target.received_at is not None
    assert began <= target.received_at <= datetime.now(UTC)


def signed(**options: Any) -> SignedUploadUrl:
    return SignedUploadUrl(upload_url="https://storage.example.com/blob?sig=hidden", upload_uid=UPLOAD, **options)


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ((), {"Content-Type": "application/zip"}),
        ((("x-ms-blob-type", "BlockBlob"),), {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/zip"}),
        ((("content-type", "application/x-zip"),), {"content-type": "application/x-zip"}),
        ((("Content-Type", "  "), ("content-length", "7")), {"Content-Type": "application/zip"}),
    ],
    ids=["none", "azure", "given", "blank"],
)
async def test_a_raw_upload_has_the_given_headers_a_content_type_and_a_length(
    headers: tuple[tuple[str, str], ...], sent: dict[str, str], site: Path
) -> None:
    transport = FakeTransport(answer(201))
    target = signed(headers=tuple(UploadHeader(key=key, value=value) for key, value in headers))
    async with client_on(transport) as launch:
        await launch.uploads.send(target, site)

    (request,) = transport.requests
    assert request.method == "PUT"
    assert request.headers == {**sent, "Content-Length": str(len(SITE))}
    assert "hidden" not in repr(request)


async def test_the_form_of_an_upload_follows_the_answer_and_not_the_region(site: Path) -> None:
    transport = FakeTransport(answer(200))
    async with client_on(transport, region="gcp-na") as launch:
        await launch.uploads.send(signed(fields=(FormField(form_field_key="key", form_field_value="v"),)), site)
        await launch.uploads.send(signed(method=UploadMethod("POST")), site)

    form, raw = transport.requests
    assert (form.method, raw.method) == ("POST", "POST")
    assert ORGANIZATION not in str(form.headers) + str(raw.headers)
    assert TOKEN not in str(form.headers) + str(raw.headers)


@pytest.mark.parametrize("status", [199, 304, 400, 403, 500])
async def test_a_refusal_of_storage_is_reported_without_the_signature(status: int, site: Path) -> None:
    words = b"Policy expired: https://s/x?sig=hidden policy-hidden"
    xml = b"<Error><Code>AccessDenied</Code><Message>%s</Message></Error>" % words
    target = signed(fields=(FormField(form_field_key="Policy", form_field_value="policy-hidden"),))
    async with client_on(FakeTransport(Response(status, body=xml))) as launch:
        with pytest.raises(StorageError, match="The storage refused the upload: Policy expired") as caught:
            await launch.uploads.send(target, site)

    assert (caught.value.status, caught.value.retryable, caught.value.operation) == (status, True, "upload")
    assert "Request a new URL and send the file again" in str(caught.value)
    assert "hidden" not in f"{caught.value} {caught.value!r} {vars(caught.value)}"


async def test_a_refusal_of_storage_without_a_message_is_reported(site: Path) -> None:
    async with client_on(FakeTransport(answer(403))) as launch:
        with pytest.raises(StorageError, match=r"refused the upload\. Request a new URL"):
            await launch.uploads.send(signed(), site)


async def test_an_expired_url_is_refused_by_storage(site: Path) -> None:
    async with (
        LaunchEmulator(rate_limit=None, upload_seconds=60) as emulator,
        client_of(emulator, retry=ONCE) as launch,
    ):
        target = await launch.uploads.url_for_project()
        emulator.advance(61)

        with pytest.raises(StorageError, match="Policy expired"):
            await launch.uploads.send(target, site)


async def test_a_url_that_expires_soon_is_not_used(site: Path) -> None:
    transport = FakeTransport(answer(204))
    old = signed(received_at=datetime.now(UTC) - timedelta(minutes=9, seconds=1))
    async with client_on(transport) as launch:
        with pytest.raises(StorageError, match="more than nine minutes old"):
            await launch.uploads.send(old, site)

    assert transport.requests == []


async def test_an_unencrypted_signed_url_is_used_only_on_this_machine(site: Path) -> None:
    transport, allowed = FakeTransport(answer(204)), FakeTransport(answer(204))
    in_clear = attrs.evolve(signed(), upload_url="http://storage.example.com/blob?sig=hidden")
    here = attrs.evolve(signed(), upload_url="http://[::1]:8080/blob?sig=hidden")
    async with client_on(transport) as launch, client_on(allowed, allow_http=True) as daring:
        with pytest.raises(
            StorageError, match=r"upload to storage\.example\.com would not be encrypted.*allow_http=True"
        ) as caught:
            await launch.uploads.send(in_clear, site)
        await launch.uploads.send(here, site)
        await daring.uploads.send(in_clear, site)

    assert not caught.value.retryable
    assert "hidden" not in str(caught.value)
    assert [len(sender.requests) for sender in (transport, allowed)] == [1, 1]


@pytest.mark.parametrize("location", ["https://evil.example.com/", "/login"])
async def test_a_redirect_of_storage_is_refused(emulator: LaunchEmulator, site: Path, location: str) -> None:
    emulator.faults.add("status_before", operation="uploadArchive", status=307, headers={"Location": location})
    async with client_of(emulator, retry=ONCE) as launch:
        target = await launch.uploads.url_for_project()

        with pytest.raises(StorageError, match="never follows redirects") as caught:
            await launch.uploads.send(target, site)

    assert not caught.value.retryable
    assert emulator.ledger.count("uploadArchive") == 1


async def test_a_dropped_connection_of_storage_is_reported(emulator: LaunchEmulator, site: Path) -> None:
    emulator.faults.add("reset_before", operation="uploadArchive")
    async with client_of(emulator, retry=ONCE) as launch:
        target = await launch.uploads.url_for_project()

        with pytest.raises(StorageError, match=r"The upload failed. The connection to 127\.0\.0\.1") as caught:
            await launch.uploads.send(target, site)

    assert caught.value.retryable


# Bad input is refused before a request is spent

LONG = "x" * 201
UIDS = [
    "",
    "../secrets",
    "66c0ffee00000000000000a1?x=1",
    "66c0ffee\n0000000000000a1",
    "66C0FFEE00000000000000A1",
    "a" * 25,
]


async def unawaited(_: object) -> None:
    """Replace a callback that somebody wrote for an asynchronous program."""


BAD: list[tuple[str, str, str, Callable[[LaunchClient], Any]]] = [
    (
        "name",
        "must not be empty",
        "reference/facts.md#4-resources",
        lambda c: c.projects.create_from_upload(" ", upload_uid=UPLOAD),
    ),
    (
        "name",
        "must have at most 200 characters, not 201",
        "reference/facts.md#4-resources",
        lambda c: c.projects.create_from_upload(LONG, upload_uid=UPLOAD),
    ),
    ("name", "must be a string, not int", "", lambda c: c.projects.create_from_git(7, **GIT)),
    (
        "name",
        "must have at most 200 characters, not 201",
        "reference/facts.md#4-resources",
        lambda c: c.projects.update(PROJECT, name=LONG),
    ),
    (
        "name",
        "there is nothing to change. Pass name",
        "reference/facts.md#4-resources",
        lambda c: c.projects.update(PROJECT),
    ),
    (
        "description",
        "must have at most 255 characters, not 256",
        "reference/facts.md#4-resources",
        lambda c: c.projects.create_from_upload("x", upload_uid=UPLOAD, description="d" * 256),
    ),
    (
        "description",
        "must have at most 255 characters",
        "reference/facts.md#4-resources",
        lambda c: c.projects.update(PROJECT, description="d" * 256),
    ),
    (
        "environment_name",
        "must have at most 200 characters",
        "reference/facts.md#4-resources",
        lambda c: c.projects.create_from_git("x", environment_name=LONG, **GIT),
    ),
    (
        "upload_uid",
        "must not be empty",
        "reference/facts.md#5-upload-flow",
        lambda c: c.projects.create_from_upload("x", upload_uid=""),
    ),
    (
        "name",
        "contains characters that UTF-8 cannot encode",
        "openapi.yaml",
        lambda c: c.projects.update(PROJECT, name="x\ud800"),
    ),
    ("json", "cannot be written", "", lambda c: c.environments.update(PROJECT, ENVIRONMENT, description="x\ud800")),
    (
        "git_branch",
        "must not be empty",
        "openapi.yaml",
        lambda c: c.projects.create_from_git("x", **{**GIT, "git_branch": ""}),
    ),
    (
        "framework_preset",
        "must be one of GATSBY, NEXTJS.*, not 'NUXTJS'",
        "reference/facts.md#4-resources",
        lambda c: c.projects.create_from_git("x", framework_preset="NUXTJS", **GIT),
    ),
    (
        "framework_preset",
        "must not be empty",
        "reference/facts.md#4-resources",
        lambda c: c.environments.update(PROJECT, ENVIRONMENT, framework_preset=""),
    ),
    (
        "framework_preset",
        "must be one of .*, not 'next'",
        "reference/facts.md#4-resources",
        lambda c: c.environments.create_from_upload(PROJECT, "x", upload_uid=UPLOAD, framework_preset="next"),
    ),
    (
        "environment_variables",
        "must have at most 128 variables, not 129",
        "reference/facts.md#4-resources",
        lambda c: c.environments.update(PROJECT, ENVIRONMENT, environment_variables={str(n): "x" for n in range(129)}),
    ),
    (
        "environment_variables",
        "must have at most 14,336 bytes .*, not 14,337",
        "reference/facts.md#4-resources",
        lambda c: c.environments.update(PROJECT, ENVIRONMENT, environment_variables={"K": "v" * 14336}),
    ),
    (
        "environment_variables",
        "the value of 'K' is empty",
        "reference/facts.md#4-resources",
        lambda c: c.environments.create_from_git(PROJECT, "x", git_branch="m", environment_variables={"K": ""}),
    ),
    (
        "environment_variables",
        "the name of a variable is empty",
        "reference/facts.md#4-resources",
        lambda c: c.environments.update(PROJECT, ENVIRONMENT, environment_variables={"": "hidden-value"}),
    ),
    (
        "environment_variables",
        "must be a mapping of names to values, not list",
        "",
        lambda c: c.environments.update(PROJECT, ENVIRONMENT, environment_variables=[("K", "hidden-value")]),
    ),
    (
        "environment_variables",
        "the value of 'K' must be a string, not int",
        "openapi.yaml",
        lambda c: c.environments.update(PROJECT, ENVIRONMENT, environment_variables={"K": 7}),
    ),
    (
        "environment_variables",
        "the name or the value of 'K' cannot be encoded as UTF-8",
        "openapi.yaml",
        lambda c: c.environments.update(PROJECT, ENVIRONMENT, environment_variables={"K": "hidden-value\ud800"}),
    ),
    (
        "name",
        "there is nothing to change",
        "reference/facts.md#4-resources",
        lambda c: c.environments.update(PROJECT, ENVIRONMENT),
    ),
    (
        "upload_uid",
        "pass commit_hash or upload_uid, not both",
        "openapi.yaml",
        lambda c: c.deployments.create(PROJECT, ENVIRONMENT, commit_hash=COMMIT, upload_uid=UPLOAD),
    ),
    (
        "commit_hash",
        "must not be empty",
        "openapi.yaml",
        lambda c: c.deployments.create(PROJECT, ENVIRONMENT, commit_hash=""),
    ),
    (
        "after",
        "must have a time zone",
        "",
        lambda c: c.deployments.logs(PROJECT, ENVIRONMENT, DEPLOYMENT, after=datetime(2026, 1, 1)),
    ),
    (
        "after",
        "must be a datetime, not str",
        "",
        lambda c: c.deployments.logs(PROJECT, ENVIRONMENT, DEPLOYMENT, after="2026-01-01"),
    ),
    (
        "end",
        "must not be before start",
        "openapi.yaml",
        lambda c: c.deployments.server_logs(
            PROJECT,
            ENVIRONMENT,
            DEPLOYMENT,
            start=datetime(2026, 1, 2, tzinfo=UTC),
            end=datetime(2026, 1, 1, tzinfo=UTC),
        ),
    ),
    (
        "start",
        "must have a time zone",
        "",
        lambda c: c.deployments.server_logs(
            PROJECT, ENVIRONMENT, DEPLOYMENT, start=datetime(2026, 1, 2), end=datetime(2026, 1, 3, tzinfo=UTC)
        ),
    ),
    (
        "path",
        "pass exactly one of path, cache_tags and hostnames$",
        "reference/facts.md#8-cdn-revalidation",
        lambda c: purge(c),
    ),
    (
        "hostnames",
        "pass exactly one of .*, not path and hostnames",
        "reference/facts.md#8-cdn-revalidation",
        lambda c: purge(c, path="/", hostnames=["h"]),
    ),
    (
        "hostnames",
        "pass exactly one of .*, not cache_tags and",
        "reference/facts.md#8-cdn-revalidation",
        lambda c: purge(c, cache_tags=["t"], hostnames=["h"]),
    ),
    (
        "is_prefix",
        "works only together with path",
        "reference/facts.md#8-cdn-revalidation",
        lambda c: purge(c, cache_tags=["t"], is_prefix=True),
    ),
    ("path", "must start with a slash, not 'blog'", "openapi.yaml", lambda c: purge(c, path="blog")),
    (
        "cache_tags",
        "must have at most 100 entries, not 101",
        "reference/facts.md#8-cdn-revalidation",
        lambda c: purge(c, cache_tags=[str(n) for n in range(101)]),
    ),
    ("cache_tags", "must not be empty", "reference/facts.md#8-cdn-revalidation", lambda c: purge(c, cache_tags=[])),
    ("cache_tags", "must be a list of strings, not 'tag'", "openapi.yaml", lambda c: purge(c, cache_tags="tag")),
    ("hostnames", "must not be empty", "reference/facts.md#8-cdn-revalidation", lambda c: purge(c, hostnames=[])),
    ("hostnames", "must not be empty", "reference/facts.md#8-cdn-revalidation", lambda c: purge(c, hostnames=[" "])),
    ("hook_uid", "must be 24 lower-case hex digits", "", lambda c: c.deploy_hooks.trigger("hidden-value")),
    ("hook_uid", "must be 24 lower-case hex digits", "", lambda c: c.deploy_hooks.trigger(f"{DEPLOYMENT}\n")),
    (
        "commit",
        "must not be empty",
        "reference/facts.md#4-resources",
        lambda c: c.deploy_hooks.trigger(DEPLOYMENT, commit=""),
    ),
    ("method", "must be one of DELETE, GET.*, not 'TRACE'", "", lambda c: c.request("TRACE", "/x")),
    ("path", "must start with exactly one slash", "", lambda c: c.request("GET", "projects")),
    ("path", "must start with exactly one slash", "", lambda c: c.request("GET", "//evil.example.com/x")),
    ("path", "must start with exactly one slash", "", lambda c: c.request("GET", "/projects/../x")),
    ("path", "must start with exactly one slash", "", lambda c: c.request("GET", "/projects/%2e%2E/x")),
    ("path", "must be percent-encoded", "", lambda c: c.request("GET", "/projects?limit=0")),
    ("path", "must be percent-encoded", "", lambda c: c.request("GET", "/pro jects")),
    ("path", "must be percent-encoded", "", lambda c: c.request("GET", "/projécts")),
    ("path", "must be percent-encoded", "", lambda c: c.request("GET", "/x\\y")),
    ("path", "must be percent-encoded", "", lambda c: c.request("GET", "/x\r\nHost: evil")),
    ("on_log", "must be a plain function", "", lambda c: c.deploy(PROJECT, ENVIRONMENT, "site", on_log=unawaited)),
    ("on_progress", "must be a plain function", "", lambda c: c.create_site("x", "site", on_progress=unawaited)),
    (
        "on_progress",
        "must be a plain function",
        "",
        lambda c: c.uploads.send(signed(), "site.zip", on_progress=unawaited),
    ),
    (
        "on_update",
        "must be a plain function",
        "",
        lambda c: c.wait(DeploymentRef(PROJECT, ENVIRONMENT, DEPLOYMENT), on_update=unawaited),
    ),
    ("method", "must be one of DELETE, GET.*, not None", "", lambda c: c.request(None, "/x")),
    ("query", "must be a mapping", "", lambda c: c.request("GET", "/x", query="limit=hidden-value")),
    (
        "query",
        "the value of 'tags' must be a whole number, or a string",
        "",
        lambda c: c.request("GET", "/x", query={"tags": ["hidden-value"]}),
    ),
    (
        "query",
        "the value of 'tag' must be a whole number, or a string",
        "",
        lambda c: c.request("GET", "/x", query={"tag": "hidden-value\ud800"}),
    ),
    ("json", "cannot be written as JSON", "", lambda c: c.request("POST", "/x", json={"a": object()})),
]


def purge(launch: LaunchClient, **options: Any) -> Coroutine[Any, Any, None]:
    return launch.environments.revalidate_cache(PROJECT, ENVIRONMENT, **options)


@pytest.mark.parametrize(
    ("parameter", "problem", "rule", "call"), BAD, ids=[f"{name}: {problem}" for name, problem, _, _ in BAD]
)
async def test_bad_input_is_refused_before_a_request_naming_parameter_problem_and_rule(
    parameter: str, problem: str, rule: str, call: Callable[[LaunchClient], Any]
) -> None:
    transport = FakeTransport(answer(500))
    async with client_on(transport) as launch:
        with pytest.raises(InvalidArgumentError, match=f"^{parameter}: {problem}") as caught:
            await call(launch)

        assert launch.budget.sent == 0
    assert (caught.value.parameter, caught.value.rule) == (parameter, rule)
    assert "hidden" not in f"{caught.value} {vars(caught.value)}"
    assert transport.requests == []


@pytest.mark.parametrize("uid", [*UIDS, 7, None], ids=repr)
@pytest.mark.parametrize(
    ("parameter", "call"),
    [
        ("project_uid", lambda c, uid: c.projects.get(uid)),
        ("project_uid", lambda c, uid: c.projects.delete(uid)),
        ("environment_uid", lambda c, uid: c.environments.get(PROJECT, uid)),
        ("environment_uid", lambda c, uid: c.deployments.create(PROJECT, uid)),
        ("deployment_uid", lambda c, uid: c.deployments.logs(PROJECT, ENVIRONMENT, uid)),
        ("project_uid", lambda c, uid: c.uploads.url_for_environment(uid)),
    ],
)
async def test_a_malformed_uid_never_reaches_a_path(
    parameter: str, uid: Any, call: Callable[[LaunchClient, Any], Any]
) -> None:
    transport = FakeTransport(answer(500))
    async with client_on(transport) as launch:
        with pytest.raises(InvalidArgumentError, match=f"^{parameter}: "):
            await call(launch, uid)

    assert transport.requests == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            "production",
            r"must be a UID of 24 .* not 'production'.*launch\.find\(project, 'production'\) returns the UIDs",
        ),
        (Project(uid=PROJECT), "must be a string, not Project. Pass its attribute uid"),
        (
            DeploymentRef(PROJECT, ENVIRONMENT, DEPLOYMENT),
            "must be a string, not DeploymentRef. Pass its attribute environment_uid",
        ),
    ],
)
async def test_the_error_for_a_name_or_an_object_says_where_the_uid_is(given: Any, problem: str) -> None:
    async with client_on(FakeTransport(answer(500))) as launch:
        with pytest.raises(InvalidArgumentError, match=f"^environment_uid: {problem}"):
            await launch.deploy(PROJECT, given, "site")


SOME_TIME = datetime(2026, 5, 1, tzinfo=UTC)
BY_REFERENCE: dict[str, tuple[Callable[..., Any], object]] = {
    "get": (lambda deployments, *place: deployments.get(*place), {"deployment": {"uid": DEPLOYMENT}}),
    "logs": (lambda deployments, *place: deployments.logs(*place), {"deploymentLogs": []}),
    "server_logs": (
        lambda deployments, *place: deployments.server_logs(*place, start=SOME_TIME, end=SOME_TIME),
        {"logs": []},
    ),
    "download_url": (lambda deployments, *place: deployments.download_url(*place), {"url": "https://storage.test/zip"}),
}


@pytest.mark.parametrize("method", BY_REFERENCE)
async def test_a_method_of_one_deployment_takes_a_reference_or_the_deployment(method: str) -> None:
    call, document = BY_REFERENCE[method]
    transport = FakeTransport(*[answer(200, document)] * 3)
    ref = DeploymentRef(PROJECT, ENVIRONMENT, DEPLOYMENT)
    deployment = Deployment(uid=DEPLOYMENT, project_uid=PROJECT, environment_uid=ENVIRONMENT)

    async with client_on(transport) as launch:
        await call(launch.deployments, ref)
        await call(launch.deployments, deployment)
        await call(launch.deployments, PROJECT, ENVIRONMENT, DEPLOYMENT)

    assert len({request.url for request in transport.requests}) == 1


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ((PROJECT,), "environment_uid: is required. Pass all three UIDs, or a single DeploymentRef"),
        ((PROJECT, ENVIRONMENT), "deployment_uid: is required"),
        (
            (DeploymentRef(PROJECT, ENVIRONMENT, DEPLOYMENT), ENVIRONMENT),
            "environment_uid: must not be set, because the DeploymentRef",
        ),
    ],
)
async def test_a_deployment_must_be_named_once_and_completely(place: tuple[Any, ...], problem: str) -> None:
    async with client_on(FakeTransport(answer(500))) as launch:
        with pytest.raises(InvalidArgumentError, match=f"^{problem}"):
            await launch.deployments.get(*place)


@pytest.mark.parametrize("listing", [lambda c: c.environments.list(""), lambda c: c.deployments.list(PROJECT, "x")])
async def test_a_listing_with_a_malformed_uid_is_refused_when_it_is_created(
    listing: Callable[[LaunchClient], Any],
) -> None:
    async with client_on(FakeTransport(answer(500))) as launch:
        with pytest.raises(InvalidArgumentError, match="uid: "):
            listing(launch)


@pytest.mark.parametrize("limit", [0, 101])
async def test_the_limit_of_a_listing_is_checked(limit: int) -> None:
    async with client_on(FakeTransport(answer(500))) as launch:
        for listing in (
            lambda: launch.projects.list(limit=limit),
            lambda: launch.environments.list(PROJECT, limit=limit),
            lambda: launch.deployments.list(PROJECT, ENVIRONMENT, limit=limit),
        ):
            with pytest.raises(InvalidArgumentError, match="limit: "):
                listing()


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        (0, ".* must have 1,024 to 104,857,600 bytes .*, not 0"),
        (1023, ".* must have 1,024 to .*, not 1,023"),
        (104_857_601, ".* must have 1,024 to .*, not 104,857,601"),
    ],
)
async def test_an_archive_of_an_invalid_size_is_not_sent(size: int, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "site.zip"
    with path.open("wb") as sparse:
        sparse.truncate(size)
    transport = FakeTransport(answer(204))
    async with client_on(transport) as launch:
        with pytest.raises(InvalidArgumentError, match=f"^file: {problem}"):
            await launch.uploads.send(signed(), path)

    assert transport.requests == []


@pytest.mark.parametrize("size", [1024, 104_857_600])
async def test_an_archive_of_the_smallest_or_largest_size_is_sent(size: int, tmp_path: Path) -> None:
    path = tmp_path / "site.zip"
    with path.open("wb") as sparse:
        sparse.truncate(size)
    transport = FakeTransport(answer(204))
    async with client_on(transport) as launch:
        await launch.uploads.send(signed(), path)

    assert len(transport.requests) == 1


async def test_a_path_that_is_no_file_is_not_sent(tmp_path: Path) -> None:
    async with client_on(FakeTransport(answer(204))) as launch:
        with pytest.raises(InvalidArgumentError, match=r"is not a file. To deploy a folder, call deploy\(\)"):
            await launch.uploads.send(signed(), tmp_path)
        with pytest.raises(InvalidArgumentError, match="cannot be read: No such file or directory"):
            await launch.uploads.send(signed(), tmp_path / "missing.zip")


async def test_values_at_the_limits_are_sent() -> None:
    transport = FakeTransport(answer(200, {"environment": {"uid": ENVIRONMENT}}))
    async with client_on(transport) as launch:
        await launch.environments.update(PROJECT, ENVIRONMENT, name="x" * 200, environment_variables={"K": "v" * 14335})
        await launch.environments.update(
            PROJECT, ENVIRONMENT, environment_variables={str(number): "x" for number in range(128)}
        )
        await launch.environments.revalidate_cache(PROJECT, ENVIRONMENT, cache_tags=[str(n) for n in range(100)] * 2)

    assert len(transport.requests) == 3


async def test_bad_input_never_reaches_the_emulator(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    with pytest.raises(InvalidArgumentError):
        await launch.projects.get("../organizations")

    assert emulator.ledger.requests == []


async def test_organizations_do_not_see_each_other(emulator: LaunchEmulator) -> None:
    project = emulator.add_project("landing")
    other = emulator.add_organization()
    async with LaunchClient(
        AccessToken(other.access_token), base_url=emulator.url, limiter=UnlimitedRateLimiter()
    ) as launch:
        with pytest.raises(NotFoundError):
            await launch.projects.get(project.uid)
