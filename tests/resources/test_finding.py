"""`find` turns names, globs and UIDs into UIDs. A name that fits no object or several is an error with suggestions."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator

import pytest

from launch_async import AmbiguousName, InvalidArgumentError, LaunchClient, NameNotFound, NotFoundError
from launch_async.emulator import LaunchEmulator
from launch_sync.emulator import LaunchEmulator as PlainEmulator
from tests.support.clients import client_of, plain_client_of

NOWHERE = "66c0aaaaaaaaaaaaaaaaaaaa"
COMPOSED, DECOMPOSED = "m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller", "mu\N{COMBINING DIAERESIS}ller"


@pytest.fixture
async def emulator() -> AsyncIterator[LaunchEmulator]:
    async with LaunchEmulator(rate_limit=None) as emulator:
        yield emulator


@pytest.fixture
async def launch(emulator: LaunchEmulator) -> AsyncIterator[LaunchClient]:
    async with client_of(emulator) as launch:
        yield launch


async def test_names_become_uids_with_one_listing_each(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    shop = emulator.add_project("shop", environments=["production", "staging"])
    emulator.add_project("shop-de")
    emulator.ledger.clear()

    found = await launch.find("shop", "staging")

    assert found == (shop.uid, list(shop.environments)[1]) == (found.project_uid, found.environment_uid)
    assert [one.operation for one in emulator.ledger.requests] == ["listProjects", "listEnvironments"]
    assert await launch.find("shop") == (shop.uid,)


async def test_a_listing_of_several_pages_is_read_to_its_end(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    projects = [emulator.add_project(f"brand-{number:03}") for number in range(101)]
    emulator.ledger.clear()

    assert [(await launch.find(one.name)).project_uid for one in (projects[0], projects[-1])] == [
        projects[0].uid,
        projects[-1].uid,
    ]
    assert emulator.ledger.count() == 4


async def test_uids_take_no_request(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    assert await launch.find(NOWHERE, NOWHERE) == (NOWHERE, NOWHERE)
    assert emulator.ledger.count() == 0


async def test_an_environment_of_a_project_by_its_uid_takes_one_listing(
    launch: LaunchClient, emulator: LaunchEmulator
) -> None:
    shop = emulator.add_project("shop")
    emulator.ledger.clear()

    assert await launch.find(shop.uid, "production") == (shop.uid, *shop.environments)
    assert emulator.ledger.count() == 1
    with pytest.raises(NotFoundError):
        await launch.find(NOWHERE, "production")


async def test_a_glob_that_matches_one_environment_selects_it(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    shop = emulator.add_project("shop-de", environments=["production", "staging"])
    emulator.add_project("blog")

    assert await launch.find("s*", "[ps]?????????*") == (shop.uid, *list(shop.environments)[:1])


async def test_an_exact_name_has_priority_over_a_glob(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    exact, other = emulator.add_project("shop[1]"), emulator.add_project("shop1")

    assert await launch.find("shop[1]") == (exact.uid,)
    assert await launch.find("shop[12]") == (other.uid,)


async def test_an_ambiguous_name_is_refused_with_the_matches_and_their_uids(
    launch: LaunchClient, emulator: LaunchEmulator
) -> None:
    projects = [emulator.add_project(f"shop-{country}") for country in ("de", "fr")]

    with pytest.raises(AmbiguousName, match=r"2 names match 'shop-\*'") as caught:
        await launch.find("shop-*")

    assert caught.value.candidates == {one.uid: one.name for one in projects}
    assert all(f"{one.name!r} ({one.uid})" in str(caught.value) for one in projects)
    assert pickle.loads(pickle.dumps(caught.value)).candidates == caught.value.candidates


@pytest.mark.parametrize("wanted", ["Shop-DE", "shopde", "shop", "*op-d"])
async def test_an_unknown_name_is_refused_with_similar_names(
    launch: LaunchClient, emulator: LaunchEmulator, wanted: str
) -> None:
    project = emulator.add_project("shop-de")
    emulator.add_project("blog")

    with pytest.raises(NameNotFound) as caught:
        await launch.find(wanted)

    assert caught.value.candidates == {project.uid: "shop-de"}
    assert f"No project matches {wanted!r}. Names are case-sensitive. Similar names: 'shop-de' ({project.uid})" in str(
        caught.value
    )


async def test_an_error_without_similar_names_says_how_to_list_all(
    launch: LaunchClient, emulator: LaunchEmulator
) -> None:
    shop = emulator.add_project("shop")

    with pytest.raises(
        NameNotFound, match=r"launch\.environments\.list\(project_uid\) returns all names \(1 in total\)"
    ):
        await launch.find("shop", "xyz")
    with pytest.raises(NameNotFound, match=rf"No environment of project {shop.uid} matches"):
        await launch.find("shop", "xyz")


async def test_two_unicode_spellings_are_one_name(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project(DECOMPOSED)

    assert await launch.find(COMPOSED) == await launch.find(f" {COMPOSED} ") == await launch.find("m?ller")
    assert await launch.find(COMPOSED) == (project.uid,)


async def test_two_names_that_differ_only_in_unicode_spelling_are_distinguished(
    launch: LaunchClient, emulator: LaunchEmulator
) -> None:
    one, other = emulator.add_project(COMPOSED), emulator.add_project(DECOMPOSED)

    assert [await launch.find(COMPOSED), await launch.find(DECOMPOSED)] == [(one.uid,), (other.uid,)]


@pytest.mark.parametrize(("project", "environment"), [("", None), ("shop", " "), ("\ud800", None), (b"shop", None)])
async def test_a_value_that_is_no_name_is_refused_before_a_request(
    launch: LaunchClient, emulator: LaunchEmulator, project: str, environment: str
) -> None:
    with pytest.raises(InvalidArgumentError):
        await launch.find(project, environment)

    assert emulator.ledger.count() == 0


async def test_a_name_instead_of_a_uid_is_refused_with_the_call_that_finds_it(
    launch: LaunchClient, emulator: LaunchEmulator
) -> None:
    for call in (launch.projects.get("shop"), launch.deploy("shop", "production", "site")):
        with pytest.raises(InvalidArgumentError, match=r"project_uid: .*launch\.find\('shop'\) returns the UID"):
            await call
    with pytest.raises(InvalidArgumentError, match=r"environment_uid: .*launch\.find\(project, 'production'\)"):
        await launch.environments.get(NOWHERE, "production")
    with pytest.raises(InvalidArgumentError, match=r"project_uids: .*To select projects by name, pass projects="):
        await launch.fleet.select(project_uids=["shop"])
    assert emulator.ledger.count() == 0


def test_find_works_in_launch_sync() -> None:
    with PlainEmulator(rate_limit=None) as emulator, plain_client_of(emulator) as launch:
        shop = emulator.add_project("shop")

        assert launch.find("shop", "prod*") == (shop.uid, *shop.environments)
        with pytest.raises(NameNotFound):
            launch.find("shops")
