"""The operations of the API: one module per section of the reference, and nothing but operations."""
