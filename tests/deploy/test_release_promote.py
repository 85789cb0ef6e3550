"""Promotion: the version of one environment is deployed to another, if possible without another upload."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from launch_async import (
    Authtoken,
    Check,
    Commit,
    Deployment,
    DeploymentUnhealthy,
    Environment,
    FrameworkPreset,
    InvalidArgumentError,
    LaunchClient,
    NotFoundError,
    build_archive,
)
from launch_async.deploy.release.promoting import differences
from launch_async.http import AiohttpTransport, Request, Response
from launch_async.models import EnvironmentVariable
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.clients import client_of

UNKNOWN_UID = "66c0aaaaaaaaaaaaaaaaaaaa"
LOGGER = "launch_async.deploy.release.promoting"
SECRET = "canary-of-a-secret"


@pytest.fixture
async def staging(launch, version):
    """A new deployment in a staging environment, and the UIDs of production."""
    _, client = launch
    site = await client.create_site("night-sky", version("old"), environment_name="production")
    signed = await client.uploads.url_for_environment(site.project.uid)
    with build_archive(version("old")) as archive:
        await client.uploads.send(signed, archive.path)
    environment = await client.environments.create_from_upload(
        site.project.uid, "staging", upload_uid=signed.upload_uid
    )
    deployment = await client.deploy(site.project.uid, environment.uid, version("new"))
    return deployment, (site.project.uid, site.environment.uid)


async def test_the_same_upload_is_deployed_without_sending_it_again(launch, staging, fetch):
    emulator, client = launch
    deployment, production = staging
    sent = emulator.ledger.count("uploadArchive")

    promoted = await client.promote(deployment, *production)

    assert promoted.status.is_serving
    assert promoted.environment_uid == production[1]
    assert "new" in await fetch(promoted.url)
    assert emulator.ledger.count("uploadArchive") == sent
    assert emulator.ledger.count("downloadArchive") == 0


async def test_another_client_uploads_the_same_bytes_again(launch, staging):
    emulator, _ = launch
    deployment, production = staging

    async with client_of(emulator) as other:
        promoted = await other.promote(deployment.ref, *production)
        hashes = [await other.deployments._zip_hash(one) for one in (promoted, deployment)]

    assert hashes[0] is not None
    assert hashes[0] == hashes[1]
    assert emulator.ledger.count("downloadArchive") >= 1


async def test_a_downloaded_zip_may_be_larger_than_other_answers(launch, staging):
    emulator, _ = launch
    deployment, production = staging
    limits: dict[str, int] = {}

    class Recording(AiohttpTransport):
        async def send(self, request: Request) -> Response:
            limits[request.operation] = request.response_limit
            return await super().send(request)

    async with LaunchClient(
        Authtoken(emulator.authtoken),
        organization_uid=emulator.organization_uid,
        base_url=emulator.url,
        limiter=UnlimitedRateLimiter(),
        transport=Recording(),
    ) as other:
        await other.promote(deployment.ref, *production)

    assert limits["download"] == 104_857_600


async def test_an_expired_upload_is_sent_again(launch, staging, fetch):
    emulator, client = launch
    deployment, production = staging
    body = '{"errors": [{"code": "launch.DEPLOYMENT.UPLOADED_FILE_NOT_FOUND_ERROR", "message": "gone"}]}'
    emulator.faults.add("status_before", operation="createDeployment", status=404, body=body, times=1)

    promoted = await client.promote(deployment.ref.to_json(), *production)

    assert "new" in await fetch(promoted.url)


async def test_a_commit_is_promoted_by_its_hash(launch):
    emulator, client = launch
    project = emulator.add_project("from-git", environments=["staging", "production"], git=True)
    staging, production = project.environments
    deployment = await client.deploy(project.uid, staging, Commit("c" * 40))

    promoted = await client.promote(deployment, project.uid, production)

    assert promoted.commit_hash == "c" * 40


@pytest.mark.parametrize(
    ("outcome", "words"), [("FAILED", "Promote a deployment that succeeded"), ("CANCELLED", "CANCELLED")]
)
async def test_a_deployment_that_did_not_succeed_is_refused(launch, staging, outcome, words):
    emulator, client = launch
    deployment, production = staging
    uid = emulator.add_deployment(deployment.environment_uid, outcome, seconds=0)
    bad = await client.deployments.get(deployment.project_uid, deployment.environment_uid, uid)
    before = emulator.ledger.count("createDeployment")

    with pytest.raises(InvalidArgumentError, match=words):
        await client.promote(bad, *production)

    assert emulator.ledger.count("createDeployment") == before


async def test_a_deployment_that_is_still_running_is_refused(launch, staging):
    emulator, client = launch
    deployment, production = staging
    uid = emulator.add_deployment(deployment.environment_uid, seconds=3600)
    running = await client.deployments.get(deployment.project_uid, deployment.environment_uid, uid)

    with pytest.raises(InvalidArgumentError, match=r"Wait for it first with launch\.wait\(...\)"):
        await client.promote(running, *production)


async def test_an_environment_is_not_promoted_to_itself(launch, staging):
    _, client = launch
    deployment, _ = staging

    with pytest.raises(InvalidArgumentError, match=r"Call launch.restore\(..., to=...\)"):
        await client.promote(deployment, deployment.project_uid, deployment.environment_uid)


async def test_an_unknown_target_is_an_error_before_a_deployment(launch, staging):
    emulator, client = launch
    deployment, production = staging
    before = emulator.ledger.count("createDeployment")

    with pytest.raises(NotFoundError):
        await client.promote(deployment, production[0], UNKNOWN_UID)

    assert emulator.ledger.count("createDeployment") == before


async def test_an_unhealthy_promotion_is_restored(launch, staging, fetch):
    _, client = launch
    deployment, production = staging

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        await client.promote(
            deployment,
            *production,
            verify=Check(contains="old", every=0.01, attempts=1, grace=0),
            on_failure="restore",
        )

    assert isinstance(unhealthy.value.restored, Deployment)
    assert "old" in await fetch(unhealthy.value.restored.url)


async def test_the_warning_names_the_differences_of_the_environments_without_values(launch, staging, caplog):
    _, client = launch
    deployment, production = staging
    await client.environments.update(
        *production, build_command=f"echo {SECRET}", environment_variables={"API_TOKEN": SECRET, "SAME": "1"}
    )
    await client.environments.update(
        deployment.project_uid, deployment.environment_uid, environment_variables={"API_TOKEN": "other", "SAME": "1"}
    )

    with caplog.at_level(logging.WARNING, LOGGER):
        await client.promote(deployment, *production)

    (warning,) = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert "build_command differs" in warning
    assert "variables with different values: API_TOKEN" in warning
    assert "SAME" not in warning
    assert SECRET not in caplog.text


def test_equal_environments_have_no_differences() -> None:
    def environment(uid: str, **fields: Any) -> Environment:
        return Environment(uid=uid, **fields)

    variable = EnvironmentVariable(key="A", value="1")
    same = {"environment_variables": (variable,), "framework_preset": FrameworkPreset.NEXTJS, "build_command": ""}

    assert differences(environment("a", **same), environment("b", **{**same, "build_command": None})) == []
    assert differences(environment("a", **same), environment("b", **{**same, "environment_variables": ()})) == [
        "variables only in the source: A"
    ]
    assert differences(environment("a", **same), environment("b", **{**same, "framework_preset": None})) == [
        "framework_preset is NEXTJS in the source and None in the target"
    ]
