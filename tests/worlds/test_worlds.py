"""Whole worlds: nothing is done twice, lost or adopted wrongly, and each unknown outcome has a reason."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from launch_async.fleet import FileJournal, OperationState
from launch_async.http import call_state
from launch_async.http.retry import RetryPolicy
from launch_async.resources._create.proof import Finding, Verdict
from launch_async.resources._create.reconciling import ReconcilingCreate
from tests.worlds import SCENARIOS
from tests.worlds.known_seeds import KNOWN_SEEDS
from tests.worlds.oracle import Kind
from tests.worlds.world import run_world

SEEDS = 200
"""Fixed seeds; `python -m benchmarks.worlds --seeds 10000` runs more."""
AT_ONCE = 20
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_no_world_has_a_violation(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        ending = run_world(seed, SCENARIOS)
        assert not ending.violations, str(ending)


@pytest.mark.parametrize("seed", KNOWN_SEEDS, ids=str)
def test_worlds_with_known_violations_have_none_now(seed: int) -> None:
    ending = run_world(seed, SCENARIOS)
    assert not ending.violations, f"{KNOWN_SEEDS[seed]}\n{ending}"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_seed_gives_the_same_world_in_the_same_process(scenario: str) -> None:
    only = {scenario: SCENARIOS[scenario]}
    for seed in range(5):
        assert str(run_world(seed, only)) == str(run_world(seed, only))


def test_a_seed_gives_the_same_world_in_another_process() -> None:
    script = (
        "from tests.worlds import SCENARIOS; from tests.worlds.world import run_world;"
        "print(*(run_world(seed, SCENARIOS) for seed in range(12)), sep='\\n')"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_worlds_have_every_kind_of_fault() -> None:
    seen = {name for seed in range(60) for name in run_world(seed, SCENARIOS).account.faults}
    assert seen >= {
        "broken write",
        "clock set",
        "disk full",
        "doubled",
        "error write",
        "killed",
        "late",
        "refused",
        "silent write",
        "truncated write",
        "unconnected write",
    }


async def _every_match_is_adopted(*_: object) -> Finding:
    return Finding(Verdict.REQUESTED)


async def _unknown_immediately(creation: ReconcilingCreate[Any], _: float) -> None:
    raise creation._unknown(None)


def _forgetful_write(write: Any) -> Any:
    def written(journal: FileJournal, entry: Any) -> None:
        if entry.state not in (OperationState.INTENDED, OperationState.SENT):
            write(journal, entry)
        journal._entries[entry.key] = entry

    return written


@pytest.mark.parametrize(
    ("broken", "scenario", "kind"),
    [
        pytest.param(
            lambda: mock.patch.object(ReconcilingCreate, "_judged", _every_match_is_adopted),
            "redeployment",
            Kind.FOREIGN,
            id="everything that is found is adopted",
        ),
        pytest.param(
            lambda: mock.patch.object(FileJournal, "write", _forgetful_write(FileJournal.write)),
            "redeployment",
            Kind.TWICE,
            id="the journal loses what was begun",
        ),
        pytest.param(
            lambda: mock.patch.object(RetryPolicy, "resend_after", 3.5),
            "creations",
            Kind.TWICE,
            id="it is sent again after 3.5 s",
        ),
        pytest.param(
            lambda: mock.patch.object(call_state.CallState, "_is_ambiguous", return_value=False),
            "creations",
            Kind.DENIED,
            id="an error of the service counts as a refusal",
        ),
        pytest.param(
            lambda: mock.patch.object(ReconcilingCreate, "_sent", _unknown_immediately),
            "creations",
            Kind.DISHONEST,
            id="what was never sent is called unknown",
        ),
    ],
)
def test_the_oracle_finds_a_broken_sdk(broken: Any, scenario: str, kind: Kind) -> None:
    patched: AbstractContextManager[object] = broken()
    with patched:
        assert kind in _kinds(scenario)


def _kinds(scenario: str) -> Iterator[Kind]:
    for seed in range(150):
        yield from (one.kind for one in run_world(seed, {scenario: SCENARIOS[scenario]}).violations)
