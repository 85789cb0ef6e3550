"""Call every operation of the client, once with as few and once with as many arguments as possible."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import launch_async
from contract.api_document import Exchange
from contract.recording_proxy import recording_proxy
from launch_async import AccessToken, AppCredentials
from launch_async.emulator import LaunchEmulator
from launch_async.models.environment import PasswordProtection
from tests.support.certificates import issued
from tests.support.clients import client_of

SETTINGS = {
    "framework_preset": "NUXT",
    "output_directory": "./.output",
    "build_command": "npm run build",
    "server_command": "npm start",
    "environment_variables": {"KEY": "value", "ÄÖÜ": "<&>\n\u2028😀"},
    "is_streaming_enabled": True,
    "is_contentstack_authentication_enabled": False,
}
GIT = {
    "repository_name": "acme/site",
    "username": "acme",
    "repository_url": "https://git.example.com/acme/site",
    "git_branch": "main",
}
UNKNOWN_UID = "0" * 24


async def call_all_operations(folder: Path) -> list[Exchange]:
    """Call all operations, and return the exchanges. `folder` is for files."""
    archive = folder / "site.zip"
    archive.write_bytes(_archive())
    async with (
        LaunchEmulator(rate_limit=None, build_seconds=0, live_log_cap=0.05) as emulator,
        recording_proxy(emulator.url) as proxy,
    ):
        await _call_git_projects(emulator, proxy.url, archive)
        await _call_uploads(emulator, proxy.url, archive)
        await _call_other_operations(emulator, proxy.url, folder)
        await _call_logins(emulator, proxy.url)
        await _call_oauth(emulator, proxy.url)
        return proxy.exchanges


async def _call_git_projects(emulator: LaunchEmulator, url: str, archive: Path) -> None:
    """Call the operations of Git projects as a user."""
    async with client_of(emulator, base_url=url) as client:
        project = await client.projects.create_from_git("least", **GIT)
        await client.projects.create_from_git(
            "most",
            **GIT,
            **SETTINGS,
            git_provider="ExternalGitProvider",
            description="A site",
            environment_name="production",
            environment_description="Of a site",
            auto_deploy_on_push=True,
        )
        assert await client.projects.list().page()
        assert await client.projects.list(limit=1, skip=1).page()
        await client.projects.get(project.uid)
        await client.projects.update(project.uid, name="renamed", description="Described")
        await client.projects.update(project.uid, name="least")
        await client.projects.update_git_repository(project.uid, {"repository": {"repositoryName": "acme/other"}})
        await client.environments.create_from_git(project.uid, "least", git_branch="next")
        environment = await client.environments.create_from_git(
            project.uid, "most", git_branch="next", description="Described", auto_deploy_on_push=False, **SETTINGS
        )
        await client.deployments.create(project.uid, environment.uid)
        await client.deployments.create(project.uid, environment.uid, commit_hash="0123456789abcdef")
        await client.environments.delete(project.uid, environment.uid)
        await client.projects.delete(project.uid)


async def _call_uploads(emulator: LaunchEmulator, url: str, archive: Path) -> None:
    """Call the operations of file-upload projects with a bearer token."""
    async with client_of(emulator, base_url=url, credentials=AccessToken(emulator.access_token)) as client:
        target = await client.uploads.url_for_project()
        await client.uploads.send(target, archive)
        await client.projects.create_from_upload("plain", upload_uid=target.upload_uid)
        project = await client.projects.create_from_upload(
            "full",
            upload_uid=target.upload_uid,
            description="A site",
            environment_name="production",
            environment_description="Of a site",
            **SETTINGS,
        )
        target = await client.uploads.url_for_environment(project.uid)
        await client.uploads.send(target, archive)
        await client.environments.create_from_upload(project.uid, "plain", upload_uid=target.upload_uid)
        environment = await client.environments.create_from_upload(
            project.uid, "full", upload_uid=target.upload_uid, description="Described", **SETTINGS
        )
        target = await client.uploads.url_for_deployment(project.uid, environment.uid)
        await client.uploads.send(target, archive)
        deployment = await client.deployments.create(project.uid, environment.uid, upload_uid=target.upload_uid)
        await client.deployments.create(project.uid, environment.uid)
        await client.wait(deployment)
        await client.deployments.download_url(project.uid, environment.uid, deployment.uid)
        emulator.add_server_log(deployment.uid, "GET / 200")
        now = datetime.now(UTC)
        await client.deployments.server_logs(
            project.uid, environment.uid, deployment.uid, start=now - timedelta(minutes=1), end=now
        )
        until = datetime.now(UTC) + timedelta(seconds=1.5)
        assert [line async for line in client.tail_server_logs(deployment, since=timedelta(minutes=1), until=until)]
        await client.deployments.logs(project.uid, environment.uid, deployment.uid)
        await client.deployments.logs(project.uid, environment.uid, deployment.uid, after=now - timedelta(hours=2))
        await client.deployments.list(project.uid, environment.uid, limit=100, skip=1).page()
        await client.deployments.get(project.uid, environment.uid, deployment.uid)


async def _call_other_operations(emulator: LaunchEmulator, url: str, folder: Path) -> None:
    """Call the other operations and the workflows, such as `deploy`, with the credentials of an app."""
    credentials = AppCredentials(emulator.client_id, emulator.client_secret)
    async with client_of(emulator, base_url=url, credentials=credentials) as client:
        (folder / "site").mkdir()
        (folder / "site" / "index.html").write_text("<h1>Hello</h1>" + 1024 * "-")
        site = await client.create_site("landing", folder / "site")
        await client.deploy(site.project.uid, site.environment.uid, folder / "site")
        at = (site.project.uid, site.environment.uid)
        assert [line async for line in client.follow_logs(site.deployment)]
        await client.environments.get(*at)
        await client.environments.list(site.project.uid, limit=5, skip=1).page()
        await client.environments.update(*at, name="production")
        await client.environments.update(
            *at,
            name="live",
            description="Described",
            git_branch="main",
            auto_deploy_on_push=True,
            password_protection=PasswordProtection(is_enabled=True, username="me", password="secret"),
            has_lytics_enabled=True,
            is_cache_priming_enabled=True,
            **SETTINGS,
        )
        changes = await client.variables.diff(*at, {"ADDED": "1"})
        await client.variables.apply(changes)
        await client.environments.revalidate_cache(*at, path="/blog", is_prefix=True)
        await client.environments.revalidate_cache(*at, cache_tags=["a", "b"])
        await client.environments.revalidate_cache(*at, hostnames=["www.example.com"])
        await client.usage.cache_revalidations()
        await client.openapi()
        await client.domains.list(*at).page()
        await client.domains.list(*at, limit=1, skip=1).page()
        host, authority = "www.example.com", issued()
        domain, certificate = emulator.add_domain(site.environment.uid, host), issued(host, by=authority)
        await client.domains.update(
            *at,
            domain,
            url=host,
            certificate=certificate.certificate,
            private_key=certificate.key,
            chain=authority.certificate,
        )
        await client.domains.update(*at, domain, url=host, ssl_method="AUTOMATIC")
        hook = emulator.deploy_hook_url(site.environment.uid).rpartition("/")[2]
        await client.deploy_hooks.trigger(hook)
        git = emulator.add_project("git", git=True)
        await client.deploy_hooks.trigger(next(iter(git.environments.values())).hook_uid, commit="abcdef0")
        try:
            await client.projects.get(UNKNOWN_UID)
        except launch_async.NotFoundError:
            await client.projects.delete(site.project.uid)


async def _call_logins(emulator: LaunchEmulator, url: str) -> None:
    other = emulator.add_organization(second_factor="123456")
    session = await launch_async.login(other.email, other.password, second_factor="123456", base_url=url)
    await launch_async.logout(session.credentials, base_url=url)
    plain = await launch_async.login(emulator.email, emulator.password, base_url=url)
    await launch_async.logout(plain.credentials, base_url=url)
    await launch_async.introspect(AccessToken(emulator.access_token), app_url=url)


async def _call_oauth(emulator: LaunchEmulator, url: str) -> None:
    for path in ("apps-api/token", "token"):
        credentials = AppCredentials(emulator.client_id, emulator.client_secret, token_path=path)
        async with client_of(emulator, base_url=url, credentials=credentials) as client:
            await client.usage.cache_revalidations()
    client_id, client_secret = emulator.add_app()
    redirect_uri = "http://localhost:8184"
    for path, secret in ((None, client_secret), ("apps-api/token", None), ("token", client_secret)):
        request = launch_async.begin_authorization(UNKNOWN_UID, client_id, redirect_uri, app_url=url)
        asked = parse_qs(urlsplit(request.url).fragment.partition("?")[2])
        code = emulator.authorize(client_id, redirect_uri, code_challenge=asked["code_challenge"][0])
        credentials = await launch_async.finish_authorization(
            request, f"{redirect_uri}/?code={code}&state={request.state}", client_secret=secret, token_path=path
        )
        emulator.advance(7200)
        async with client_of(emulator, base_url=url, credentials=credentials) as client:
            await client.usage.cache_revalidations()


def _archive() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("index.html", "<h1>Hello</h1>")
        archive.writestr(".output/padding.bin", bytes(1100))
    return sink.getvalue()
