"""Steering the emulator: controls, orders, faults, projects put in directly."""
