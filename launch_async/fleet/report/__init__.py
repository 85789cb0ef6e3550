"""What a run has done."""
