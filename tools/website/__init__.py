"""Plain Markdown for every page of the documentation, and checks of the site that a builder makes from it."""
