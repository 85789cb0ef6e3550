"""A bulk operation that runs."""
