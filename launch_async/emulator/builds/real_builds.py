"""Real builds: the environment's build command, run in a copy of the unpacked archive. Off unless asked for.

The command gets the environment's variables and, of this process's own, only what a shell needs. It runs as the user
of the emulator: deploy only what you would run yourself.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable
from pathlib import Path

from launch_async.emulator.builds.builds import Builds
from launch_async.emulator.builds.sites import output_folder
from launch_async.emulator.clock import Clock, milliseconds
from launch_async.emulator.shapes import as_list, as_object
from launch_async.emulator.state import Deployment

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "SYSTEMROOT", "COMSPEC", "PATHEXT")
CHUNK = 64 * 1024
LOOK = 0.1
"""Seconds between looks whether a command has ended."""
LINGER = 0.5
"""Seconds after its end in which output of what it left running still counts."""


class Builder:
    """Runs build commands, each in a task that it owns."""

    def __init__(self, builds: Builds, clock: Clock, folder: Path) -> None:
        self._builds = builds
        self._clock = clock
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, deployment: Deployment) -> None:
        """Start the build of a deployment; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._spawn, deployment)

    async def stop(self) -> None:
        """End every build and wait until its processes are gone."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, deployment: Deployment) -> None:
        task = self._loop.create_task(self._build(deployment))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _build(self, deployment: Deployment) -> None:
        workplace = self._folder / f"build-{deployment.uid}"
        try:
            await asyncio.to_thread(shutil.copytree, deployment.folder or workplace, workplace)
            code = await self._run(deployment, workplace)
            problem = None if code == 0 else f"the build command ended with exit code {code}"
            if problem is None and output_folder(workplace, deployment.output_directory) is None:
                problem = f"the output directory {deployment.output_directory[:200]!r} does not exist"
        except OSError as error:
            problem = f"the build could not run: {error.strerror}"
        deployment.folder = workplace
        self._builds.complete(deployment, self._clock.now(), problem)

    async def _run(self, deployment: Deployment, workplace: Path) -> int:
        process = await asyncio.create_subprocess_shell(
            deployment.command or "",
            cwd=workplace,
            env=_environment(deployment),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        reading = asyncio.create_task(_each_line(process, lambda line: self._note(deployment, line)))
        try:
            while not reading.done() and process.returncode is None:
                await asyncio.wait({reading}, timeout=LOOK)
            await asyncio.wait({reading}, timeout=LINGER)
            if not reading.done() and process.returncode is not None:
                _kill(process)  # what the command left running holds its output open
                await asyncio.wait({reading}, timeout=LINGER)
                return process.returncode
            await reading
            return await process.wait()
        finally:
            if process.returncode is None:
                _kill(process)
                await process.wait()
                # The pipe is closed when its end was read: a process may have ended before.
                await asyncio.wait({reading}, timeout=LINGER)
            reading.cancel()

    def _note(self, deployment: Deployment, line: str) -> None:
        deployment.output.append((milliseconds(self._clock.now()), line))


async def _each_line(process: Process, note: Callable[[str], None]) -> None:
    """Pass on the output line by line, however long a line is."""
    if process.stdout is None:
        return
    rest = b""
    while chunk := await process.stdout.read(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            note(line.decode("utf-8", "replace").rstrip("\r"))
    if rest:
        note(rest.decode("utf-8", "replace"))


def _environment(deployment: Deployment) -> dict[str, str]:
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    for entry in as_list(deployment.settings.get("environmentVariables")) or []:
        variable = as_object(entry) or {}
        environment[str(variable["key"])] = str(variable["value"])
    return environment


def _kill(process: Process) -> None:
    """End the whole process group, since a build starts children."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
