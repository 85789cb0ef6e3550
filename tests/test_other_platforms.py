"""The packages can be imported and used on a platform without POSIX, such as `fcntl` and `os.fork`.

These tests do not run on Windows. They hide the POSIX names after the standard library and aiohttp are imported.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

HIDE = """
import asyncio, importlib, multiprocessing, os, pathlib, pkgutil, shutil, signal, ssl, subprocess, sys, tempfile
import aiohttp, aiohttp.web, click, pytest, redis.asyncio, rich.live

shutil._use_fd_functions = False  # shutil sets this value itself on a platform without these functions
for name in ("fcntl", "grp", "posix", "pwd", "resource", "termios"):
    sys.modules[name] = None
for module, names in {
    os: "fork forkpty register_at_fork getuid geteuid getgid getpgid killpg setsid fchmod fchown chown uname "
    "posix_spawn O_NOFOLLOW O_CLOEXEC getloadavg",
    signal: "SIGKILL SIGHUP SIGUSR1 SIGALRM pthread_sigmask pthread_kill siginterrupt setitimer",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

def import_everything():
    for package in ("launch_async", "launch_sync"):
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(found.name)
"""
START = """
import_everything()
from launch_sync import Authtoken, LaunchClient
from launch_sync.emulator import LaunchEmulator

folder = pathlib.Path(sys.argv[1])
site = folder / "site"
site.mkdir()
(site / "index.html").write_text("x" * 2000)
with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator, LaunchClient(
    Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
) as launch:
    launch.create_site("night-sky", site)
    plan = launch.fleet.plan_redeploy(launch.fleet.select(projects="night-sky"))
    report = launch.fleet.run(plan, journal=folder / "run.journal", confirm=1)
    assert report.is_success, report
    assert launch.fleet.resume(folder / "run.journal").is_success
"""
WINDOWS = """
import types

sys.platform = "win32"
import_everything()

class Msvcrt(types.ModuleType):
    LK_NBLCK, LK_UNLCK = 2, 0
    held = set()

    def locking(self, descriptor, mode, count):
        place = os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR), count
        if mode == self.LK_UNLCK:
            self.held.remove(place)
        elif place in self.held:
            raise PermissionError(13, "Permission denied")
        else:
            self.held.add(place)

sys.modules["msvcrt"] = Msvcrt("msvcrt")
from launch_async._file_lock import lock, unlock

path = pathlib.Path(sys.argv[1]) / "locked"
path.write_text("content")
with path.open("r+b") as one, path.open("r+b") as other:
    assert (lock(one.fileno()), lock(other.fileno())) == (True, False)
    unlock(one.fileno())
    assert lock(other.fileno())
"""


@pytest.mark.parametrize("program", [START, WINDOWS], ids=["without POSIX", "as Windows"])
def test_every_module_can_be_imported_and_the_main_parts_work(program: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HIDE + program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 0, ended.stderr
