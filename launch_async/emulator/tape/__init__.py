"""Tapes: record the exchanges of a client, masked, and answer requests from a recording."""
