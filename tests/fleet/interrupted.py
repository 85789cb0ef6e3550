"""A program without asyncio that interrupts its fleet run with Ctrl-C and resumes the run; exits with 0 on success."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from launch_sync.emulator import LaunchEmulator
from launch_sync.fleet import FleetControl, FleetEvent, FleetEventKind, OperationState
from tests.support.clients import plain_client_of


def main(journal: Path) -> None:
    threads: set[int] = set()

    def interrupt(event: FleetEvent) -> None:
        threads.add(threading.get_ident())
        if event.state is OperationState.SENT and len(threads) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with (
        LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator,
        plain_client_of(emulator) as launch,
    ):
        emulator.add_project("shop", environments=[f"environment-{number}" for number in range(12)], git=True)
        plan = launch.fleet.plan_redeploy(launch.fleet.select())
        try:
            launch.fleet.run(plan, journal=journal, on_event=interrupt, concurrency=2)
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("the interruption was lost")
        before = len(emulator.ledger.created)
        assert 0 < before < 12, before

        control = FleetControl()

        def continue_run(event: FleetEvent) -> None:
            if event.kind is FleetEventKind.PAUSED:
                threading.Thread(target=control.resume).start()

        control.pause()
        report = launch.fleet.resume(journal, control=control, on_event=continue_run)

        done = sorted(one.parent for one in emulator.ledger.created if one.noun == "deployment")
        assert done == sorted(one.target.environment_uid for one in plan.operations), done
        assert report.is_success
        assert threads == {threading.get_ident()}, "a callback ran elsewhere than in the caller's thread"


main(Path(sys.argv[1]))
