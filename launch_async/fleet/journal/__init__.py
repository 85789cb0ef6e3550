"""Journals, in which a run records its steps."""
