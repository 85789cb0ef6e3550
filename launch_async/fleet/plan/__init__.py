"""Plans of bulk operations."""
