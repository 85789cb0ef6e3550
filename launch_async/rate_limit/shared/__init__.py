"""A budget that several processes share, without the store that keeps it (`rate_limit.machine`, `rate_limit.redis`)."""
