"""A shell for single lines. Each line starts in the folder and with the environment that the previous line left."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_PATIENCE: Final = 300.0
# Variables that would lead a program to a real service, or to packages outside the folder.
_FOREIGN: Final = ("CONTENTSTACK_", "LAUNCH_", "PYTHON", "VIRTUAL_ENV")


class LineFailed(Exception):
    """A line failed. The text contains the line, how it ended, and its output."""


class Shell:
    """One terminal, as a context manager. Its processes end with it.

    Args:
        folder: The first working directory.
        environment: Variables in addition to those of the machine.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {**_of_the_machine(), **environment}
        self._servers: list[tuple[str, subprocess.Popen[str]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for _, server in self._servers:
            server.terminate()
        printed = [server.communicate(timeout=_PATIENCE)[0] for _, server in self._servers]
        for (line, server), output in zip(self._servers, printed, strict=True):
            if server.returncode and error is None:
                raise LineFailed(_report(line, f"ended with {server.returncode}", output))

    def type(self, line: str, *, answer: str = "") -> str:
        """Run one line, wait for its end, and return its output.

        Args:
            line: The line.
            answer: The input for a question of the line.

        Raises:
            LineFailed: The line ended with another status than 0, or has not ended within five minutes.
        """
        with tempfile.TemporaryFile() as left:
            leave = f"status=$?; {{ pwd; env -0; }} >&{left.fileno()}; exit $status"
            try:
                done = subprocess.run(
                    ["bash", "-c", f"{line}\n{leave}"],
                    cwd=self.folder,
                    env=self.environment,
                    input=answer,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=[left.fileno()],
                    text=True,
                    timeout=_PATIENCE,
                )
            except subprocess.TimeoutExpired as late:
                raise LineFailed(_report(line, f"has not ended within {_PATIENCE:g} s", str(late.output))) from late
            left.seek(0)
            folder, _, variables = left.read().decode().partition("\n")
        if done.returncode:
            raise LineFailed(_report(line, f"ended with {done.returncode}", done.stdout))
        self.folder = Path(folder)
        self.environment = dict(one.split("=", 1) for one in variables.split("\0") if one)
        return done.stdout

    def start(self, line: str) -> str:
        """Start a line that runs until the terminal is closed, and return the first line of its output.

        Raises:
            LineFailed: The line ended before it printed a line.
        """
        server = subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._servers.append((line, server))
        assert server.stdout
        first = server.stdout.readline()
        if not first:
            raise LineFailed(_report(line, f"ended with {server.wait()}", ""))
        return first


def _of_the_machine() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    direct = ",".join(filter(None, ["127.0.0.1", os.environ.get("NO_PROXY") or os.environ.get("no_proxy")]))
    return {**kept, "NO_PROXY": direct, "no_proxy": direct}


def _report(line: str, ending: str, output: str) -> str:
    return f"`{line}` {ending}:\n{output.rstrip() or '(no output)'}"
