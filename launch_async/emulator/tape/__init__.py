"""Tapes: record the exchanges of a client with its secrets masked, and answer from a recording."""
