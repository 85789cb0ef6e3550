"""The TOML file of a document: read with line numbers for errors, and written with its comments."""
