"""Both sides held to one document: `openapi.yaml` says what the client may send and what the emulator may answer."""
