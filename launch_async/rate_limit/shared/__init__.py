"""A budget that several processes share. `rate_limit.machine` and `rate_limit.redis` contain the stores."""
