"""Control of the emulator: Python methods, orders over HTTP, faults, projects without a request."""
