"""No test of secrets waits for anything."""

from __future__ import annotations

import pytest

from tests.support.core import repeat_at_once


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat at once, and wait for nothing that was cancelled."""
    repeat_at_once(monkeypatch)
    monkeypatch.setattr("launch_async.auth.oauth._RENEWAL_GRACE_S", 0.01)
    monkeypatch.setattr("launch_async.fleet.run.running._PAUSE", 0.001)
