"""Apply a document with processes that kill themselves with SIGKILL at chosen moments, while a fifth of calls fails."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from launch_async import Authtoken, LaunchClient, RetryPolicy, State
from launch_async.fleet import FleetReport
from launch_async.rate_limit import UnlimitedRateLimiter
from launch_async.watch import schedule
from tests.fleet.victim import KillingJournal, KillSwitch

DOCUMENT = """
[defaults.variables]
RELEASE = "2"
[groups.brands]
projects = ["shop-*"]
git_branch = "release"
[projects.shop-uk.environments.old]
delete = true
[projects.shop-it]
description = "Italy"
[projects.shop-it.repository]
repository_name = "acme/it"
username = "acme"
repository_url = "https://git.example/it"
[projects.shop-it.environments.production]
is_cache_priming_enabled = true
[projects.shop-it.environments.preview]
[projects.shop-it.environments.staging]
"""
ENVIRONMENTS = ("preview", "staging", "test")
FAULTS = (
    ("reset_before", None),
    ("reset_after", None),
    ("status_after", 502),
    ("status_after", 504),
    ("status_before", 429),
    ("truncate", None),
)
SHARE = 0.2
RETRY = RetryPolicy(
    attempts=8, refusals=8, backoff_base=0.01, backoff_cap=0.05, look_up_delays=(0.02, 0.05, 0.1), settle_after=0.15
)


def client_of(server: Mapping[str, str], switch: KillSwitch | None = None) -> LaunchClient:
    return LaunchClient(
        Authtoken(server["authtoken"]),
        base_url=server["url"],
        organization_uid=server["organization_uid"],
        limiter=UnlimitedRateLimiter(),
        retry=RETRY,
        middleware=[switch.around] if switch else (),
    )


async def applied(server: Mapping[str, str], path: Path, moment: int | None) -> FleetReport:
    """Apply the document, or continue the apply that an earlier process began."""
    switch = KillSwitch(moment)
    state = State.from_toml(DOCUMENT)
    async with client_of(server, switch) as client:
        journal = KillingJournal(path, switch)
        if path.exists():
            return await client.state.resume(journal, state, concurrency=4, stop_on_failures=None)
        plan = await client.state.diff(state)
        return await client.state.apply(
            plan,
            journal=journal,
            confirm=len(plan.changes),
            redeploy="changed",
            concurrency=4,
            stop_on_failures=None,
        )


def main(server: Mapping[str, str], path: str, moment: int | None) -> None:
    schedule._SHORTEST = 0.02  # type: ignore[misc]  # builds take as long
    report = asyncio.run(applied(server, Path(path), moment))
    sys.exit(0 if not report.unfinished else 3)


PRELOADED: Sequence[str] = ("tests.state.killed_applies", "launch_async.state.declared", "aiohttp")


@attrs.define
class Server:
    """An emulator in another process."""

    access: dict[str, str]

    def order(self, name: str, body: Mapping[str, object] | None = None, *, method: str | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Emulator-Secret": self.access["control_secret"]}
        url = f"{self.access['url']}/__emulator__/{name}"
        with urllib.request.urlopen(urllib.request.Request(url, content, headers, method=method)) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def serving() -> Iterator[Server]:
    """An emulator with two brands."""
    options = ["--rate-limit", "none", "--build-seconds", "0.02", "--control"]
    command = [sys.executable, "-m", "launch_async.emulator", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        server = Server(json.loads(process.stdout.readline()))
        for name in ("shop-uk", "shop-de"):
            body = {"name": name, "environments": [*ENVIRONMENTS, "old"], "git": True, "variables": {"RELEASE": "1"}}
            server.order("projects", body)
        server.order("ledger", method="DELETE")
        try:
            yield server
        finally:
            process.send_signal(signal.SIGTERM)


@attrs.frozen
class KilledApply:
    """The result of an apply whose processes were killed.

    Attributes:
        kills: Number of killed processes.
        created: How often each noun was created, by name; deployments by their environment.
        left: The remaining differences.
        report: The last report.
    """

    kills: int
    created: Mapping[tuple[str, str], int]
    left: Sequence[str]
    report: FleetReport


def killed(folder: Path, *, seed: int, kills: int) -> KilledApply:
    """Apply the document with processes that are killed at chosen moments, and then without a kill."""
    dice = random.Random(seed)
    children = multiprocessing.get_context("forkserver")
    children.set_forkserver_preload(list(PRELOADED))
    journal = folder / "run.journal"
    died = 0
    with serving() as server:
        for number, (kind, status) in enumerate(FAULTS):
            fault = {"kind": kind, "probability": SHARE / len(FAULTS), "seed": seed * 100 + number}
            server.order("faults", {**fault, **({} if status is None else {"status": status})})
        for _ in range(kills):
            child = children.Process(target=main, args=(server.access, str(journal), dice.randrange(1, 20)))
            child.start()
            child.join(60)
            died += child.exitcode == -signal.SIGKILL
        report = asyncio.run(applied(server.access, journal, None))
        server.order("faults", method="DELETE")
        left = asyncio.run(_left(server.access))
        created = Counter(
            (one["noun"], one["parent"] if one["noun"] == "deployment" else one["name"])
            for one in server.order("ledger")["created"]
        )
    return KilledApply(died, created, left, report)


async def _left(access: Mapping[str, str]) -> list[str]:
    async with client_of(access) as client:
        return [str(one) for one in (await client.state.diff(State.from_toml(DOCUMENT))).changes]
