"""What a worker does, whatever the engine: one part of a plan, begun or gone on with, inside the budget of all workers.

The worker's environment says where everything is: `CONTENTSTACK_*` for Launch, `REDIS_URL` for the shared budget, and
`ROLLOUT_JOURNALS` for the journals: a folder that all workers see, or the URL of a PostgreSQL database.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from launch_async import JournalInUse, RedisRateLimiter
from launch_async.fleet import Journal
from launch_sync import LaunchClient
from launch_sync.fleet import FileJournal, FleetReport, Plan


def run_part(part: Plan, *, patience: float = 120.0) -> FleetReport:
    """Do what is left of a part; if everything is done, only tell of it, without a request."""
    give_up_at = time.monotonic() + patience
    with launch_client() as launch:
        while True:
            try:
                return launch.fleet.run(part, journal=journal_of(part), confirm=len(part.operations))
            except JournalInUse:
                # An engine that took a slow worker for a dead one has begun the part a second time.
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.5)


def launch_client() -> LaunchClient:
    """Return a client that shares the organization's budget with all other workers."""
    budget = RedisRateLimiter(
        os.environ["REDIS_URL"],
        os.environ["CONTENTSTACK_ORGANIZATION_UID"],
        region=os.environ.get("CONTENTSTACK_REGION", "na"),
        base_url=os.environ.get("CONTENTSTACK_LAUNCH_URL"),
    )
    return LaunchClient.from_env(limiter=budget)


def journal_of(part: Plan) -> Journal:
    """Return the journal of a part, the same for whichever worker asks."""
    place = os.environ["ROLLOUT_JOURNALS"]
    if place.startswith("postgresql:"):
        from postgres_journal import PostgresJournal

        return PostgresJournal(place, part.uid)
    return FileJournal(Path(place, f"{part.uid}.journal"))
