"""The worker function for every engine: start or resume one part of a plan, within the rate limit of all workers.

The worker reads these environment variables: `CONTENTSTACK_*` for Launch, `REDIS_URL` for the shared rate limit, and
`ROLLOUT_JOURNALS` for the journals. The last one is a folder that all workers can reach, or the URL of a PostgreSQL
database.
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
    """Run the remaining operations of a part. If all are done, return the report without sending a request."""
    give_up_at = time.monotonic() + patience
    with launch_client() as launch:
        while True:
            try:
                return launch.fleet.run(part, journal=journal_of(part), confirm=len(part.operations))
            except JournalInUse:
                # Another worker still runs this part: the engine has treated that worker as lost.
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.5)


def launch_client() -> LaunchClient:
    """Return a client that shares the organization's rate limit with all other workers."""
    budget = RedisRateLimiter(
        os.environ["REDIS_URL"],
        os.environ["CONTENTSTACK_ORGANIZATION_UID"],
        region=os.environ.get("CONTENTSTACK_REGION", "na"),
        base_url=os.environ.get("CONTENTSTACK_LAUNCH_URL"),
    )
    return LaunchClient.from_env(limiter=budget)


def journal_of(part: Plan) -> Journal:
    """Return the journal of a part. It is the same for all workers."""
    place = os.environ["ROLLOUT_JOURNALS"]
    if place.startswith("postgresql:"):
        from postgres_journal import PostgresJournal

        return PostgresJournal(place, part.uid)
    return FileJournal(Path(place, f"{part.uid}.journal"))
