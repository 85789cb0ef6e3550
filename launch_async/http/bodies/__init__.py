"""Request bodies that are not just bytes."""
