"""Use each extra that is installed, and check the error for each extra that is not installed.

    python tools/try_extras.py redis

Run the script with an interpreter that has the distribution and only the named extras. The script imports the installed
packages, because Python adds the folder of a script to the path, but not the checkout.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

from launch_async import ConfigurationError, InvalidArgumentError, KeyringTokenStore
from launch_async.display import FleetProgress
from launch_async.rate_limit.redis import BudgetUnavailable, RedisRateLimiter
from launch_async.state import DeclaredProject, State
from launch_sync import Authtoken, LaunchClient, to_frame
from launch_sync.emulator import LaunchEmulator

MODULES: Final = {
    "redis": "redis",
    "progress": "rich",
    "notebook": "pandas",
    "speed": "orjson",
    "keyring": "keyring",
    "certificates": "cryptography",
    "state": "tomlkit",
    "cli": "click",
}
BROUGHT_ALONG: Final = {"certificates": "keyring", "progress": "cli", "state": "cli"}
"""Extras whose library another extra may install: on Linux, keyring uses cryptography."""


def main() -> None:
    """Return 0 if the named extras work, and errors report the other extras as missing."""
    parser = argparse.ArgumentParser(description="Use the named extras, and expect the other extras to be missing.")
    parser.add_argument("extras", nargs="*", choices=[*MODULES, []])
    expected = set(parser.parse_args().extras)
    installed = {extra for extra, module in MODULES.items() if find_spec(module)}
    surprising = {extra for extra in installed - expected if BROUGHT_ALONG.get(extra) not in expected}
    if surprising or expected - installed:
        sys.exit(f"The installed extras are {sorted(installed)}, but should be {sorted(expected)}.")
    with LaunchEmulator() as emulator:
        for extra, use in USES.items():
            _try(extra, use, emulator, is_there=extra in installed)


def _try(extra: str, use: Callable[[LaunchEmulator], None], emulator: LaunchEmulator, *, is_there: bool) -> None:
    try:
        use(emulator)
    except ConfigurationError as error:
        if is_there or f"contentstack-launch[{extra}]" not in str(error):
            raise
        print(f"{extra:12} missing: {error}")
    else:
        if not is_there:
            sys.exit(f"{extra} is not installed, but no error or log line reports this.")
        print(f"{extra:12} works")


def _redis(emulator: LaunchEmulator) -> None:
    # No server listens there, and redis-py must detect this.
    budget = RedisRateLimiter(
        "redis://127.0.0.1:1", emulator.organization_uid, base_url=emulator.url, when_unreachable="error", patience=0.1
    )
    with LaunchClient(
        Authtoken(emulator.authtoken),
        base_url=emulator.url,
        organization_uid=emulator.organization_uid,
        limiter=budget,
    ) as launch:
        try:
            launch.usage.cache_revalidations()
        except BudgetUnavailable:
            return
        sys.exit("The client sent a request without a permit.")


def _progress(emulator: LaunchEmulator) -> None:
    terminal = io.StringIO()
    with _client(emulator) as launch, FleetProgress("live", file=terminal) as progress:
        emulator.add_project("progress", deployments=1)
        plan = launch.fleet.plan_variables(launch.fleet.select(projects="progress"), {"A": "1"})
        launch.fleet.run(plan, variables={"A": "1"}, confirm=1, on_event=progress)
    assert "1 succeeded" in terminal.getvalue()


def _notebook(emulator: LaunchEmulator) -> None:
    emulator.add_project("notebook")
    with _client(emulator) as launch:
        assert "notebook" in to_frame(launch.projects.list())["name"].to_list()


def _speed(emulator: LaunchEmulator) -> None:
    # orjson only parses large responses.
    for number in range(50):
        emulator.add_project(f"site-{number}")
    with _client(emulator) as launch:
        launch.projects.list().to_list()
    if "orjson" not in sys.modules:
        # No call needs this extra. Without it, the standard library decodes, and no message is needed.
        raise ConfigurationError("contentstack-launch[speed] is not installed")


def _keyring(emulator: LaunchEmulator) -> None:
    if find_spec("keyring"):
        import keyring
        from keyring.backend import KeyringBackend

        class Memory(KeyringBackend):
            priority = 1

            def get_password(self, service: str, username: str) -> str | None:
                return None

            def set_password(self, service: str, username: str, password: str) -> None:
                raise NotImplementedError

        keyring.set_keyring(Memory())  # type: ignore[no-untyped-call]
    assert asyncio.run(KeyringTokenStore("nobody").load()) is None


def _certificates(emulator: LaunchEmulator) -> None:
    project = emulator.add_project("certificates")
    place = project.uid, next(iter(project.environments))
    pem = "-----BEGIN {0}-----\nAAAA\n-----END {0}-----\n"
    with _client(emulator) as launch:
        try:
            launch.domains.update(
                *place,
                emulator.add_domain(place[1], "www.example.com"),
                url="www.example.com",
                certificate=pem.format("CERTIFICATE"),
                private_key=pem.format("PRIVATE KEY"),
            )
        except InvalidArgumentError as error:
            if "certificate: cannot be read" not in str(error):
                raise


def _state(_: LaunchEmulator) -> None:
    assert "night-sky" in State(projects={"night-sky": DeclaredProject()}).to_toml()


def _cli(emulator: LaunchEmulator) -> None:
    settings = {
        "CONTENTSTACK_LAUNCH_URL": emulator.url,
        "CONTENTSTACK_AUTHTOKEN": emulator.authtoken,
        "CONTENTSTACK_ORGANIZATION_UID": emulator.organization_uid,
    }
    typed = [sys.executable, "-m", "launch_async.cli", "fleet", "select", "--json"]
    ended = subprocess.run(typed, capture_output=True, text=True, env={**os.environ, **settings})
    if ended.returncode == 4:
        raise ConfigurationError(ended.stderr)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)


def _client(emulator: LaunchEmulator) -> LaunchClient:
    return LaunchClient(
        Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
    )


USES: Final[dict[str, Callable[[LaunchEmulator], None]]] = {
    "redis": _redis,
    "progress": _progress,
    "notebook": _notebook,
    "speed": _speed,
    "keyring": _keyring,
    "certificates": _certificates,
    "state": _state,
    "cli": _cli,
}


if __name__ == "__main__":
    main()
