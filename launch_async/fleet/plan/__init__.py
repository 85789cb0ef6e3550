"""What a bulk operation would do."""
