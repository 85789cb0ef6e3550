"""The file that holds a document: TOML, read with lines for errors, and written with its comments."""
