"""Fixtures for the tests of credentials."""

from __future__ import annotations

from tests.support.emulators import emulator

__all__ = ["emulator"]
