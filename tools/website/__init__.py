"""The documentation before its builder: plain Markdown for every page, and checks of the site that comes out."""
