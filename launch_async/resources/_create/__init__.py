"""Create a resource exactly once."""
