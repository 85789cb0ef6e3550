"""Apply the changes of a plan as a run of a fleet."""
