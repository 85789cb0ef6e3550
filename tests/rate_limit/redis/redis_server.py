"""A real redis-server on a free loopback port. It is stopped by its process id."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server") or "redis-server"


class RedisServer:
    """One server. Its options stay the same after a restart.

    Args:
        folder: Folder for the files of the server.
        options: Its options, as on its command line.
        tls: Whether its port is encrypted.
        configuration: A file that makes it a Sentinel.
    """

    def __init__(self, folder: Path, *options: str, tls: bool = False, configuration: Path | None = None) -> None:
        self.port = free_port()
        ports = ("--port", "0", "--tls-port", str(self.port)) if tls else ("--port", str(self.port))
        # Sentinel needs a configuration file that it can write to. The server stores no data.
        kind = ["--save", ""] if configuration is None else ["--sentinel"]
        first = [] if configuration is None else [str(configuration)]
        self._command = [PROGRAM, *first, "--bind", "127.0.0.1", *ports, *kind, "--dir", str(folder), *options]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self._answers():
            assert self._process.poll() is None, "redis-server has ended"
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection is not None
        except OSError:
            return False


def free_port() -> int:
    """Return a port that is free for the server and, in cluster mode, for its bus (10000 above)."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port < 55000:
            return port
