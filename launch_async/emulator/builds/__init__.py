"""Builds of the emulator and the sites they make."""
