"""Real builds: run the build command of an environment in a copy of the unpacked archive.

The option ``build`` turns them on. The command gets the variables of the environment, and from the emulator's process
only the variables that a shell needs. It runs as the user of the emulator, so deploy only code that you trust.
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
CHUNK_BYTES = 64 * 1024
CHECK_S = 0.1
"""Seconds between checks whether a command has ended."""
LAST_OUTPUT_S = 0.5
"""Seconds for which the emulator reads the output of child processes after their command has ended."""


class Builder:
    """Runs build commands, each in a separate task."""

    def __init__(self, builds: Builds, clock: Clock, folder: Path) -> None:
        self._builds = builds
        self._clock = clock
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, deployment: Deployment) -> None:
        """Start the build of a deployment. This is safe on any thread."""
        self._loop.call_soon_threadsafe(self._start_task, deployment)

    async def stop(self) -> None:
        """End every build, and wait until its processes have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start_task(self, deployment: Deployment) -> None:
        task = self._loop.create_task(self._build(deployment))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _build(self, deployment: Deployment) -> None:
        workspace = self._folder / f"build-{deployment.uid}"
        try:
            await asyncio.to_thread(shutil.copytree, deployment.folder or workspace, workspace)
            code = await self._run(deployment, workspace)
            problem = None if code == 0 else f"the build command ended with exit code {code}"
            if problem is None and output_folder(workspace, deployment.output_directory) is None:
                problem = f"the output directory {deployment.output_directory[:200]!r} does not exist"
        except OSError as error:
            problem = f"the build could not run: {error.strerror}"
        deployment.folder = workspace
        self._builds.complete(deployment, self._clock.now(), problem)

    async def _run(self, deployment: Deployment, workspace: Path) -> int:
        process = await asyncio.create_subprocess_shell(
            deployment.command or "",
            cwd=workspace,
            env=_environment(deployment),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        reading = asyncio.create_task(_each_line(process, lambda line: self._note(deployment, line)))
        try:
            while not reading.done() and process.returncode is None:
                await asyncio.wait({reading}, timeout=CHECK_S)
            await asyncio.wait({reading}, timeout=LAST_OUTPUT_S)
            if not reading.done() and process.returncode is not None:
                _kill(process)  # a child process of the command keeps the output open
                await asyncio.wait({reading}, timeout=LAST_OUTPUT_S)
                return process.returncode
            await reading
            return await process.wait()
        finally:
            if process.returncode is None:
                _kill(process)
                await process.wait()
                # asyncio closes the pipe when it has read the pipe's end, which may be after the end of the process.
                await asyncio.wait({reading}, timeout=LAST_OUTPUT_S)
            reading.cancel()

    def _note(self, deployment: Deployment, line: str) -> None:
        deployment.output.append((milliseconds(self._clock.now()), line))


async def _each_line(process: Process, note: Callable[[str], None]) -> None:
    """Pass the output to ``note`` line by line. A line may have any length."""
    if process.stdout is None:
        return
    rest = b""
    while chunk := await process.stdout.read(CHUNK_BYTES):
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
    """Kill the whole process group, because a build starts child processes."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
