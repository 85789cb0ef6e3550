"""The generated client against the emulator: the requests, objects and errors of the asynchronous client."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

import launch_async
import launch_sync
from launch_sync import (
    AccessToken,
    ClosedError,
    LaunchClient,
    LogLine,
    NotFoundError,
    create_archive,
)
from launch_sync._bridge import loop as _loop
from launch_sync.emulator import LaunchEmulator
from tests.support.clients import plain_client_of

NOWHERE = "66c0aaaaaaaaaaaaaaaaaaaa"


@pytest.fixture(scope="module")
def emulator() -> Iterator[LaunchEmulator]:
    with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator:
        yield emulator


@pytest.fixture
def launch(emulator: LaunchEmulator) -> Iterator[LaunchClient]:
    with plain_client_of(emulator) as launch:
        yield launch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    (site / "index.html").write_text("<p>hello</p>" + "x" * 2000)
    return site


def test_the_main_job_works_as_with_await(launch: LaunchClient, folder: Path) -> None:
    lines: list[LogLine] = []
    site = launch.create_site("main-job", folder, on_log=lines.append)
    assert site.deployment.status.is_success
    assert lines[-1].message == "Deployment is live"
    deployments = launch.deployments.list(site.project.uid, site.environment.uid)
    assert [deployment.uid for deployment in deployments] == [site.deployment.uid]
    assert deployments.total() == 1
    assert deployments.first() == site.deployment
    assert repr(deployments).startswith("Pager(")


def test_a_pager_can_be_read_as_a_list_and_its_errors_say_how(emulator: LaunchEmulator, launch: LaunchClient) -> None:
    project = emulator.add_project("pager", environments=["one", "two", "three"])
    environments = launch.environments.list(project.uid)

    assert len(list(environments)) == len(environments.to_list()) == 3
    assert sorted(environment.name for environment in environments) == ["one", "three", "two"]
    with pytest.raises(
        TypeError,
        match=r"A Pager has no len\(\), because it reads items later. Use len\(list\(pager\)\) or pager\.total\(\)",
    ):
        len(environments)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"A Pager is not a list. Use list\(pager\), or pager\.first\(\) for the first item"
    ):
        environments[0]  # type: ignore[index]


def test_a_list_of_a_pager_takes_one_request_for_each_page(emulator: LaunchEmulator, launch: LaunchClient) -> None:
    before = emulator.ledger.count("listProjects")

    list(launch.projects.list())

    assert emulator.ledger.count("listProjects") == before + 1


def test_a_pager_may_be_passed_to_a_method_that_takes_several_items(
    emulator: LaunchEmulator, launch: LaunchClient
) -> None:
    project = emulator.add_project("waited-for", environments=["one"], deployments=2)
    environment = launch.environments.list(project.uid).to_list()[0]

    ended = launch.wait_all(launch.deployments.list(project.uid, environment.uid))

    assert len(ended) == 2


def test_a_notebook_shows_the_first_page_with_one_request(emulator: LaunchEmulator, launch: LaunchClient) -> None:
    project = emulator.add_project("shown", environments=["one", "two"])
    before = emulator.ledger.count("listEnvironments")

    shown = launch.environments.list(project.uid)._repr_html_()

    assert "All 2" in shown
    assert "one" in shown
    assert emulator.ledger.count("listEnvironments") == before + 1


def test_the_repr_of_the_twins_lists_their_methods(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    assert repr(launch.deploy_hooks).endswith(": trigger>")
    assert repr(launch.variables) == "<Variables: read, diff, apply>"
    assert repr(launch.fleet).startswith("<Fleet of http://")
    assert f"organization {emulator.organization_uid}, open>" in repr(launch)


def test_a_function_of_the_package_has_a_synchronous_twin(folder: Path) -> None:
    with create_archive(folder) as archive:
        assert zipfile.is_zipfile(archive.path)


def test_32_threads_share_one_client(launch: LaunchClient) -> None:
    with ThreadPoolExecutor(32) as pool:
        documents = list(pool.map(lambda _: launch.openapi(), range(64)))
    assert documents == [documents[0]] * 64


def test_an_error_is_of_the_same_class_in_both_packages(launch: LaunchClient) -> None:
    with pytest.raises(launch_async.NotFoundError) as caught:
        launch.projects.get(NOWHERE)
    assert type(caught.value) is NotFoundError


def test_a_client_without_a_with_works_until_it_is_closed(emulator: LaunchEmulator) -> None:
    launch = LaunchClient(AccessToken(emulator.access_token), base_url=emulator.url)
    assert "openapi" in repr(launch.openapi())
    assert "closed" not in repr(launch)
    launch.close()
    assert "closed" in repr(launch)
    with pytest.raises(ClosedError, match="The client is closed"):
        launch.openapi()


def test_a_client_stays_open_as_long_as_its_resources_are_used(emulator: LaunchEmulator) -> None:
    emulator.add_project("handed-out")
    with pytest.warns(ResourceWarning, match="LaunchClient was never closed"):
        names = [project.name for project in plain_client_of(emulator).projects.list()]
    with pytest.warns(ResourceWarning, match="LaunchClient was never closed"):
        total = plain_client_of(emulator).with_options(timeout=5).projects.list().total()
    assert "handed-out" in names
    assert total == len(names)


def test_a_client_opens_separate_connections_in_a_forked_child(
    launch: LaunchClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch.openapi()
    transport = launch._async._pipeline._transport
    inherited = transport._session
    with monkeypatch.context() as child:
        child.setattr(_loop, "_process", _loop._Process())
        child.setattr(os, "getpid", lambda: -1)
        launch.openapi()
        assert transport._session is not inherited
        launch.close()
        _loop.current_loop().stop()
    assert not inherited.closed
    transport._session, transport._owns_session = inherited, True
    _loop.current_loop()
    launch_sync._bridge.run(inherited.close())


@pytest.mark.parametrize("package", [launch_sync, launch_sync.emulator], ids=str)
def test_every_public_name_exists_and_no_other_name_does(package: ModuleType) -> None:
    assert {name for name in package.__all__ if getattr(package, name) is None} == set()
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = package.Nonsense
