"""Run the shell lines of the documentation unchanged, in an environment that has only a wheel.

    python -m tools.try_consoles dist/contentstack_launch-0.1.0-py3-none-any.whl

Each page gets a terminal in an empty folder. The tutorial is first, because it creates the virtual environment that the
other pages use. The script fills in the same values as a reader: the path of the wheel, a free port, and the values
that the emulator has just printed. Sessions of nox run the lines of other pages. `ELSEWHERE` contains the lines that no
session runs.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

from tools.pages import ROOT, Block, Line, blocks
from tools.shell import LineFailed, Shell

TUTORIAL: Final = "docs/tutorial/first-deployment.md"
ORGANIZATION: Final = "docs/tutorial/your-organization.md"
TESTING: Final = "docs/how-to/testing-with-the-emulator.md"
PIPELINES: Final = "docs/how-to/ci.md"
CERTIFICATES: Final = "docs/how-to/proxies-and-certificates.md"
EXAMPLES: Final = "docs/examples.md"
VISITED: Final = (TUTORIAL, ORGANIZATION, TESTING, PIPELINES, CERTIFICATES, EXAMPLES)
_MINUTES: Final = "measures for minutes, and needs a machine without other work"
_PROBED: Final = "tests/cli/test_probe_command.py runs it"
_BARE: Final = ".ci/bare runs it on a bare Debian"
ELSEWHERE: Final = {
    "python3 tools/run.py bench": _MINUTES,
    "python3 tools/run.py bench -- limit calls": _MINUTES,
    "python3 tools/run.py bench -- pacing redis_budget --rounds 1 --requests 400 --no-store": _MINUTES,
    "python -m benchmarks.worlds --seeds 10000": _MINUTES,
    "python -m benchmarks.worlds --seed 777": "tests/worlds runs such worlds",
    "python3 -m venv .venv": _BARE,
    ".venv/bin/pip install .": _BARE,
    "contentstack-launch probe": _PROBED,
    "contentstack-launch probe --markdown report.md": _PROBED,
    "contentstack-launch probe --json": _PROBED,
    "contentstack-launch probe --tape probe.jsonl": _PROBED,
    "contentstack-launch probe --write --project probe-1 --confirm": _PROBED,
    '.venv/bin/pip install ".[cli]"': "tools/try_extras.py installs each extra",
    ".venv/bin/contentstack-launch site examples/site --emulator": "runs until Ctrl-C; tests/cli runs it",
    "python tools/generate_sync.py": "writes into the checkout; the session sync_check runs it with --check",
}
_SETTINGS: Final = """
from launch_sync import LaunchClient
with LaunchClient.from_env() as launch:
    print(*launch.settings_sources.values())
"""


class Visit:
    """A terminal in which one page is followed from its first block to its last block.

    Args:
        page: The page.
        home: The folder in which to create the terminal's folder.
        given: A folder with the files that the reader has.
    """

    def __init__(self, page: str, home: Path, given: Path) -> None:
        self._page = page
        self._folder = home / Path(page).stem
        self._programs = home / Path(TUTORIAL).stem / "night-sky/.venv/bin"
        self._given = given
        self._port = str(_free_port())
        self._emulator: dict[str, str] = {}
        self._typed: list[str] = []

    def make(self) -> str:
        """Run the lines, and return them with their duration.

        Raises:
            LineFailed: A line failed, or its output differs from the page.
        """
        began = time.monotonic()
        self._folder.mkdir()
        path = f"{self._programs}:{os.environ['PATH']}"
        with Shell(self._folder, {"PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}) as shell:
            if self._page == EXAMPLES:
                (self._folder / "examples").symlink_to(ROOT / "examples")
            if self._page == PIPELINES:
                self._set_up_a_pipeline(shell)
            for block in blocks("sh", "console", "python", "yaml", page=self._page):
                self._do(shell, block)
            if self._page == ORGANIZATION:
                _expect(_run(shell, _SETTINGS).count("CONTENTSTACK_") == 3, self._page, "leaves settings out")
        return "\n".join([f"== {self._page}: {time.monotonic() - began:.1f} s", *self._typed])

    def _do(self, shell: Shell, block: Block) -> None:
        for line in block.lines:
            self._type(shell, line)
        if block.language == "yaml":
            self._run_pipeline(shell, block)
        elif block.marker == "pytest":
            self._typed.append(_run_tests(shell, block))
        elif block.language == "python" and block.page == TUTORIAL:
            _run(shell, block.text)

    def _type(self, shell: Shell, line: Line) -> None:
        text = self._filled_in(line.text)
        self._typed.append(f"$ {text}")
        if line.output:
            self._emulator = json.loads(shell.start(text))
            _expect(
                set(re.findall(r'"(\w+)":', line.output)) <= set(self._emulator),
                text,
                "prints another output than the page",
            )
            shell.environment["URL"] = self._emulator["url"]
            shell.environment["SECRET"] = self._emulator.get("control_secret", "")
            return
        if ".venv/bin/pip install" in text:
            # The ways to install in the tutorial are alternatives.
            shell.type(".venv/bin/pip uninstall --quiet --yes contentstack-launch")
        # Without --fail, curl would also accept a refusal.
        printed = shell.type(f"{text} --fail" if text.startswith("curl ") else text, answer="a-token\n")
        _expect(not text.startswith("curl ") or isinstance(json.loads(printed), dict), text, "is not answered")

    def _filled_in(self, text: str) -> str:
        text = text.replace("path/to/", f"{self._given}/").replace("8080", self._port)
        text = text.replace("=blt...", f"={self._emulator.get('organization_uid')}")
        text = text.replace("=...", f"={self._emulator.get('authtoken')}")
        # Do not ask an index for the name. Before the first release, the name may belong to another project there.
        published = f"PIP_CONSTRAINT={self._given}/published.txt"
        return f"{published} {text}" if text.endswith("pip install contentstack-launch") else text

    def _set_up_a_pipeline(self, shell: Shell) -> None:
        """Write the script to the path that the pipelines use, and set their secrets and variables."""
        script, *_ = blocks("python", page=PIPELINES)
        (shell.folder / "deploy.py").write_text(script.text, "utf-8")
        (shell.folder / "site").symlink_to(ROOT / "examples/site")
        self._type(shell, Line("python -m launch_async.emulator --control", output="{}"))
        project = json.dumps({"name": "night-sky", "environments": ["production"], "deployments": 1}).encode()
        headers = {"Emulator-Secret": self._emulator["control_secret"]}
        with urlopen(Request(f"{self._emulator['url']}/__emulator__/projects", project, headers)) as answer:
            added = json.load(answer)
        shell.environment |= {
            "CONTENTSTACK_LAUNCH_URL": self._emulator["url"],
            "CONTENTSTACK_CLIENT_ID": self._emulator["client_id"],
            "CONTENTSTACK_CLIENT_SECRET": self._emulator["client_secret"],
            "LAUNCH_PROJECT_UID": added["project_uid"],
            "LAUNCH_ENVIRONMENT_UID": added["environments"]["production"]["uid"],
        }

    def _run_pipeline(self, shell: Shell, pipeline: Block) -> None:
        shell.environment |= re.findall(r"^ +((?:CONTENTSTACK|LAUNCH)_\w+): (\w+)$", pipeline.text, re.MULTILINE)
        for line in re.findall(r"^ +- (?:(?:run|script): )?((?:pip|export|python) .+)$", pipeline.text, re.MULTILINE):
            self._type(shell, Line(line))


def _run(shell: Shell, program: str) -> str:
    (shell.folder / "program.py").write_text(program, "utf-8")
    return shell.type("python program.py")


def _run_tests(shell: Shell, tests: Block) -> str:
    (shell.folder / "test_block.py").write_text(tests.text, "utf-8")
    (install,) = re.findall(r"`(pip install [^`]+)`", (ROOT / tests.page).read_text("utf-8"))
    shell.type(install)
    return shell.type("python -m pytest --quiet test_block.py").splitlines()[-1]


def _expect(holds: bool, line: str, complaint: str) -> None:
    if not holds:
        raise LineFailed(f"`{line}` {complaint}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def given(home: Path, wheel: Path) -> Path:
    """Return a new folder with the files that the reader has: a wheel, a checkout, a site, and later an index."""
    folder = home / "given"
    folder.mkdir()
    for name, thing in {wheel.name: wheel, "checkout": ROOT, "folder": ROOT / "examples/site"}.items():
        (folder / name).symlink_to(thing)
    (folder / "published.txt").write_text(f"contentstack-launch @ {wheel.as_uri()}\n")
    return folder


def main() -> None:
    """Return 0 if every line did what its page says."""
    wheel = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(3) as visitors:
        home = Path(folder).resolve()
        has = given(home, wheel)
        first, *others = (Visit(page, home, has) for page in VISITED)
        print(first.make(), flush=True)
        # The pages mostly wait for builds of the emulator.
        for report in visitors.map(Visit.make, others):
            print(report, flush=True)


if __name__ == "__main__":
    main()
