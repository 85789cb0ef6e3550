"""How the difference is applied: as a run of a fleet."""
