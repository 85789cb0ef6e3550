"""Results, logs, hooks, proxies, other hosts and refused arguments contain no secret, even if no call fails."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from canaries import (
    ALL,
    CLIENT_SECRET,
    CODE,
    HOOK,
    NEXT_TOKEN,
    PASSWORD,
    PROXY_PASSWORD,
    REFRESH_TOKEN,
    SECOND_FACTOR,
    SIGNATURE,
    TOKEN,
    VARIABLE,
    forms,
    found_in,
    texts_of,
    texts_of_log,
    texts_of_result,
)
from echo_server import echoing, no_json
from secret_calls import BY_CLIENT, ENVIRONMENT, FAST, ORGANIZATION, PROJECT, VARIABLES, client, upload_to

import launch_async
import launch_sync
from launch_async import (
    AccessToken,
    AppCredentials,
    Authtoken,
    ConfigurationError,
    LaunchClient,
    LaunchError,
    MemoryTokenStore,
    OAuthCredentials,
    PasswordProtection,
    RateLimit,
    TokenSet,
    begin_authorization,
    login,
)
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import Target
from launch_async.http import AiohttpTransport, FileBody, Request, Response
from launch_async.http.operation import Operation
from launch_async.http.pipeline import Call
from launch_async.models import EnvironmentVariable
from launch_async.rate_limit import UnlimitedRateLimiter
from launch_sync import LaunchClient as SyncLaunchClient
from tests.support.clients import client_of


def secrets_in(texts: list[str], *values: str) -> list[str]:
    """Return the secrets of an emulator that appear in some texts."""
    return [value for value in values for text in texts for form in forms(value) if form in text]


async def test_common_work_leaves_no_secret_in_results_logs_and_journals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "index.html").write_text("<h1>hello</h1>" * 200)
    results: list[object] = []
    async with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator:
        credentials = AppCredentials(emulator.client_id, emulator.client_secret)
        with caplog.at_level(logging.DEBUG):
            session = await login(emulator.email, emulator.password, base_url=emulator.url)
            async with LaunchClient(credentials, base_url=emulator.url, limiter=UnlimitedRateLimiter()) as launch:
                site = await launch.create_site("site", tmp_path, environment_variables=VARIABLES)
                uids = site.project.uid, site.environment.uid
                first = credentials.state.tokens
                assert first is not None
                emulator.revoke_token(first.access_token)
                diff = await launch.variables.diff(*uids, {"NAME": "other", "MORE": VARIABLE})
                applied = await launch.variables.apply(diff)
                protection = PasswordProtection(is_enabled=True, username="user", password=PASSWORD)
                protected = await launch.environments.update(*uids, password_protection=protection)
                signed = await launch.uploads.url_for_project()
                download = await launch.deployments.download_url(*uids, site.deployment.uid)
                hook = emulator.deploy_hook_url(uids[1])
                await launch.deploy_hooks.trigger(hook.rpartition("/")[2])
                target = Target(project_uid=uids[0], environment_uid=uids[1])
                plan = await launch.fleet.plan_variables([target], {"LATER": VARIABLE})
                report = await launch.fleet.run(
                    plan, journal=tmp_path / "journal", variables={"LATER": VARIABLE}, confirm=1
                )
                results += [site, diff, applied, protected, signed, download, session, credentials, launch]
                results += [plan, report, *(file.read_bytes() for file in tmp_path.glob("journal*"))]
        second = credentials.state.tokens
        texts = [*texts_of_result(tuple(results)), *texts_of_log(caplog.records)]
        assert second is not None
        assert report.is_success
        secrets = (
            emulator.client_secret,
            emulator.password,
            session.credentials.token,
            first.access_token,
            second.access_token,
            signed.upload_url,
            download.url,
            hook,
        )

    assert found_in(texts) == []
    assert secrets_in(texts, *secrets) == []


async def test_storage_gets_no_credentials(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>hello</h1>" * 200)
    async with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator:
        async with client_of(emulator) as launch:
            await launch.create_site("site", tmp_path)
        uploads = [entry for entry in emulator.ledger.requests if entry.operation == "uploadArchive"]

    assert [entry.credentials for entry in uploads] == [()]


async def test_a_deploy_hook_that_is_called_by_its_path_gets_no_credentials() -> None:
    async with LaunchEmulator(rate_limit=None) as emulator:
        (environment,) = emulator.add_project("git", git=True).environments.values()
        async with client(emulator.url, Authtoken(emulator.authtoken)) as launch:
            result = await launch.request("POST", f"/manage/deploy/{environment.hook_uid}")
        (sent,) = [entry for entry in emulator.ledger.requests if entry.operation == "triggerDeployHook"]

    assert result == {"message": "Deployment triggered successfully"}
    assert sent.credentials == ()


@pytest.mark.parametrize("call", BY_CLIENT.values(), ids=BY_CLIENT.keys())
async def test_only_the_called_host_gets_a_request(call: Callable[[Any], Any]) -> None:
    async with echoing(no_json) as elsewhere:
        seen: list[str] = []

        def onward(request: web.BaseRequest, repeated: str) -> web.Response:
            seen.append(repeated)
            return web.Response(status=307, headers={"Location": f"{elsewhere}{request.path_qs}"})

        async with echoing(onward) as url, client(url) as launch:
            with pytest.raises(LaunchError, match=elsewhere) as caught:
                await call(launch)

    assert seen
    assert url.removeprefix("http://") in str(caught.value)


async def _through(proxy: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the traces of a call through a proxy."""
    with caplog.at_level(logging.DEBUG):
        async with client("http://127.0.0.1:9", AccessToken(TOKEN), proxy=proxy) as launch:
            with pytest.raises(LaunchError) as caught:
                await launch.environments.update(PROJECT, ENVIRONMENT, environment_variables=VARIABLES)
            return [*texts_of(caught.value), *texts_of_log(caplog.records), repr(launch)]


async def test_the_password_of_a_proxy_is_used_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    used: list[str] = []

    def refuse(request: web.BaseRequest, repeated: str) -> web.Response:
        used.append(request.headers["Proxy-Authorization"])
        return web.Response(status=407, text=repeated)

    async with echoing(refuse) as url:
        texts = await _through(url.replace("http://", f"http://user:{PROXY_PASSWORD}@"), caplog)

    assert used
    assert found_in(texts) == []


async def test_a_proxy_that_is_down_does_not_show_its_password(caplog: pytest.LogCaptureFixture) -> None:
    assert found_in(await _through(f"http://user:{PROXY_PASSWORD}@127.0.0.1:9", caplog)) == []


NO_PROXIES = [f"nonsense://{PROXY_PASSWORD}", f"http://[{PROXY_PASSWORD}", f"user:{PROXY_PASSWORD}@host", "http://"]


@pytest.mark.parametrize("proxy", NO_PROXIES)
def test_a_malformed_proxy_is_refused_immediately_and_not_shown(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="proxy") as caught:
        AiohttpTransport(proxy=proxy)

    assert found_in(texts_of(caught.value)) == []


@pytest.mark.parametrize("proxy", [each for each in NO_PROXIES if "://" in each])
async def test_a_malformed_proxy_of_the_environment_is_not_shown(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    async with client("http://127.0.0.1:9") as launch:
        with pytest.raises(ConfigurationError, match="proxy") as caught:
            await launch.projects.get(PROJECT)

    assert found_in(texts_of(caught.value)) == []


REFUSED: dict[str, Callable[[], object]] = {
    "authtoken": lambda: Authtoken(f"{TOKEN} {TOKEN}"),
    "access token": lambda: AccessToken(f"Bearer {TOKEN}\n{TOKEN}"),
    "app": lambda: AppCredentials("", CLIENT_SECRET),
    "oauth": lambda: OAuthCredentials(
        "", redirect_uri="x", store=MemoryTokenStore(TokenSet(access_token=TOKEN, issued_at=0.0, expires_at=0.0))
    ),
    "stored tokens": lambda: TokenSet.from_json(f'{{"access_token": "{TOKEN}", "x": 1}}'),
    "organization": lambda: LaunchClient(Authtoken(TOKEN)),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_setting_is_not_shown(make: Callable[[], object]) -> None:
    with pytest.raises(LaunchError) as caught:
        make()

    assert found_in(texts_of(caught.value)) == []


ARGUMENTS: dict[str, Callable[[LaunchClient], Any]] = {
    "empty value": lambda launch: launch.environments.update(
        PROJECT, ENVIRONMENT, environment_variables={"A": VARIABLE, "B": ""}
    ),
    "too large": lambda launch: launch.environments.update(
        PROJECT, ENVIRONMENT, environment_variables={"A": VARIABLE * 2000}
    ),
    "no text": lambda launch: launch.projects.create_from_upload(
        "name",
        upload_uid="66c0ffee00000000000000d1",
        environment_variables={"A": VARIABLE, "B": b"x"},  # type: ignore[dict-item]
    ),
    "no uid": lambda launch: launch.environments.update("nonsense", ENVIRONMENT, environment_variables=VARIABLES),
    "no json": lambda launch: launch.request("POST", "/x", json={"value": VARIABLE, "x": float("nan"), "y": {1}}),  # type: ignore[dict-item]
    "no hook": lambda launch: launch.deploy_hooks.trigger(HOOK.upper() + HOOK),
    "wanted": lambda launch: launch.variables.diff(PROJECT, ENVIRONMENT, {"A": VARIABLE, "B": ""}),
}


@pytest.mark.parametrize("call", ARGUMENTS.values(), ids=ARGUMENTS.keys())
async def test_the_error_for_an_argument_does_not_show_the_others(call: Callable[[LaunchClient], Any]) -> None:
    async with client("http://127.0.0.1:9") as launch:
        with pytest.raises(LaunchError) as caught:
            await call(launch)

    assert found_in(texts_of(caught.value)) == []


CLOSED_PORT = "http://127.0.0.1:9"
WRONG_FORMS: dict[str, Any] = {
    "bare": TOKEN,
    "bytes": TOKEN.encode(),
    "list": [TOKEN],
    "dict": {"token": TOKEN},
    "tuple": (TOKEN, 1),
}
PACKAGES = (launch_async, launch_sync)


def misuses(package: Any, launch: Any, given: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield calls with a secret in a wrong format or a wrong place."""
    make = partial(package.LaunchClient, base_url=CLOSED_PORT, organization_uid=ORGANIZATION)
    update = partial(launch.environments.update, PROJECT, ENVIRONMENT)
    authorization = begin_authorization("app", "client", "http://localhost", app_url=CLOSED_PORT)
    yield "credentials", lambda: make(given)
    yield "credentials of the environment", lambda: package.LaunchClient.from_env(given, base_url=CLOSED_PORT)
    yield "limiter", lambda: make(Authtoken(TOKEN), limiter=given)
    yield "proxy", lambda: make(Authtoken(TOKEN), proxy=given)
    yield "logout", lambda: package.logout(given, base_url=CLOSED_PORT)
    yield "introspect", lambda: package.introspect(given, app_url=CLOSED_PORT)
    yield "password", lambda: package.login("user", given, base_url=CLOSED_PORT)
    yield "second factor", lambda: package.login("user", "x", second_factor=given, base_url=CLOSED_PORT)
    yield "authorization", lambda: package.finish_authorization(authorization, given, client_secret=given)
    yield "scopes", lambda: package.AccessToken(TOKEN, scopes=7)
    yield "client secret", lambda: package.AppCredentials("", given)
    yield "hook", lambda: launch.deploy_hooks.trigger(given)
    yield "upload", lambda: launch.uploads.send(given, "nowhere")
    yield "variables", lambda: update(environment_variables=given)
    yield "value", lambda: update(environment_variables={"A": given, "B": ""})
    yield "protection", lambda: update(password_protection=given)
    yield "create", lambda: launch.projects.create_from_upload("", upload_uid="x", environment_variables=given)
    yield "site", lambda: launch.create_site("name", "nowhere", environment_variables=given)
    yield "fleet", lambda: launch.fleet.plan_variables([], {"A": given, "B": ""})
    yield "resume", lambda: launch.fleet.resume("nowhere/journal", variables=given)
    yield "apply", lambda: launch.variables.apply(given)
    yield "raw", lambda: launch.request("POST", "x", json={"a": given}, query={"a": given})


@pytest.mark.parametrize("form", WRONG_FORMS)
@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_a_secret_in_a_wrong_form_is_refused_and_is_in_no_frame(package: Any, form: str) -> None:
    launch = package.LaunchClient(Authtoken(TOKEN), base_url=CLOSED_PORT, organization_uid=ORGANIZATION, retry=FAST)
    shown: dict[str, Any] = {}
    for name, call in misuses(package, launch, WRONG_FORMS[form]):
        try:
            finished(call())
        except LaunchError as error:
            if found := found_in(texts_of(error)):
                shown[name] = found
        else:
            raise AssertionError(f"{name} was accepted")
    finished(launch.close())

    assert shown == {}


def finished(result: Any) -> None:
    if inspect.iscoroutine(result):
        asyncio.run(result)


def test_the_repr_of_an_object_with_a_secret_hides_it() -> None:
    operation = Operation("triggerDeployHook", "POST", "/manage/deploy/{deploy_hook_uid}", authenticated=False)
    holders = [
        Authtoken(TOKEN),
        AccessToken(TOKEN),
        AppCredentials("client", CLIENT_SECRET),
        TokenSet(access_token=TOKEN, refresh_token=REFRESH_TOKEN, issued_at=0.0, expires_at=1.0),
        EnvironmentVariable(key="NAME", value=VARIABLE),
        PasswordProtection(is_enabled=True, password=PASSWORD),
        upload_to("https://storage.example.com", form=True),
        upload_to("https://storage.example.com", form=False),
        Call(operation=operation, path=f"/manage/deploy/{HOOK}", body={"x": VARIABLE}, secrets=(HOOK,)),
        Request("POST", f"https://x/?sig={SIGNATURE}", {"authtoken": TOKEN}, VARIABLE.encode()),
        Response(200, {"set-cookie": TOKEN}, VARIABLE.encode()),
        FileBody(Path("site.zip"), 5, fields=(("token", NEXT_TOKEN),), form=True),
        client("http://127.0.0.1:9"),
        RateLimit(10),
        FAST,
    ]

    assert found_in([text for holder in holders for text in (repr(holder), str(holder))]) == []


SYNCHRONOUS: dict[str, Callable[[Any], Any]] = {
    **BY_CLIENT,
    "create_site": lambda launch: launch.create_site("name", "nowhere", environment_variables=VARIABLES),
    "resume": lambda launch: launch.fleet.resume("nowhere/journal", variables=VARIABLES),
    "login": lambda _: launch_sync.login("user", PASSWORD, second_factor=SECOND_FACTOR, base_url=CLOSED_PORT),
    "request_sms": lambda _: launch_sync.request_sms("user", PASSWORD, base_url=CLOSED_PORT),
    "logout": lambda _: launch_sync.logout(Authtoken(TOKEN), base_url=CLOSED_PORT),
    "introspect": lambda _: launch_sync.introspect(AccessToken(TOKEN), app_url=CLOSED_PORT),
    "authorize": lambda _: launch_sync.finish_authorization(
        begin_authorization("app", "client", "http://localhost", app_url=CLOSED_PORT),
        f"http://localhost/?code={CODE}&state=x",
        client_secret=CLIENT_SECRET,
    ),
    "no json": lambda launch: launch.request("POST", "/x", json={"value": (VARIABLE,), "y": {1}}),  # type: ignore[dict-item]
    "no path": lambda launch: launch.request("POST", f"/manage/deploy/{HOOK}/.."),
    "no uid": lambda launch: launch.environments.update("nonsense", ENVIRONMENT, environment_variables=VARIABLES),
}


@pytest.mark.parametrize("call", SYNCHRONOUS.values(), ids=SYNCHRONOUS.keys())
def test_the_synchronous_client_leaves_no_secret_in_a_traceback(call: Callable[[Any], Any]) -> None:
    launch = SyncLaunchClient(
        Authtoken(TOKEN),
        base_url=CLOSED_PORT,
        organization_uid=ORGANIZATION,
        limiter=UnlimitedRateLimiter(),
        retry=FAST,
    )
    with launch, pytest.raises(LaunchError) as caught:
        call(launch)

    assert found_in(texts_of(caught.value)) == []


@pytest.mark.parametrize("make", [SyncLaunchClient, SyncLaunchClient.from_env, LaunchClient, LaunchClient.from_env])
def test_an_error_of_the_constructor_does_not_show_the_proxy(make: Callable[..., object]) -> None:
    with pytest.raises(ConfigurationError, match="proxy") as caught:
        make(AccessToken(TOKEN), proxy=f"nonsense://{PROXY_PASSWORD}")

    assert found_in(texts_of(caught.value)) == []


@pytest.mark.parametrize("name", ALL)
def test_the_search_finds_every_secret(name: str) -> None:
    error = LaunchError(f"it was {ALL[name]}")

    assert found_in(texts_of(error))
    assert found_in(texts_of(pickle.loads(pickle.dumps(error))))
