"""Releases: check the live site, restore the previous version after a failure, and promote between environments."""
