"""Every kind of call that sends or receives a secret."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from canaries import (
    CLIENT_SECRET,
    CODE,
    HOOK,
    NEXT_TOKEN,
    PASSWORD,
    REFRESH_TOKEN,
    SECOND_FACTOR,
    SIGNATURE,
    TOKEN,
    VARIABLE,
)

from launch_async import (
    AccessToken,
    AppCredentials,
    Authtoken,
    Credentials,
    Hooks,
    LaunchClient,
    MemoryTokenStore,
    OAuthCredentials,
    PasswordProtection,
    RetryPolicy,
    SignedUploadUrl,
    State,
    TokenSet,
    begin_authorization,
    finish_authorization,
    introspect,
    login,
    logout,
    request_sms,
)
from launch_async.fleet import Plan, SetVariables, Target
from launch_async.models import FormField, UploadHeader
from launch_async.models.base import JSONValue
from launch_async.rate_limit import UnlimitedRateLimiter
from launch_async.state import (
    DeclaredEnvironment,
    DeclaredPasswordProtection,
    DeclaredProject,
    LiteralValue,
    StatePlan,
    VariableSource,
)
from launch_async.state.plan import changes_of
from launch_async.state.steps import Step, StepKind

PROJECT, ENVIRONMENT, DEPLOYMENT = (f"66c0ffee00000000000000{end}" for end in ("a1", "b1", "c1"))
UPLOAD = "66c0ffee00000000000000d1"
ORGANIZATION = "blt0123456789abcdef"
TARGET = Target(project_uid=PROJECT, environment_uid=ENVIRONMENT)
VARIABLES = {"NAME": VARIABLE}
RAW_BODY: JSONValue = {
    "environmentVariables": [{"key": "NAME", "value": VARIABLE}],
    "passwordProtection": {"isEnabled": True, "username": "user", "password": PASSWORD},
    "certificate": {"privateKey": [SIGNATURE], "secrets": {"first": CLIENT_SECRET}},
}
FAST = RetryPolicy(
    attempts=2, refusals=2, backoff_base=0.001, backoff_cap=0.001, look_up_delays=(0.001,), settle_after=0.003
)


def client(
    url: str, credentials: Credentials | None = None, *, hooks: Hooks | None = None, proxy: str | None = None
) -> LaunchClient:
    return LaunchClient(
        Authtoken(TOKEN) if credentials is None else credentials,
        base_url=url,
        organization_uid=ORGANIZATION,
        limiter=UnlimitedRateLimiter(),
        retry=FAST,
        hooks=hooks,
        proxy=proxy,
        timeout=5.0,
    )


Call = Callable[[LaunchClient], Awaitable[object]]
BY_CLIENT: dict[str, Call] = {
    "create_environment": lambda launch: launch.environments.create_from_upload(
        PROJECT, "name", upload_uid=UPLOAD, environment_variables=VARIABLES
    ),
    "create_environment_git": lambda launch: launch.environments.create_from_git(
        PROJECT, "name", git_branch="main", environment_variables=VARIABLES
    ),
    "update_environment": lambda launch: launch.environments.update(
        PROJECT,
        ENVIRONMENT,
        environment_variables=VARIABLES,
        password_protection=PasswordProtection(is_enabled=True, username="user", password=PASSWORD),
    ),
    "create_project": lambda launch: launch.projects.create_from_upload(
        "name", upload_uid=UPLOAD, environment_variables=VARIABLES
    ),
    "create_project_git": lambda launch: launch.projects.create_from_git(
        "name",
        repository_name="owner/name",
        username="owner",
        repository_url="https://git.example.com/owner/name",
        git_branch="main",
        environment_variables=VARIABLES,
    ),
    "get_environment": lambda launch: launch.environments.get(PROJECT, ENVIRONMENT),
    "list_environments": lambda launch: launch.environments.list(PROJECT).first(),
    "variables_diff": lambda launch: launch.variables.diff(PROJECT, ENVIRONMENT, VARIABLES),
    "plan_variables": lambda launch: launch.fleet.plan_variables([TARGET], VARIABLES),
    "state_pull": lambda launch: launch.state.pull(),
    "state_diff": lambda launch: launch.state.diff(_declared()),
    "trigger_hook": lambda launch: launch.deploy_hooks.trigger(HOOK),
    "upload_url": lambda launch: launch.uploads.url_for_project(),
    "download_url": lambda launch: launch.deployments.download_url(PROJECT, ENVIRONMENT, DEPLOYMENT),
    "raw_request": lambda launch: launch.request("GET", "/projects", query={"token": NEXT_TOKEN}),
    "raw_body": lambda launch: launch.request("PUT", f"/projects/{PROJECT}/environments/{ENVIRONMENT}", json=RAW_BODY),
    "raw_hook": lambda launch: launch.request("POST", f"/manage/deploy/{HOOK}"),
}


def _declared() -> State:
    """Return a document with secrets: from a function, in a literal value, and as a password."""
    protection = DeclaredPasswordProtection(is_enabled=True, username="user", password=lambda: PASSWORD)
    variables: dict[str, VariableSource] = {"NAME": lambda: VARIABLE, "OTHER": LiteralValue(SIGNATURE)}
    environment = DeclaredEnvironment(variables=variables, password_protection=protection)
    return State(projects={"shop": DeclaredProject(environments={"www": environment})})


def upload_to(url: str, *, form: bool) -> SignedUploadUrl:
    """Return a signed URL with secrets in its query, its fields and its headers."""
    return SignedUploadUrl(
        upload_url=f"{url}/bucket?X-Amz-Signature={SIGNATURE}",
        upload_uid=UPLOAD,
        fields=(FormField(form_field_key="X-Amz-Security-Token", form_field_value=NEXT_TOKEN),) if form else (),
        headers=() if form else (UploadHeader(key="x-signature", value=NEXT_TOKEN),),
    )


async def _upload(url: str, *, form: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "site.zip"
        file.write_bytes(b"PK" + bytes(2000))
        async with client(url) as launch:
            await launch.uploads.send(upload_to(url, form=form), file)


async def _app(url: str) -> None:
    async with client(url, AppCredentials("client", CLIENT_SECRET)) as launch:
        await launch.usage.cache_revalidations()


async def _user(url: str) -> None:
    tokens = TokenSet(access_token=TOKEN, refresh_token=REFRESH_TOKEN, issued_at=0.0, expires_at=1.0)
    credentials = OAuthCredentials(
        "client", redirect_uri="http://localhost", store=MemoryTokenStore(tokens), client_secret=CLIENT_SECRET
    )
    async with client(url, credentials) as launch:
        await launch.usage.cache_revalidations()


async def _authorize(url: str) -> None:
    request = begin_authorization("app", "client", "http://localhost", app_url=url)
    back = f"http://localhost/?code={CODE}&state={request.state}"
    await finish_authorization(request, back, client_secret=CLIENT_SECRET)


async def _site(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "index.html").write_text("<h1>hello</h1>" * 200)
        async with client(url) as launch:
            await launch.create_site("name", folder, environment_variables=VARIABLES, timeout=5.0)


async def _fleet(url: str) -> tuple[object, ...]:
    """Run a plan for one environment. Return the plan, the report and the content of the journal."""
    with tempfile.TemporaryDirectory() as folder:
        async with client(url) as launch:
            action = SetVariables(names=tuple(VARIABLES))
            plan = Plan.make(action, [TARGET], host=launch._host, organization_uid=ORGANIZATION, rate=10.0)
            report = await launch.fleet.run(plan, journal=Path(folder, "run"), variables=VARIABLES, confirm=1)
        return plan, report, *(file.read_bytes() for file in Path(folder).iterdir())


async def _state(url: str) -> tuple[object, ...]:
    """Apply a document to one environment. Return the results and the content of the journal."""
    state = _declared()
    wanted = state.projects["shop"].environments["www"]
    assert wanted.password_protection is not None
    step = Step(
        kind=StepKind.UPDATE_ENVIRONMENT,
        project="shop",
        environment="www",
        project_uid=PROJECT,
        environment_uid=ENVIRONMENT,
        after={"description": "new"},
        before={"description": "old"},
        variables=wanted.variables,
        known={"NAME": NEXT_TOKEN, "OTHER": None},
        password=wanted.password_protection.password,
        known_password=CODE,
    )
    with tempfile.TemporaryDirectory() as folder:
        async with client(url) as launch:
            plan = StatePlan(
                changes=tuple(changes_of([step])),
                host=launch._host,
                organization_uid=ORGANIZATION,
                created_at=datetime.now(UTC),
                state=state,
                steps=(step,),
            )
            report = await launch.state.apply(plan, journal=Path(folder, "run"))
        shown = str(plan), plan.to_json(), plan.to_markdown(), plan._repr_html_()
        return plan, *shown, report, *(file.read_bytes() for file in Path(folder).iterdir())


BY_URL: dict[str, Callable[[str], Awaitable[object]]] = {
    "upload_form": lambda url: _upload(url, form=True),
    "upload_raw": lambda url: _upload(url, form=False),
    "app_token": _app,
    "refresh_token": _user,
    "authorize": _authorize,
    "create_site": _site,
    "fleet": _fleet,
    "state": _state,
    "login": lambda url: login("user@example.com", PASSWORD, second_factor=SECOND_FACTOR, base_url=url),
    "request_sms": lambda url: request_sms("user@example.com", PASSWORD, base_url=url),
    "logout": lambda url: logout(Authtoken(TOKEN), base_url=url),
    "introspect": lambda url: introspect(AccessToken(TOKEN), app_url=url),
}
