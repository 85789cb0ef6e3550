"""Regions and addresses, credentials, the client's own settings, and the cost of importing the package."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest

import launch_async
from launch_async import (
    AccessToken,
    Authtoken,
    ConfigurationError,
    InvalidArgumentError,
    LaunchClient,
    RateLimit,
    RetryPolicy,
)
from launch_async.rate_limit import LocalRateLimiter
from launch_async.settings import REGIONS, find_region, is_loopback, resolve_endpoint
from tests.support.core import ORGANIZATION, TOKEN, FakeTransport, answer, client_on


@pytest.mark.parametrize(
    ("name", "launch", "login"),
    [
        ("na", "launch-api.contentstack.com", "api.contentstack.io"),
        ("us", "launch-api.contentstack.com", "api.contentstack.io"),
        ("AWS_NA", "launch-api.contentstack.com", "api.contentstack.io"),
        ("aws-eu", "eu-launch-api.contentstack.com", "eu-api.contentstack.com"),
        (" EU ", "eu-launch-api.contentstack.com", "eu-api.contentstack.com"),
        ("AWS_AU", "au-launch-api.contentstack.com", "au-api.contentstack.com"),
        ("azure_na", "azure-na-launch-api.contentstack.com", "azure-na-api.contentstack.com"),
        ("Azure EU", "azure-eu-launch-api.contentstack.com", "azure-eu-api.contentstack.com"),
        ("gcp_na", "gcp-na-launch-api.contentstack.com", "gcp-na-api.contentstack.com"),
        ("gcp-eu", "gcp-eu-launch-api.contentstack.com", "gcp-eu-api.contentstack.com"),
    ],
)
def test_each_region_is_found_by_every_spelling_of_its_name(name: str, launch: str, login: str) -> None:
    region = find_region(name)

    assert (region.launch_host, region.login_host) == (launch, login)
    assert resolve_endpoint(name, None).base_url == f"https://{launch}"


def test_each_region_has_its_own_hosts() -> None:
    assert set(REGIONS) == {"na", "eu", "au", "azure-na", "azure-eu", "gcp-na", "gcp-eu"}
    assert REGIONS["eu"].app_host == "eu-app.contentstack.com"
    assert REGIONS["na"].app_host == "app.contentstack.com"
    assert REGIONS["gcp-na"].developer_hub_host == "gcp-na-developerhub-api.contentstack.com"


@pytest.mark.parametrize("name", ["mars", "", None])
def test_the_error_about_an_unknown_region_lists_the_known_regions(name: str) -> None:
    known = r"\. Use one of na, eu, au, azure-na.*base_url"
    with pytest.raises(ConfigurationError, match=f"The region {name!r} does not exist{known}"):
        find_region(name)


@pytest.mark.parametrize(
    ("base_url", "problem"),
    [
        ("", "absolute URL"),
        ("launch-api.contentstack.com", "absolute URL"),
        ("ftp://launch-api.contentstack.com", "absolute URL"),
        ("https://", "absolute URL"),
        ("https://user:secret@host", "must not contain credentials, a query"),
        ("https://host?x=1", "must not contain credentials, a query"),
        ("https://host#x", "must not contain credentials, a query"),
        ("https://ho st", "white space or a control character"),
        ("https://host\r\nX: y", "white space or a control character"),
        ("http://launch-api.contentstack.com", "send unencrypted credentials to launch-api.contentstack.com"),
        ("https://[::1", "is not a URL"),
        ("https://host:99999", "is not a URL"),
        ("https://host:port", "is not a URL"),
    ],
)
def test_a_malformed_or_unsafe_base_url_is_refused(base_url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        LaunchClient(AccessToken(TOKEN), base_url=base_url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "host", "scheme"),
    [
        ("http://127.0.0.1:8080/", "127.0.0.1:8080", "http"),
        ("http://[::1]:8080", "[::1]:8080", "http"),
        ("http://localhost", "localhost", "http"),
        ("http://launch.localhost:80", "launch.localhost", "http"),
        ("https://Launch-API.example.com:443/prefix/", "launch-api.example.com", "https"),
        ("https://launch-api.example.com:444", "launch-api.example.com:444", "https"),
    ],
)
def test_a_custom_base_url_is_normalized_to_one_host(base_url: str, host: str, scheme: str) -> None:
    endpoint = resolve_endpoint("na", base_url)

    assert (endpoint.host, endpoint.site_scheme) == (host, scheme)
    assert endpoint.base_url == base_url.rstrip("/")


def test_plain_http_to_other_machines_needs_allow_http() -> None:
    assert resolve_endpoint("na", "http://launch.example.com", allow_http=True).site_scheme == "http"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("LOCALHOST", True), ("10.0.0.1", False), ("h", False)],
)
def test_loopback_is_this_machine_only(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


# Credentials


@pytest.mark.parametrize("kind", [Authtoken, AccessToken])
@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("", "must not be empty"),
        ("  \n", "must not be empty"),
        (f"{TOKEN}\r\nX-Evil: 1", "white space, control characters or non-ASCII"),
        (f"{TOKEN} x", "white space, control characters or non-ASCII"),
        (f"{TOKEN}\x00", "white space, control characters or non-ASCII"),
        (f"{TOKEN}é", "white space, control characters or non-ASCII"),
        (f'"{TOKEN}"', "has quotes around it. Pass the token without the quotes"),
        (f" '{TOKEN}'\n", "has quotes around it. Pass the token without the quotes"),
        (None, "must be a string, not None"),
    ],
    ids=repr,
)
def test_a_token_that_would_break_a_header_is_refused_and_not_in_the_error(
    kind: type, token: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        kind(token)

    assert TOKEN not in str(caught.value)
    assert kind.__name__ in str(caught.value)


@pytest.mark.parametrize("written", [TOKEN, f" {TOKEN}\n", f"Bearer {TOKEN}", f"bearer  {TOKEN} "])
async def test_a_bearer_token_may_be_pasted_with_its_scheme(written: str) -> None:
    assert await AccessToken(written).headers() == {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("written", ["Bearer", "Bearer ", " bearer\n"])
def test_a_scheme_without_a_token_is_refused(written: str) -> None:
    with pytest.raises(ConfigurationError, match="The token of AccessToken must not be empty"):
        AccessToken(written)


@pytest.mark.parametrize("credentials", [Authtoken(TOKEN), AccessToken(TOKEN)], ids=lambda value: type(value).__name__)
async def test_a_token_is_not_shown_and_cannot_be_renewed(credentials: Authtoken | AccessToken) -> None:
    assert TOKEN not in repr(credentials)
    assert pickle.loads(pickle.dumps(credentials)) == credentials
    assert await credentials.refresh() is False


def test_an_authtoken_needs_its_organization_before_any_request() -> None:
    with pytest.raises(ConfigurationError, match=r"organization_uid is missing\. Launch refuses an authtoken"):
        LaunchClient(Authtoken(TOKEN))


@pytest.mark.parametrize("uid", ["", "blt", "blt0123456789ABCDEF", "0123456789abcdef", "blt0123456789abcdef\n"])
def test_a_malformed_organization_is_refused(uid: str) -> None:
    with pytest.raises(ConfigurationError, match="is not blt followed by 16 lower-case hex digits"):
        LaunchClient(Authtoken(TOKEN), organization_uid=uid)


async def test_a_call_that_needs_credentials_fails_without_them_before_it_is_sent() -> None:
    transport = FakeTransport(answer(200, {}))
    async with client_on(transport, credentials=None, organization_uid=None) as launch:
        with pytest.raises(
            ConfigurationError, match=r"This client has no credentials. Pass Authtoken.*operation listProjects"
        ):
            await launch.projects.list().to_list()

    assert transport.requests == []


@pytest.mark.parametrize("option", ["timeout", "attempt_timeout"])
@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), "60"])
def test_a_timeout_that_is_not_positive_is_refused(option: str, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{option} must be a positive number of seconds"):
        LaunchClient(AccessToken(TOKEN), **{option: seconds})


@pytest.mark.parametrize("option", ["retry", "rate_limit"])
@pytest.mark.parametrize("value", [None, 3])
def test_an_option_of_the_wrong_type_is_refused_when_the_client_is_built(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"{option} must be a \w+, not {value}"):
        LaunchClient(AccessToken(TOKEN), **{option: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limiter", "kind"), [(RateLimit(10), "a RateLimit"), (LocalRateLimiter, "the class LocalRateL")]
)
def test_a_limiter_of_the_wrong_type_is_refused_when_the_client_is_built(limiter: object, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f"limiter must be a RateLimiter, not {kind}"):
        LaunchClient(AccessToken(TOKEN), limiter=limiter)  # type: ignore[arg-type]


async def test_with_options_refuses_a_retry_policy_of_the_wrong_type() -> None:
    with pytest.raises(ConfigurationError, match="retry must be a RetryPolicy, not None"):
        client_on(FakeTransport()).with_options(retry=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("credentials", "kind"), [(TOKEN, "str"), (AccessToken, "a class")])
def test_credentials_of_the_wrong_type_are_refused(credentials: object, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"must be an object such as AccessToken\(\.\.\.\) .* not {kind}$"):
        LaunchClient(credentials)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"refusals": 0},
        {"backoff_base": 0},
        {"backoff_cap": -1},
        {"retry_after_cap": float("inf")},
        {"backoff_base": float("nan")},
        {"backoff_base": "1"},
        {"attempts": 1.5},
        {"look_up_delays": (-1,)},
        {"look_up_delays": (float("inf"),)},
        {"look_up_delays": "12"},
        {"look_up_delays": ()},
    ],
    ids=str,
)
def test_a_retry_policy_with_invalid_values_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{next(iter(options))}: must "):
        RetryPolicy(**options)


# The client


async def test_the_repr_of_a_client_shows_its_address_and_whether_it_is_closed() -> None:
    transport = FakeTransport(answer())
    launch = client_on(transport, region="eu")

    assert repr(launch).startswith("<LaunchClient https://eu-launch-api.contentstack.com, ")
    assert repr(launch).endswith(", open>")
    await launch.close()
    await launch.close()
    assert repr(launch).endswith(", closed>")
    assert transport.closed == 1


async def test_the_reprs_of_a_client_and_its_resources_list_their_methods_and_no_secret() -> None:
    async with client_on(FakeTransport(answer()), region="eu", organization_uid=ORGANIZATION) as launch:
        shown = [repr(one) for one in (launch, launch.projects, launch.deploy_hooks, launch.variables, launch.fleet)]

    api = "https://eu-launch-api.contentstack.com"
    assert shown[:4] == [
        f"<LaunchClient {api}, organization {ORGANIZATION}, open>",
        f"<Projects of {api}: list, get, create_from_git, create_from_upload, update, delete, update_git_repository>",
        f"<DeployHooks of {api}: trigger>",
        "<Variables: read, diff, apply>",
    ]
    assert shown[4].startswith(f"<Fleet of {api}: select, plan_redeploy, ")


async def test_a_client_reports_the_state_of_its_budget() -> None:
    transport = FakeTransport(answer(200, {"project": {"uid": "x"}}))
    async with client_on(transport) as launch:
        await launch.projects.get("66c0ffee00000000000000a1")

        assert launch.budget.sent == 1


async def test_clients_of_one_organization_share_its_budget() -> None:
    transport = FakeTransport(answer(200, {"project": {"uid": "x"}}))
    settings = {"limiter": None, "organization_uid": ORGANIZATION, "base_url": "https://budget.example.com"}
    async with client_on(transport, **settings) as one, client_on(transport, **settings) as other:
        await one.projects.get("66c0ffee00000000000000a1")

        assert other.budget.sent == 1


# Importing


def test_importing_the_package_loads_neither_aiohttp_nor_cattrs() -> None:
    program = (
        "import sys, launch_async; "
        "print(sorted({'aiohttp', 'cattrs', 'attrs', 'aiolimiter', 'asyncio', 'ssl'} & set(sys.modules)))"
    )

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"


def test_building_a_client_does_not_load_aiohttp() -> None:
    program = (
        "import sys, launch_async; "
        "launch_async.LaunchClient(launch_async.AccessToken('x')); "
        "print('aiohttp' in sys.modules)"
    )

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "False"


@pytest.mark.parametrize("name", launch_async.__all__)
def test_every_public_name_can_be_read_and_listed(name: str) -> None:
    assert getattr(launch_async, name) is not None
    assert name in dir(launch_async)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'launch_async' has no attribute 'LaunchCleint'"):
        launch_async.LaunchCleint  # noqa: B018
