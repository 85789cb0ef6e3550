"""Tapes: record the exchanges of a client, masked, and replay a recording."""
