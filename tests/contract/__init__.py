"""Check client and emulator against `openapi.yaml`: the requests of the client, and the answers of the emulator."""
