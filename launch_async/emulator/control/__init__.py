"""Scripting the emulator: controls, orders, faults, the ledger."""
