"""Builds, and the sites that they produce."""
