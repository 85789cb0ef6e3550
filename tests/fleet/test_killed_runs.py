"""A run that is killed many times does every operation exactly once and reads no state that its journal contains."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from launch_async.fleet import OperationState
from launch_async.fleet.journal.file import FileJournal
from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.report.report import FleetReport
from tests.fleet.victim import PRELOADED, client_of, main, run_or_resume

_TARGETS = 60
_KILLS = 50
_AT_A_TIME = 4


@attrs.define
class Server:
    """An emulator in another process, and its ledger."""

    access: dict[str, str]
    seen: int = 0

    def order(self, name: str, body: Mapping[str, object] | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Emulator-Secret": self.access["control_secret"]}
        request = urllib.request.Request(f"{self.access['url']}/__emulator__/{name}", content, headers)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    def requests(self) -> list[tuple[str, str]]:
        """Return the operations since the last call, with their environments."""
        requests = self.order("ledger")["requests"]
        new, self.seen = requests[self.seen :], len(requests)
        return [(one["operation"], (one["path"].split("/") + [""] * 5)[4]) for one in new]

    def deployed(self) -> Counter[str]:
        """Return how often each environment was deployed."""
        return Counter(one["parent"] for one in self.order("ledger")["created"] if one["noun"] == "deployment")


@pytest.fixture
def server() -> Iterator[Server]:
    options = ["--rate-limit", "none", "--build-seconds", "0.02", "--control"]
    command = [sys.executable, "-m", "launch_async.emulator", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        server = Server(json.loads(process.stdout.readline()))
        names = [f"environment-{number}" for number in range(_TARGETS)]
        server.order("projects", {"name": "shop", "environments": names, "git": True})
        yield server
        process.send_signal(signal.SIGTERM)


async def _planned(server: Server) -> Plan:
    async with client_of(server.access) as client:
        return await client.fleet.plan_redeploy(await client.fleet.select())


def _states(journal: Path, plan: Plan, folder: Path) -> dict[str, OperationState]:
    """Read the states of a killed run from a copy of its journal, so that the next run gets the journal unchanged."""
    if not journal.exists():
        return dict.fromkeys((one.target.environment_uid for one in plan.operations), OperationState.PLANNED)
    folder.mkdir()
    shutil.copy(journal, folder)
    with FileJournal(folder / journal.name) as copy:
        copy.open(None, check=lambda _: None)
        entries = {entry.key: entry.state for entry in copy.entries()}
    return {one.target.environment_uid: entries[one.key] for one in plan.operations}


def _moved(journal: Path, kill: int, *, copy: bool) -> Path:
    """Rename the journal, or copy the file alone to another folder and delete the original."""
    if not journal.exists():
        return journal
    other = journal.parent / f"{kill}.journal"
    if copy:
        other = journal.parent.parent / f"copy-{kill}" / journal.name
        other.parent.mkdir()
        shutil.copy(journal, other)
        shutil.rmtree(journal.parent)
    else:
        journal.rename(other)
    return other


def _wasted(
    states: Mapping[str, OperationState], requests: Sequence[tuple[str, str]], *, is_copy: bool
) -> list[tuple[str, str]]:
    """Return the unnecessary requests of a run, by the content of its journal when the run began.

    A copy may lack later steps of its run, so the run checks each planned target once. Until the first creation is
    answered, a run lists the deployments of a target before it creates another deployment.
    """
    sent: Counter[str] = Counter()
    wasted: list[tuple[str, str]] = []
    for operation, environment in requests:
        state = states.get(environment)
        sent[environment] += operation == "createDeployment"
        known = state is not None and state.is_final
        repeated = sent[environment] > (0 if state is OperationState.SENT else 1)
        looked_up = state is OperationState.PLANNED and operation == "listDeployments" and not sent[environment]
        looked_up = looked_up and not is_copy and sent.total() >= _AT_A_TIME
        if known or repeated or looked_up:
            wasted.append((operation, environment))
    return wasted


def test_a_run_that_is_killed_fifty_times_deploys_every_target_once(server: Server, tmp_path: Path) -> None:
    plan = asyncio.run(_planned(server))
    server.requests()
    journal = tmp_path / "runs" / "run.journal"
    journal.parent.mkdir()
    children = multiprocessing.get_context("forkserver")
    children.set_forkserver_preload(list(PRELOADED))
    dice = random.Random(20)
    exit_codes: list[int | None] = []
    wasted: list[tuple[str, str]] = []
    for kill in range(_KILLS):
        # The first kills keep the journal, the next ones rename it, and the last ones copy it.
        is_copy = kill >= _KILLS // 3
        if is_copy:
            journal = _moved(journal, kill, copy=kill >= 2 * _KILLS // 3)
        states = _states(journal, plan, tmp_path / f"before-{kill}")
        # Kills follow each other quickly, so that each of the fifty interrupts a run that has work left.
        arguments = server.access, plan.to_json(), str(journal), dice.randrange(1, 24)
        child = children.Process(target=main, args=arguments)
        child.start()
        child.join(30)
        exit_codes.append(child.exitcode)
        wasted += _wasted(states, server.requests(), is_copy=is_copy)

    states = _states(journal, plan, tmp_path / "before-the-end")
    report: FleetReport = asyncio.run(run_or_resume(server.access, plan, journal, None))

    wasted += _wasted(states, server.requests(), is_copy=True)
    assert server.deployed() == Counter(one.target.environment_uid for one in plan.operations)
    assert report.is_success
    assert wasted == []
    assert exit_codes == [-signal.SIGKILL] * _KILLS
