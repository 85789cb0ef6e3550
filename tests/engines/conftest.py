"""Fixtures for rollouts on engines: an emulator, Redis and PostgreSQL on loopback, and workers that can be killed.

These tests need engines that the SDK does not depend on, and take a minute or two. `python3 tools/run.py engines`
installs the engines and runs the tests. Other test runs do not collect them.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.request import Request, urlopen

import attrs
import pytest

from launch_sync import Authtoken, LaunchClient
from launch_sync.fleet import Plan
from launch_sync.rate_limit import UnlimitedRateLimiter

ROOT = Path(__file__).resolve().parents[2]

ENGINES = ROOT / "examples/engines"
TARGETS = 60

collect_ignore_glob = [] if "ROLLOUT_ENGINES" in os.environ else ["test_*.py"]


def until(condition: Callable[[], object], what: str, seconds: float = 240.0) -> None:
    """Wait until a condition is true, which other processes change."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether a server answers at an address."""
    try:
        with urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@attrs.frozen
class Launch:
    """An emulator in a separate process."""

    facts: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CONTENTSTACK_LAUNCH_URL": self.facts["url"],
            "CONTENTSTACK_AUTHTOKEN": self.facts["authtoken"],
            "CONTENTSTACK_ORGANIZATION_UID": self.facts["organization_uid"],
        }

    def order(self, name: str, order: object = None, method: str = "POST") -> Mapping[str, object]:
        body = None if order is None else json.dumps(order).encode()
        headers = {"Emulator-Secret": self.facts["control_secret"]}
        request = Request(f"{self.facts['url']}/__emulator__/{name}", body, headers, method=method)
        with urlopen(request) as answer:
            return json.loads(answer.read() or b"{}")

    def plan(self) -> Plan:
        """Plan to redeploy sixty environments, and clear the ledger."""
        names = [f"environment-{number}" for number in range(TARGETS)]
        self.order("projects", {"name": "shop", "environments": names, "git": True, "deployments": 1})
        with LaunchClient(
            Authtoken(self.facts["authtoken"]),
            base_url=self.facts["url"],
            organization_uid=self.facts["organization_uid"],
            limiter=UnlimitedRateLimiter(),
        ) as launch:
            plan = launch.fleet.plan_redeploy(launch.fleet.select())
        # The run could mistake deployments of the last minutes for its own.
        self.order("advance", {"seconds": 600})
        self.order("ledger", method="DELETE")
        return plan

    def deployed(self) -> list[str]:
        """Return the environment of each deployment."""
        created = self.order("ledger", method="GET")["created"]
        assert isinstance(created, list)
        return sorted(one["parent"] for one in created if one["noun"] == "deployment")

    def requests_in_a_second(self) -> float:
        """Return the average number of requests per second. On a busy machine, requests arrive in bursts."""
        requests = self.order("ledger", method="GET")["requests"]
        assert isinstance(requests, list)
        times = sorted(one["arrival"] for one in requests if one["organization"])
        return len(times) / (times[-1] - times[0] + 1.0)


@attrs.frozen
class Machines:
    """Processes in separate process groups, so that each one ends with all processes that it has started."""

    folder: Path
    environment: Mapping[str, str]
    members: list[subprocess.Popen[str]] = attrs.field(factory=list)

    def start(self, name: str, *command: str) -> subprocess.Popen[str]:
        return self._start(name, [sys.executable, *command])

    def type(self, name: str, line: str) -> subprocess.Popen[str]:
        """Run a line of the documentation in a separate shell."""
        return self._start(name, ["bash", "-c", f"exec {line}"])

    def _start(self, name: str, command: Sequence[str]) -> subprocess.Popen[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with (self.folder / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, "PATH": path, **self.environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.members.append(process)
        return process

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kill a process and all processes that it has started, like the loss of a machine."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        for process in reversed(self.members):
            if process.poll() is None:
                self.kill(process)

    def log(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-4000:]}" for path in sorted(self.folder.glob("*.log")))


@pytest.fixture
def launch() -> Iterator[Launch]:
    command = [sys.executable, "-m", "launch_async.emulator", "--control", "--build-seconds", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Launch(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGTERM)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    from redis_server import PROGRAM, RedisServer

    assert Path(PROGRAM).exists(), "Redis is missing (Debian: apt-get install redis-server)"
    server = RedisServer(tmp_path)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """PostgreSQL from the package of Debian, with its data and its socket in a separate folder."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert programs, "PostgreSQL is missing (Debian: apt-get install postgresql)"
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    shutil.chown(folder, user)
    try:
        options = ["-A", "trust", "-U", "rollout", "--no-sync"]
        _run([str(programs[-1] / "initdb"), "-D", str(folder / "data"), *options], user, folder)
        server = [str(programs[-1] / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-h", ""]
        with subprocess.Popen(
            server, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            until((folder / ".s.PGSQL.5432").exists, "PostgreSQL answers")
            yield f"postgresql://rollout@/postgres?host={folder}"
            process.send_signal(signal.SIGINT)
    finally:
        shutil.rmtree(folder)


def _run(command: Sequence[str], user: str, folder: Path) -> None:
    subprocess.run(command, user=user, cwd=folder, check=True, capture_output=True)
