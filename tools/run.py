"""Run one nox session on a machine that has only Python: `python3 tools/run.py demo`.

The script creates a virtual environment with nox in `.nox/`, once for each interpreter, and starts nox. The sessions
install into environments in the same folder, so the script changes nothing outside the checkout. It works with a Python
whose packages the system manages, from a path with spaces, and while another session is running. Keep the syntax of
this file compatible with Python 3.6, so that the script can report which version is needed.
"""

import argparse
import ast
import difflib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
NOX = "nox>=2025.5.1"


def main() -> int:
    """Run the session that the command line names, and return its exit code."""
    if sys.version_info < OLDEST:
        have, need = (".".join(map(str, version[:2])) for version in (sys.version_info, OLDEST))
        return _give_up(f"this is Python {have}, but the SDK needs {need} or newer. Try python{need} {sys.argv[0]}")

    parser = argparse.ArgumentParser(
        prog="tools/run.py",
        description="Set up nox for this interpreter if necessary, and run one session.",
        epilog="The session gets the arguments after `--`: tools/run.py tests -- -k archive",
    )
    sessions = _sessions()
    parser.add_argument("session", help=", ".join(sessions), metavar="SESSION")
    # Split the arguments here, because argparse drops the `--` that nox needs to find the session's arguments.
    ours = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    own, rest = parser.parse_known_args(ours)
    rest += sys.argv[1 + len(ours) :]

    if own.session not in sessions:
        near = difflib.get_close_matches(own.session, sessions, n=1, cutoff=0.5)
        meant = f" Did you mean {near[0]}?" if near else ""
        return _give_up(f"there is no session {own.session!r}.{meant} The sessions are: {', '.join(sessions)}")

    environments = ROOT / ".nox" / "{}-{}.{}.{}".format(sys.implementation.name, *sys.version_info[:3])
    try:
        python = _nox_environment(environments)
    except subprocess.CalledProcessError as error:
        return _give_up(
            "could not set up nox (`{}` ended with {}). On Debian and Ubuntu, `venv` is a separate package: "
            "apt install python3-venv".format(" ".join(map(str, error.cmd)), error.returncode)
        )
    command = [python, "-m", "nox", "--noxfile", ROOT / "noxfile.py", "--envdir", environments, "-s", own.session]
    try:
        return subprocess.call([*command, *rest], cwd=ROOT)
    except KeyboardInterrupt:
        return 130


def _sessions() -> "list[str]":
    """Return the names of the sessions that the noxfile defines, without importing nox."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [
        node.name
        for node in functions
        if any(isinstance(mark, ast.Attribute) and mark.attr == "session" for mark in node.decorator_list)
    ]


def _nox_environment(environments: Path) -> Path:
    """Return the interpreter of a virtual environment with nox. Create the environment if there is none."""
    home = environments / "nox"
    if not _has_nox(home):
        environments.mkdir(parents=True, exist_ok=True)
        # Build in another folder and move it, so that an interrupted or a parallel run never uses an incomplete one.
        sys.stderr.write(f"Setting up nox in {environments}\n")
        with tempfile.TemporaryDirectory(dir=environments, prefix="new-", ignore_cleanup_errors=True) as scratch:
            fresh = Path(scratch) / "nox"
            subprocess.run([sys.executable, "-m", "venv", fresh], check=True)
            subprocess.run([_python(fresh), "-m", "pip", "install", "--quiet", NOX], check=True)
            if not _has_nox(home):
                shutil.rmtree(home, ignore_errors=True)
                fresh.rename(home)
    return _python(home)


def _has_nox(home: Path) -> bool:
    python = _python(home)
    return python.exists() and subprocess.run([python, "-c", "import nox"], capture_output=True).returncode == 0


def _python(home: Path) -> Path:
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _give_up(message: str) -> int:
    sys.stderr.write(f"tools/run.py: {message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
