"""Archives: signed targets of object storage, and what is unpacked from them."""
