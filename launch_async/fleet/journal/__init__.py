"""Where a run records what it does."""
