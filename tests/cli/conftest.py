"""An emulator that the environment variables name, and the command in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import launch_async.client
from launch_async.cli.app import run
from launch_async.rate_limit import UnlimitedRateLimiter
from launch_async.watch import deployment_poller
from launch_async.watch.log_pace import LogPace
from launch_sync.emulator import LaunchEmulator


@attrs.frozen
class Ended:
    """The result of one command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def emulator() -> Iterator[LaunchEmulator]:
    with LaunchEmulator(rate_limit=None, build_seconds=0.05) as emulator:
        yield emulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    site = tmp_path / "my site"
    site.mkdir()
    (site / "index.html").write_text("<h1>night sky</h1>" * 100)
    return site


@pytest.fixture
def frequent_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll every few milliseconds. The emulator builds in 50 ms, and tests/watch checks the real intervals."""
    monkeypatch.setattr(deployment_poller, "until_next_poll", lambda *_, **__: 0.02)
    monkeypatch.setattr(LogPace, "interval", lambda *_: 0.02)
    monkeypatch.setattr(LogPace, "settling", lambda *_: 0.02)


@pytest.fixture
def no_rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send without the limit of 10 requests per second, because the emulator has none."""
    monkeypatch.setattr(launch_async.client, "shared_limiter", lambda *_, **__: UnlimitedRateLimiter())


@pytest.fixture
def command(
    emulator: LaunchEmulator,
    frequent_polls: None,
    no_rate_limit: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Command:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CONTENTSTACK_ACCESS_TOKEN", "CONTENTSTACK_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CONTENTSTACK_LAUNCH_URL", emulator.url)
    monkeypatch.setenv("CONTENTSTACK_AUTHTOKEN", emulator.authtoken)
    monkeypatch.setenv("CONTENTSTACK_ORGANIZATION_UID", emulator.organization_uid)
    monkeypatch.chdir(tmp_path)

    def typed(*arguments: object) -> Ended:
        capsys.readouterr()
        code = run([str(one) for one in arguments])
        return Ended(code, *capsys.readouterr())

    return typed
