"""Progress output of a bulk operation or a deployment, in a notebook or a terminal."""
