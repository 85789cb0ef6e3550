"""Whole worlds in virtual time: clients, colleagues and a failing Launch, all decided by one seed.

A world (`world.py`) has a service with a ledger (`service.py`), a network and its faults (`network.py`, `chance.py`),
processes that can be killed at any await (`process.py`), a disk that gets full (`disk.py`), and what all of them do
(`scenarios.py`, `fleets.py`). When it has ended, an oracle (`oracle.py`) compares the ledger with what the callers were
told (`claims.py`). The same seed gives the same world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.worlds.fleets import redeployment, variables
from tests.worlds.scenarios import creations

if TYPE_CHECKING:
    from tests.worlds.world import Scenario

__all__ = ["SCENARIOS"]

SCENARIOS: Final[dict[str, Scenario]] = {"creations": creations, "redeployment": redeployment, "variables": variables}
"""What may happen in a world; another promise is held by another scenario here, and another oracle."""
