"""Releases and previews without asyncio: checks run while the caller waits, and a plain function runs in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch_sync import Check, DeploymentUnhealthy, LaunchClient, Preview
from launch_sync.emulator import LaunchEmulator
from tests.support.clients import plain_client_of

CHECK = Check(contains="good", every=0.01, attempts=1, grace=0)


@pytest.fixture
def emulator() -> Iterator[LaunchEmulator]:
    with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator:
        yield emulator


@pytest.fixture
def launch(emulator: LaunchEmulator) -> Iterator[LaunchClient]:
    with plain_client_of(emulator) as launch:
        yield launch


def site(folder: Path, word: str) -> Path:
    made = folder / word
    made.mkdir()
    (made / "index.html").write_text(f"<h1>{word}</h1>" * 200)
    return made


def test_a_function_checks_in_a_thread_and_may_use_the_client(launch: LaunchClient, tmp_path: Path) -> None:
    made = launch.create_site("night-sky", site(tmp_path, "good"))
    uids, threads = (made.project.uid, made.environment.uid), set[str]()

    def asks_launch(url: str) -> bool:
        threads.add(threading.current_thread().name)
        newest = launch.deployments.list(*uids).first()
        return newest is not None and newest.url == url

    assert launch.deploy(*uids, tmp_path / "good", verify=asks_launch).status.is_serving
    assert threads
    assert threading.current_thread().name not in threads


def test_a_bad_release_is_restored_and_the_error_is_repeated(launch: LaunchClient, tmp_path: Path) -> None:
    made = launch.create_site("night-sky", site(tmp_path, "good"))
    uids, journal = (made.project.uid, made.environment.uid), tmp_path / "release.journal"

    with pytest.raises(DeploymentUnhealthy) as unhealthy:
        launch.deploy(*uids, site(tmp_path, "bad"), verify=CHECK, on_failure="restore", journal=journal)

    assert unhealthy.value.restored is not None
    with pytest.raises(DeploymentUnhealthy, match=f"{unhealthy.value.restored.uid} has restored the previous version"):
        launch.resume_release(journal)


def test_a_deployment_is_restored_and_promoted(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("shop", environments=["staging", "production"], git=True)
    staging, production = project.environments
    for commit in ("a" * 40, "b" * 40):
        launch.deployments.create(project.uid, staging, commit_hash=commit)

    restored = launch.restore(project.uid, staging)
    promoted = launch.promote(restored, project.uid, production, verify=Check(grace=0))

    assert promoted.commit_hash == restored.commit_hash == "a" * 40


def test_previews_are_created_and_deleted(launch: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("shop", git=True)

    preview = launch.previews.create(project.uid, branch="moon", ttl=3600)
    assert isinstance(preview, Preview)
    assert [one.name for one in launch.previews.list()] == ["preview-moon"]
    launch.previews.extend(preview, 60)
    emulator.advance(61)

    assert [one.name for one in launch.previews.sweep(dry_run=True)] == ["preview-moon"]
    assert len(launch.previews.sweep()) == 1
    assert launch.previews.delete(project.uid, branch="moon") is None
