"""Make the miniature package and its generated twin importable, and reset the warning about running loops."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from launch_sync._bridge import loop as _loop

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def no_warning_shown_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test see the warning about running loops, which a process shows once."""
    monkeypatch.setattr(_loop._process, "warned", False)
