"""Releases: checked when they are live, put back when they fail, and promoted from one environment to another."""
