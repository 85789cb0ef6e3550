"""The organization's rate limit, shared by all processes of one user on one machine through a small file."""
