"""Credentials: users, their sessions, OAuth apps and tokens, and the endpoints that issue them."""
