"""Builds, and the sites that they make."""
