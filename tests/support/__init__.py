"""What tests share: helpers, no tests."""
