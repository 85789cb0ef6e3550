"""A budget that several processes share: everything but the store that keeps it (Redis: `rate_limit.redis`)."""
