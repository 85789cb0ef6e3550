"""An emulator, a client of it, and small sites to deploy."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from launch_async import LaunchClient
from launch_async.deploy import uploading
from launch_async.emulator import LaunchEmulator
from tests.support.clients import client_of

PAGE = "<!doctype html><title>Night sky</title><h1>Tonight</h1>"
Launch = tuple[LaunchEmulator, LaunchClient]
Start = Callable[..., AbstractAsyncContextManager[Launch]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site of one page."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(PAGE, "utf-8")
    return site


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, which must be empty after the test."""
    place = tmp_path / "spool"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert list(place.iterdir()) == []


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat uploads without a noticeable pause."""
    monkeypatch.setattr(uploading, "_PAUSE_S", 0.001)


@pytest.fixture
def start() -> Start:
    """Start an emulator with options, and a client for the emulator.

    By default the emulator has no rate limit, and builds end immediately.
    """

    @asynccontextmanager
    async def started(**options: Any) -> AsyncIterator[Launch]:
        settings = {"rate_limit": None, "build_seconds": 0.0, **options}
        async with (
            LaunchEmulator(**settings) as emulator,
            client_of(emulator) as client,
        ):
            yield emulator, client

    return started


@pytest.fixture
async def launch(start: Start) -> AsyncIterator[Launch]:
    """A new emulator and a client for the emulator."""
    async with start() as pair:
        yield pair


@pytest.fixture
async def fetch() -> AsyncIterator[Callable[[str | None], Any]]:
    """Return the text at an address."""
    async with aiohttp.ClientSession() as session:

        async def fetched(url: str | None) -> str:
            async with session.get(url or "") as response:
                return await response.text()

        yield fetched


@pytest.fixture
def version(tmp_path: Path) -> Callable[[str], Path]:
    """Create a site whose page contains a word."""

    def made(word: str) -> Path:
        folder = tmp_path / f"site-{word}"
        folder.mkdir(exist_ok=True)
        (folder / "index.html").write_text(f"<h1>{word}</h1>" * 200)
        return folder

    return made
