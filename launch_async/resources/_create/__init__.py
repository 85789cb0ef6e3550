"""Creating something exactly once."""
