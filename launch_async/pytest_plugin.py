"""Fixtures for tests of programs that use Launch: an emulator for each test, and clients of the emulator.

``launch_emulator`` is a `launch_sync.emulator.LaunchEmulator`. It runs in a separate thread, so that synchronous and
asynchronous tests can use it. ``launch_client`` and ``sync_launch_client`` are open clients with its credentials.
``@pytest.mark.launch_emulator(rate_limit=None, build_seconds=0)`` passes options to the emulator.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest

if TYPE_CHECKING:
    import launch_async
    import launch_sync
    from launch_sync.emulator import LaunchEmulator


__all__ = ["launch_client", "launch_emulator", "pytest_configure", "sync_launch_client"]


class _Fixture(Protocol):
    def __call__(self, function: Callable[..., object], *, name: str) -> object: ...


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the asynchronous fixture in the way that the installed runner understands."""
    config.addinivalue_line("markers", "launch_emulator(**options): options of the launch_emulator fixture")
    fixture, function = cast("_Fixture", pytest.fixture), cast("Callable[..., object]", launch_client)
    if config.pluginmanager.hasplugin("asyncio"):
        fixture = cast("_Fixture", import_module("pytest_asyncio").fixture)
    elif not config.pluginmanager.hasplugin("anyio"):
        function = _launch_client_without_a_runner
    holder = ModuleType("launch_async_fixtures")
    holder.__dict__["launch_client"] = fixture(function, name="launch_client")
    config.pluginmanager.register(holder, holder.__name__)


@pytest.fixture
def launch_emulator(request: pytest.FixtureRequest) -> "Iterator[LaunchEmulator]":
    """A running emulator for this test, on a free port."""
    misplaced: tuple[object, ...] = ()
    options: dict[str, Any] = {}
    for marker in request.node.iter_markers("launch_emulator"):
        misplaced += marker.args  # The emulator refuses positional arguments, so the user notices them.
        options = {**marker.kwargs, **options}
    # Imported by name at run time, because pytest loads this plugin in every test session.
    with import_module("launch_sync.emulator").LaunchEmulator(*misplaced, **options) as emulator:
        yield emulator


@pytest.fixture
def sync_launch_client(launch_emulator: "LaunchEmulator") -> "Iterator[launch_sync.LaunchClient]":
    """A synchronous client of the emulator's first organization."""
    sdk = import_module("launch_sync")
    with sdk.LaunchClient(
        sdk.Authtoken(launch_emulator.authtoken),
        base_url=launch_emulator.url,
        organization_uid=launch_emulator.organization_uid,
        proxy="",  # The emulator runs on this machine, so the proxies of the environment do not apply.
    ) as client:
        yield client


async def launch_client(launch_emulator: "LaunchEmulator") -> "AsyncIterator[launch_async.LaunchClient]":
    """An asynchronous client of the emulator's first organization."""
    sdk = import_module("launch_async")
    async with sdk.LaunchClient(
        sdk.Authtoken(launch_emulator.authtoken),
        base_url=launch_emulator.url,
        organization_uid=launch_emulator.organization_uid,
        proxy="",  # The emulator runs on this machine, so the proxies of the environment do not apply.
    ) as client:
        yield client


def _launch_client_without_a_runner() -> None:
    """Name the missing package. The error of pytest would only say that no plugin handles an async fixture."""
    pytest.fail(
        "The fixture launch_client needs pytest-asyncio. Install it with: pip install pytest-asyncio", pytrace=False
    )
