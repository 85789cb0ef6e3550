"""No test of secrets waits for anything."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat at once, and wait for nothing that was cancelled."""
    monkeypatch.setattr("launch_async.auth.auth_request._BACKOFF", 0.0)
    monkeypatch.setattr("launch_async.auth.oauth._GRACE", 0.01)
    monkeypatch.setattr("launch_async.fleet.run.running._PAUSE", 0.001)
