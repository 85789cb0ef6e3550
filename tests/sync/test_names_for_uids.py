"""A name instead of a UID is refused before a request, and the error names the call that returns the UID."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from launch_sync import DeploymentRef, InvalidArgumentError, LaunchClient, PreviousUpload
from launch_sync.emulator import LaunchEmulator

UID = "a" * 24
NOW = datetime(2026, 1, 1, tzinfo=UTC)

BY_PROJECT: dict[str, Callable[[LaunchClient, str], object]] = {
    "projects.get": lambda launch, uid: launch.projects.get(uid),
    "projects.update": lambda launch, uid: launch.projects.update(uid, name="moon"),
    "projects.delete": lambda launch, uid: launch.projects.delete(uid),
    "environments.list": lambda launch, uid: launch.environments.list(uid),
    "deployments.list": lambda launch, uid: launch.deployments.list(uid, UID),
    "domains.list": lambda launch, uid: launch.domains.list(uid, "production"),
    "domains.update": lambda launch, uid: launch.domains.update(uid, UID, UID, url="moon.example.com"),
    "uploads.url_for_environment": lambda launch, uid: launch.uploads.url_for_environment(uid),
    "previews.list": lambda launch, uid: launch.previews.list(uid),
    "previews.sweep": lambda launch, uid: launch.previews.sweep(project_uid=uid),
}
BY_ENVIRONMENT: dict[str, Callable[[LaunchClient, str], object]] = {
    "environments.get": lambda launch, uid: launch.environments.get(UID, uid),
    "environments.update": lambda launch, uid: launch.environments.update(UID, uid, name="moon"),
    "environments.delete": lambda launch, uid: launch.environments.delete(UID, uid),
    "environments.revalidate_cache": lambda launch, uid: launch.environments.revalidate_cache(UID, uid, path="/"),
    "deployments.get": lambda launch, uid: launch.deployments.get(UID, uid, UID),
    "deployments.logs": lambda launch, uid: launch.deployments.logs(UID, uid, UID),
    "deployments.server_logs": lambda launch, uid: launch.deployments.server_logs(UID, uid, UID, start=NOW, end=NOW),
    "domains.list": lambda launch, uid: launch.domains.list(UID, uid),
    "uploads.url_for_deployment": lambda launch, uid: launch.uploads.url_for_deployment(UID, uid),
    "variables.diff": lambda launch, uid: launch.variables.diff(UID, uid, {}),
    "deploy": lambda launch, uid: launch.deploy(UID, uid, PreviousUpload()),
    "restore": lambda launch, uid: launch.restore(UID, uid),
    "promote": lambda launch, uid: launch.promote(DeploymentRef(UID, UID, UID), UID, uid),
    "wait": lambda launch, uid: launch.wait(DeploymentRef(UID, uid, UID)),
    "previews.extend": lambda launch, uid: launch.previews.extend((UID, uid), 60.0),
}


@pytest.mark.parametrize(
    ("call", "advice"),
    [pytest.param(call, "launch.find('shop')", id=name) for name, call in BY_PROJECT.items()]
    + [pytest.param(call, "launch.find(project, 'shop')", id=name) for name, call in BY_ENVIRONMENT.items()],
)
def test_a_name_instead_of_a_uid_is_refused_with_the_call_that_finds_the_uid(
    sync_launch_client: LaunchClient,
    launch_emulator: LaunchEmulator,
    call: Callable[[LaunchClient, str], object],
    advice: str,
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        call(sync_launch_client, "shop")

    assert f" {advice} " in str(caught.value)
    assert launch_emulator.ledger.count() == 0
