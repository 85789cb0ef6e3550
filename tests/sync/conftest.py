"""The miniature package and its generated twin can be imported, and each test starts without a warning given."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from launch_sync._bridge import loop as _loop

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def nothing_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning about running loops is given once per process: let each test see it."""
    monkeypatch.setattr(_loop._process, "warned", False)
