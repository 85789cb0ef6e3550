"""Whole worlds in virtual time: clients, colleagues and a failing Launch, all determined by one seed.

A world (`world.py`) has a service with a ledger (`service.py`), a network with faults (`network.py`, `chance.py`),
processes that can be killed at any await (`process.py`), a disk that gets full (`disk.py`), and scenarios
(`scenarios.py`, `fleets.py`). At the end, an oracle (`oracle.py`) compares the ledger with the results that the callers
got (`claims.py`). The same seed gives the same world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.worlds.fleets import redeployment, variables
from tests.worlds.scenarios import creations

if TYPE_CHECKING:
    from tests.worlds.world import Scenario

__all__ = ["SCENARIOS"]

SCENARIOS: Final[dict[str, Scenario]] = {"creations": creations, "redeployment": redeployment, "variables": variables}
"""The scenarios of ordinary worlds. A new promise needs a new scenario, and usually a new oracle."""
