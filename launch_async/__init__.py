"""Contentstack Launch for Python, asynchronous core."""
