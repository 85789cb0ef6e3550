"""What is shown while something goes on: a run of a fleet, or one deployment, in a notebook or a terminal."""
