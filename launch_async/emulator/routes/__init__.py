"""The operations of the API, one module for each section of the API reference."""
