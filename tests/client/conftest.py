"""The fixture that the tests of settings share."""

from __future__ import annotations

from tests.support.emulators import emulator

__all__ = ["emulator"]
