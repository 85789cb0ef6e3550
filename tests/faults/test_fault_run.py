"""With many network faults, no object is created twice or lost, and every error is correct."""

from __future__ import annotations

import pytest

from launch_async import RetryPolicy
from launch_async.emulator import LaunchEmulator
from tests.faults.workload import run_workers
from tests.support.clients import client_of

_QUICK = RetryPolicy(attempts=8, backoff_base=0.01, backoff_cap=0.05, look_up_delays=(0.1, 0.3, 0.8), settle_after=0.8)


def _add_faults(emulator: LaunchEmulator, seed: int) -> None:
    for number, (kind, status) in enumerate(
        [
            ("reset_before", None),
            ("reset_after", None),
            ("status_before", 408),
            ("status_before", 502),
            ("status_before", 503),
            ("status_before", 504),
            ("status_before", 429),
            ("status_after", 408),
            ("status_after", 502),
            ("status_after", 503),
            ("status_after", 504),
            ("truncate", None),
            ("empty", None),
            ("html", None),
            ("retry_after", None),
        ]
    ):
        emulator.faults.add(kind, status=status, probability=0.015, seed=seed + number, delay=0.05)
    emulator.faults.add("delay", probability=0.01, seed=seed + 99, delay=1.05)


@pytest.mark.parametrize("seed", [1])
async def test_a_thousand_mixed_calls_with_faults_create_each_object_once(seed: int) -> None:
    async with (
        LaunchEmulator(rate_limit=None, build_seconds=0.01) as emulator,
        client_of(emulator, retry=_QUICK, attempt_timeout=1.0) as client,
    ):
        _add_faults(emulator, seed)
        tally = await run_workers(client, emulator, workers=40, calls=25, seed=seed)

        environments = {creation.uid for creation in emulator.ledger.created if creation.noun == "environment"}
        # The first deployment of an environment is created with the environment, and not by a call.
        existing = environments | {
            creation.uid
            for creation in emulator.ledger.created
            if creation.noun == "deployment" and not (creation.parent in environments and creation.name == "1")
        }
        returned = set(tally.created)
        assert sum(tally.calls.values()) == 1000
        assert len(tally.created) == len(returned), "one creation was returned to two calls"
        assert returned <= existing, "a call returned an object that was never created"
        not_returned = existing - returned
        assert len(not_returned) <= len(tally.unknown), "an object was created that no call returned"
        assert all(error.ambiguous for error in tally.unknown)
        creations = [error for error in tally.failed if error.operation in {"createDeployment", "createEnvironment"}]
        assert [error for error in creations if error.ambiguous] == [], "an unknown outcome was left unresolved"
