"""The client works with each possible behaviour of the service that no source documents (FACTS §11)."""

from datetime import timedelta

import pytest

from launch_async import AppCredentials
from launch_async.emulator import LaunchEmulator
from tests.support.clients import client_of

# Together these two contain every behaviour that matters without Git. None is a default of the emulator.
ONE = {
    "app_token_git_status": 401,
    "check_bearer_organization": True,
    "create_status": 202,
    "download_key": "url",
    "list_order": "oldest",
    "log_bound": "inclusive",
    "machine_refresh_token": True,
    "oauth_path": "/apps-api/token",
    "required_settings": ["outputDirectory", "environmentVariables"],
    "revalidate_body": False,
    "server_logs_key": "serverLogs",
    "superseded_status": "DEPLOYED",
    "unset_fields": "null",
    "upload_style": "gcp_form",
    "usage_reset": "epoch_ms",
    "usage_scope": "launch:manage",
    "variables_update": "merge",
    "while_building": "fail",
}
OTHER = {
    "create_status": 200,
    "download_key": "signedUrl",
    "list_order": "uid",
    "log_retention": 3600.0,
    "oauth_path": "/apps-api/apps/token",
    "revalidate_status": 204,
    "scope_parameter": "scopes",
    "server_logs_key": "bare",
    "upload_expiry": "epoch_ms",
    "upload_style": "azure",
    "usage_scope": "launch.projects:read",
    "while_building": "refuse",
    "wrong_method_status": 404,
}


@pytest.mark.parametrize("behaviour", [ONE, OTHER], ids=["one", "other"])
async def test_a_site_can_be_created_deployed_changed_and_read(tmp_path, behaviour):
    """The client must not depend on an assumed behaviour."""
    (tmp_path / "index.html").write_text("<h1>Hello</h1>" + 2048 * "-")
    async with (
        LaunchEmulator(rate_limit=None, build_seconds=0, **behaviour) as emulator,
        client_of(emulator, credentials=AppCredentials(emulator.client_id, emulator.client_secret)) as launch,
    ):
        site = await launch.create_site("landing", tmp_path, framework_preset="NUXT", output_directory="./")
        at = (site.project.uid, site.environment.uid)
        second = await launch.deploy(*at, tmp_path)
        emulator.add_server_log(second.uid, "GET / 200")
        changed = await launch.variables.apply(await launch.variables.diff(*at, {"KEY": "value"}))
        await launch.environments.revalidate_cache(*at, path="/blog")
        usage = await launch.usage.cache_revalidations()
        numbers = [deployment.deployment_number async for deployment in launch.deployments.list(*at)]
        lines = [line.message async for line in launch.follow_logs(second)]
        target = await launch.deployments.download_url(*at, second.uid)
        made = second.created_at
        served = await launch.deployments.server_logs(*at, second.uid, start=made, end=made + timedelta(days=1))

    assert (site.deployment.status, second.status, sorted(numbers)) == ("LIVE", "LIVE", [1, 2])
    assert [variable.key for variable in changed.environment_variables] == ["KEY"]
    assert usage.current_cache_revalidations == 1
    assert lines.count("Deployment is live") == 1
    assert [line.message for line in served] == ["GET / 200"]
    assert target.url.startswith(emulator.url)
