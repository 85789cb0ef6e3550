"""Preview environments that end by themselves."""
