"""Run small programs, each in a separate process that does not import the SDK again.

One process imports the SDK, and forks for every program. The fork has a fresh `__main__` and ends like any interpreter,
so that tests see warnings at exit too. Most programs wait for builds, so `start` runs several at the same time.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

import attrs

ROOT = Path(__file__).resolve().parents[2]
# Most programs wait for builds of the emulator.
_CONCURRENCY = 12


@attrs.frozen
class Ended:
    """The result of a program.

    Attributes:
        returncode: The exit code.
        stdout: The standard output.
        stderr: The standard error.
    """

    returncode: int
    stdout: str
    stderr: str


class Programs:
    """A process that has imported the SDK and runs programs, as a context manager."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-W", "error", "-c", f"import runpy; runpy.run_path({__file__!r}, run_name='forks')"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._folder = tempfile.TemporaryDirectory()
        self._waiting: list[Future[None]] = []
        self._order = Lock()
        self._threads = ThreadPoolExecutor(_CONCURRENCY)
        self._reader = Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        assert self._process.stdin
        self._process.stdin.close()
        self._reader.join()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()
        self._folder.cleanup()

    def start(
        self,
        code: str,
        *,
        name: str,
        arguments: Sequence[str] = (),
        folder: Path = ROOT,
        cwd: Path = ROOT,
        variables: Mapping[str, str] | None = None,
    ) -> Future[Ended]:
        """Run a program as soon as fewer than `_CONCURRENCY` programs run.

        Args:
            code: The source.
            name: The file name in tracebacks.
            arguments: The arguments on the command line.
            folder: The first folder of `sys.path`.
            cwd: The working directory.
            variables: Environment variables in addition to those of the machine.
        """
        order = {
            "code": code,
            "name": name,
            "arguments": list(arguments),
            "folder": str(folder),
            "cwd": str(cwd),
            "variables": dict(variables or {}),
        }
        return self._threads.submit(self._run, order)

    def _run(self, order: dict[str, object]) -> Ended:
        assert self._process.stdin
        with self._order:
            number, ended = len(self._waiting), Future[None]()
            self._waiting.append(ended)
            place = Path(self._folder.name, str(number))
            self._process.stdin.write(json.dumps({**order, "number": number, "place": str(place)}) + "\n")
            self._process.stdin.flush()
        ended.result()
        outputs = [Path(f"{place}.{stream}").read_text("utf-8") for stream in ("status", "stdout", "stderr")]
        return Ended(int(outputs[0]), outputs[1], outputs[2])

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._waiting[int(line)].set_result(None)
        for ended in self._waiting:
            if not ended.done():
                ended.set_exception(RuntimeError("the process that runs the programs has ended"))


def _environment() -> dict[str, str]:
    """Return the environment of the machine, without settings that would lead a program to a real service."""
    settings = ("CONTENTSTACK_", "LAUNCH_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(settings) and not name.upper().endswith("_PROXY")
    }


def _run_orders() -> None:
    for package in ("launch_async", "launch_sync", "launch_async.emulator", "launch_sync.emulator"):
        module = __import__(package, fromlist=["*"])
        for name in module.__all__:
            getattr(module, name)
    # Without the freeze, each fork copies all objects at its end, which takes longer than most programs.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if not os.fork():
            _supervise(order)
            return


def _supervise(order: dict[str, Any]) -> None:
    program = os.fork()
    if not program:
        _run_program(order)
        return
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    Path(f"{order['place']}.status").write_text(str(status))
    os.write(1, f"{order['number']}\n".encode())
    # This process only waited for the program. It must not run the exit handlers of the interpreter too.
    os._exit(0)


def _run_program(order: dict[str, Any]) -> None:
    written = os.O_WRONLY | os.O_CREAT
    for standard, path in enumerate((os.devnull, f"{order['place']}.stdout", f"{order['place']}.stderr")):
        os.dup2(os.open(path, written if standard else os.O_RDONLY), standard)
    os.chdir(order["cwd"])
    os.environ.update(order["variables"])
    sys.argv = [order["name"], *order["arguments"]]
    sys.path.insert(0, order["folder"])
    program = type(sys)("__main__")
    program.__file__ = order["name"]
    sys.modules["__main__"] = program
    exec(compile(order["code"], order["name"], "exec", dont_inherit=True), program.__dict__)


if __name__ == "forks":
    _run_orders()
