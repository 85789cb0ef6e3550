"""Archives: signed URLs of object storage, and the unpacking of archives."""
