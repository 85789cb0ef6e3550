"""The tests of secrets do not wait."""

from __future__ import annotations

import pytest

from tests.support.core import retry_without_delay


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry immediately, and do not wait for cancelled work."""
    retry_without_delay(monkeypatch)
    monkeypatch.setattr("launch_async.auth.oauth._RENEWAL_GRACE_S", 0.01)
    monkeypatch.setattr("launch_async.fleet.run.running._FIRST_PAUSE_S", 0.001)
