"""What the tests of credentials share."""

from __future__ import annotations

from tests.support.emulators import emulator

__all__ = ["emulator"]
