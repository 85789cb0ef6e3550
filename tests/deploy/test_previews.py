"""Preview environments: created once, reused, and deleted after their end. Other environments are not changed."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from launch_async import APIError, DeploymentFailed, Environment, InvalidArgumentError, LaunchError, NotFoundError
from launch_async.deploy.previews.marker import Marker
from launch_async.deploy.previews.preview import is_protected, preview_name
from launch_async.http import Request, Response, Send
from tests.support.clients import client_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def shop(launch):
    """A Git project with a production environment that has its own preset and a secret variable."""
    emulator, _ = launch
    return emulator.add_project("shop", git=True, framework_preset="NEXTJS", variables=[("API_TOKEN", "s3cr3t-value")])


async def environments(client, project) -> dict[str, Environment]:
    return {one.name: one for one in await client.environments.list(project.uid).to_list()}


async def test_a_branch_gets_an_environment_and_the_next_create_deploys_to_it(launch, shop):
    emulator, client = launch

    first = await client.previews.create(shop.uid, branch="moon", ttl=DAY, owner="alice")
    again = await client.previews.create(shop.uid, branch="moon", ttl=DAY)

    assert (first.name, first.owner, first.source) == ("preview-moon", "alice", "branch moon")
    assert first.deployment.status.is_serving
    assert first.url == first.deployment.url
    assert again.environment_uid == first.environment_uid
    assert again.deployment.deployment_number == 2
    assert again.owner == "alice"
    assert again.expires_at >= first.expires_at
    assert emulator.ledger.count("createEnvironment") == 1


async def test_a_preview_has_the_settings_of_production_and_none_of_its_variables(launch, shop):
    _, client = launch
    production = next(iter(shop.environments))
    await client.environments.update(shop.uid, production, build_command="npm run build")

    await client.previews.create(shop.uid, branch="moon", ttl=DAY, environment_variables={"MODE": "preview"})

    made = (await environments(client, shop))["preview-moon"]
    assert (made.framework_preset, made.build_command, made.git_branch) == ("NEXTJS", "npm run build", "moon")
    assert [one.key for one in made.environment_variables] == ["MODE"]


async def test_a_folder_gets_an_environment(launch, folder, fetch):
    _, client = launch
    site = await client.create_site("night-sky", folder)

    preview = await client.previews.create(site.project.uid, source=folder, ttl=3600)
    again = await client.previews.create(site.project.uid, source=folder, ttl=3600, wait=False)

    assert preview.name == "preview-site"
    assert "Tonight" in await fetch(preview.url)
    assert again.environment_uid == preview.environment_uid


async def test_a_list_of_previews_has_their_ages_and_owners(launch, shop):
    emulator, client = launch
    await client.previews.create(shop.uid, branch="later", ttl=2 * DAY, owner="bob")
    await client.previews.create(shop.uid, branch="sooner", ttl=DAY)
    emulator.advance(3600)
    other = emulator.add_project("blog", git=True)

    previews = await client.previews.list()

    assert [one.name for one in previews] == ["preview-sooner", "preview-later"]
    assert previews[1].owner == "bob"
    assert previews[0].owner.startswith("blt")
    assert timedelta(seconds=3590) < previews[0].age < timedelta(seconds=3660)
    assert timedelta(hours=22) < previews[0].time_left < timedelta(hours=24)
    assert not previews[0].is_over
    assert previews[0].to_dict()["name"] == "preview-sooner"
    assert list(await client.previews.list(other.uid)) == []


async def test_a_sweep_deletes_only_expired_previews(launch, shop):
    emulator, client = launch
    await client.previews.create(shop.uid, branch="short", ttl=HOUR)
    await client.previews.create(shop.uid, branch="long", ttl=DAY)
    await client.environments.create_from_git(shop.uid, "preview-by-hand", git_branch="x", description="preview, old")
    emulator.advance(3601)

    would = await client.previews.sweep(dry_run=True)
    assert [one.name for one in would] == ["preview-short"]
    assert emulator.ledger.count("deleteEnvironment") == 0

    swept = await client.previews.sweep()

    assert [one.name for one in swept] == ["preview-short"]
    assert set(await environments(client, shop)) == {"production", "preview-long", "preview-by-hand"}
    assert list(await client.previews.sweep()) == []


async def test_a_protected_name_is_never_swept_even_with_a_marker(launch, shop):
    emulator, client = launch
    old = Marker(NOON - DAY, "mallory", "branch x").text
    for name in ("Production-2", "LIVE"):
        await client.environments.create_from_git(shop.uid, name, git_branch="x", description=old)
    production = next(iter(shop.environments))
    await client.environments.update(shop.uid, production, description=old)

    assert list(await client.previews.sweep(protected=("production*", "live"))) == []
    assert emulator.ledger.count("deleteEnvironment") == 0
    assert [one.name for one in await client.previews.sweep()] == ["Production-2"]


async def test_a_preview_that_is_extended_during_a_sweep_is_not_deleted(launch, shop):
    emulator, client = launch
    preview = await client.previews.create(shop.uid, branch="moon", ttl=HOUR)
    emulator.advance(3601)

    async def colleague(request: Request, send: Send) -> Response:
        response = await send(request)
        if request.operation == "listEnvironments":
            await client.previews.extend(preview, DAY)
        return response

    async with client_of(emulator) as plain:
        sweeper = plain.with_options(middleware=[colleague])
        assert list(await sweeper.previews.sweep()) == []
    assert "preview-moon" in await environments(client, shop)


async def test_concurrent_sweeps_are_no_error(launch, shop):
    emulator, client = launch
    await client.previews.create(shop.uid, branch="moon", ttl=HOUR)
    emulator.advance(3601)

    swept = await asyncio.gather(*(client.previews.sweep() for _ in range(4)))

    assert sum(map(len, swept)) >= 1
    assert set(await environments(client, shop)) == {"production"}


async def test_a_sweep_raises_a_failure_after_the_other_deletions(launch, shop, caplog):
    emulator, client = launch
    for branch in ("a", "b", "c"):
        await client.previews.create(shop.uid, branch=branch, ttl=HOUR)
    emulator.advance(3601)
    emulator.faults.add("status_before", operation="deleteEnvironment", status=403, times=1)

    with caplog.at_level(logging.WARNING), pytest.raises(APIError) as failure:
        await client.previews.sweep()

    assert failure.value.__notes__ == ["1 of 3 previews could not be deleted. Call launch.previews.sweep() again"]
    assert len(await environments(client, shop)) == 2


async def test_a_preview_is_extended_from_now(launch, shop):
    emulator, client = launch
    preview = await client.previews.create(shop.uid, branch="moon", ttl=HOUR, owner="alice")
    emulator.advance(3000)

    longer = await client.previews.extend((preview.project_uid, preview.environment_uid), HOUR)
    shorter = await client.previews.extend(preview.deployment, 60)

    assert timedelta(seconds=2990) < longer.expires_at - preview.expires_at < timedelta(seconds=3060)
    assert shorter.expires_at < preview.expires_at
    assert (shorter.owner, shorter.source) == ("alice", "branch moon")


async def test_the_next_create_does_not_shorten_a_preview(launch, shop):
    _, client = launch
    preview = await client.previews.create(shop.uid, branch="moon", ttl=HOUR)
    longer = await client.previews.extend(preview, 7 * DAY)

    again = await client.previews.create(shop.uid, branch="moon", ttl=HOUR, owner="bob")

    assert (again.expires_at, again.owner) == (longer.expires_at, "bob")


async def test_a_preview_can_be_deleted_by_its_branch(launch, shop):
    _, client = launch
    await client.previews.create(shop.uid, branch="feature/moon", ttl=DAY)

    gone = await client.previews.delete(shop.uid, branch="feature/moon")

    assert gone.source == "branch feature/moon"
    assert await client.previews.delete(shop.uid, branch="feature/moon") is None
    assert set(await environments(client, shop)) == {"production"}


async def test_an_environment_that_is_not_a_preview_is_not_changed_or_deleted(launch, shop):
    emulator, client = launch
    mine = await client.environments.create_from_git(shop.uid, "staging", git_branch="main", description="by hand")
    before = emulator.ledger.count("createDeployment")

    with pytest.raises(InvalidArgumentError, match="exists and is not a preview"):
        await client.previews.create(shop.uid, branch="moon", ttl=DAY, name="staging")
    with pytest.raises(InvalidArgumentError, match="is not a preview"):
        await client.previews.delete(shop.uid, name="staging")
    with pytest.raises(InvalidArgumentError, match="is not a preview"):
        await client.previews.extend(mine, DAY)

    assert (await client.environments.get(shop.uid, mine.uid)).description == "by hand"
    assert emulator.ledger.count("createDeployment") == before
    assert emulator.ledger.count("deleteEnvironment") == 0


async def test_two_concurrent_jobs_of_a_branch_create_one_environment(launch, shop):
    emulator, client = launch
    async with client_of(emulator) as other:
        previews = await asyncio.gather(
            *(one.previews.create(shop.uid, branch="moon", ttl=DAY, wait=False) for one in (client, other))
        )

    assert previews[0].environment_uid == previews[1].environment_uid
    assert [name for name in await environments(client, shop) if name != "production"] == ["preview-moon"]


async def test_a_preview_that_is_deleted_during_create_is_created_again(launch, shop):
    emulator, client = launch
    old = await client.previews.create(shop.uid, branch="moon", ttl=DAY)
    gone = False

    async def sweeper(request: Request, send: Send) -> Response:
        nonlocal gone
        if request.operation == "createDeployment" and not gone:
            gone = True
            await client.environments.delete(shop.uid, old.environment_uid)
        return await send(request)

    async with client_of(emulator) as plain:
        preview = await plain.with_options(middleware=[sweeper]).previews.create(shop.uid, branch="moon", ttl=DAY)

    assert preview.environment_uid != old.environment_uid
    assert preview.deployment.status.is_serving


async def test_the_next_create_uses_the_preview_of_a_failed_build(launch, shop):
    emulator, client = launch
    emulator.script("FAILED")

    with pytest.raises(DeploymentFailed):
        await client.previews.create(shop.uid, branch="moon", ttl=DAY)

    assert (await client.previews.create(shop.uid, branch="moon", ttl=DAY)).deployment.status.is_serving
    assert emulator.ledger.count("createEnvironment") == 1


async def test_the_error_about_the_limit_of_environments_counts_the_previews(start):
    async with start(environment_limit=3) as (emulator, client):
        shop = emulator.add_project("shop", git=True)
        await client.previews.create(shop.uid, branch="a", ttl=HOUR)
        await client.previews.create(shop.uid, branch="b", ttl=DAY)

        with pytest.raises(
            APIError, match=r"has 3 environments. Previews among them: 2. The next preview to expire is 'preview-a'"
        ):
            await client.previews.create(shop.uid, branch="c", ttl=DAY)
        emulator.advance(3601)
        with pytest.raises(APIError, match=r"Previews among them: 2 \(1 expired\). Call launch.previews.sweep\(\)"):
            await client.previews.create(shop.uid, branch="c", ttl=DAY)
        await client.previews.sweep()
        assert (await client.previews.create(shop.uid, branch="c", ttl=DAY)).name == "preview-c"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "pass either branch= or source="),
        ({"branch": "a", "source": "b"}, "pass either branch= or source="),
        ({"branch": ""}, "branch: must not be empty"),
        ({"branch": "a", "ttl": 0}, "ttl: must be "),
        ({"branch": "a", "ttl": timedelta(days=-1)}, "ttl: must be "),
        ({"branch": "a", "ttl": "1d"}, "ttl: must be "),
        ({"branch": "a", "ttl": True}, "ttl: must be "),
        ({"branch": "a", "name": "Production"}, "is a protected name"),
        ({"branch": "a", "name": " "}, "name: must not be empty"),
        ({"branch": "a", "settings_from": "x"}, "settings_from"),
        ({"branch": "a", "environment_variables": {"A": ""}}, "the value of 'A' is empty"),
        ({"branch": "a", "timeout": 0}, "timeout"),
    ],
)
async def test_malformed_arguments_are_refused_before_a_request(launch, shop, wrong, words):
    emulator, client = launch
    before = len(emulator.ledger.requests)

    with pytest.raises(InvalidArgumentError, match=words):
        await client.previews.create(shop.uid, **{"ttl": DAY, **wrong})

    assert len(emulator.ledger.requests) == before


async def test_unknown_environments_and_projects_are_refused_before_a_creation(launch, shop):
    emulator, client = launch

    with pytest.raises(InvalidArgumentError, match="the project has no environment"):
        await client.previews.create(shop.uid, branch="a", ttl=DAY, settings_from="f" * 24)
    with pytest.raises(NotFoundError):
        await client.previews.create("f" * 24, branch="a", ttl=DAY)
    with pytest.raises(InvalidArgumentError, match="not a string"):
        await client.previews.sweep(protected="production")
    with pytest.raises(InvalidArgumentError, match="ref"):
        await client.previews.extend("f" * 24, DAY)
    assert emulator.ledger.count("createEnvironment") == 0


async def test_a_sweep_without_a_date_header_deletes_nothing(launch, shop):
    emulator, client = launch
    await client.previews.create(shop.uid, branch="moon", ttl=HOUR)
    emulator.advance(7200)

    async def undated(request: Request, send: Send) -> Response:
        response = await send(request)
        headers = {name: value for name, value in response.headers.items() if name.lower() != "date"}
        return Response(response.status, headers, response.body)

    async with client_of(emulator) as plain:
        blind = plain.with_options(middleware=[undated])
        with pytest.raises(LaunchError, match="have no Date header"):
            await blind.previews.sweep()

    assert "preview-moon" in await environments(client, shop)


moments = st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(moments, st.text(max_size=300), st.text(max_size=400))
def test_a_marker_is_read_as_it_was_written(moment: datetime, owner: str, source: str) -> None:
    text = Marker(moment, owner, source).text
    read = Marker.of(text)

    assert len(text) <= 255
    assert text.isprintable()
    assert read is not None
    assert read.expires_at == moment.replace(microsecond=0)
    assert owner.encode("utf-8", "replace").decode().startswith(read.owner.rstrip("\ufffd")) or "\ufffd" in read.owner


@given(st.text(max_size=100))
def test_other_descriptions_are_not_read_as_markers(text: str) -> None:
    marker = Marker(NOON, "a", "b").text

    assert Marker.of(text) is None or text.startswith("[contentstack-launch preview;")
    assert Marker.of(f"x{marker}") is None
    assert Marker.of(marker.replace("2026-05-04T", "2026-13-04T")) is None
    assert Marker.of(None) is None


def test_similar_branches_have_different_names() -> None:
    branches = ["feature/moon", "feature-moon", "Feature/Moon", "feature_moon", "x" * 80, "x" * 81, "\u6708", "\u65e5"]

    names = {preview_name(None, branch, None) for branch in branches}

    assert len(names) == len(branches)
    assert preview_name(None, "moon", None) == "preview-moon"
    assert preview_name(None, None, Path("/some/Site")) == "preview-site-" + preview_name(None, "Site", None)[-6:]


@pytest.mark.parametrize("name", ["production", "PROD", "Main", "live", None, ""])
def test_names_of_production_environments_are_protected(name: str | None) -> None:
    assert is_protected(name, ("production", "prod", "main", "live"))
