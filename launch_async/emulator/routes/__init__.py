"""What the operations do, one module for each section of the API reference."""
