"""Preview environments with a time to live."""
