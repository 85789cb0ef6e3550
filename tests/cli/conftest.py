"""An emulator that the environment names, and the command in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from launch_async.cli.app import run
from launch_sync.emulator import LaunchEmulator


@attrs.frozen
class Ended:
    """What came of one command."""

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
def command(
    emulator: LaunchEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
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
