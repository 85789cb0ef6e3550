"""Rate limit and latency of requests."""
