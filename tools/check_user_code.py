"""Check the code of users with five type checkers: examples, the Python programs of the documentation, and a sample.

The tool copies the programs into a folder outside the project, where users have their programs. mypy and pyright are
strict there. The test functions on the pages have no annotations, like most tests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.pages import ROOT, blocks

PYTHON = sys.executable
CHECKERS = {
    "mypy": ["mypy", "--strict", "--allow-untyped-defs", "--allow-untyped-calls", "--python-executable", PYTHON, "."],
    "pyright": ["pyright", "--pythonpath", PYTHON, "."],
    "ty": ["ty", "check", "--quiet", "--python", PYTHON, "."],
    "pyrefly": ["pyrefly", "check", "--preset", "default", "--python-interpreter-path", PYTHON, "."],
    "zuban": ["zuban", "check", "--python-executable", PYTHON, "."],
}


def main() -> None:
    """Return 0 if no checker reports a mistake."""
    names = sys.argv[1:] or list(CHECKERS)
    with tempfile.TemporaryDirectory() as folder:
        count = write(Path(folder))
        failed = [name for name in names if not _run(CHECKERS[name], Path(folder))]
    if failed:
        sys.exit(f"{', '.join(failed)}: the code of users or our types have mistakes")
    print(f"{count} programs pass {', '.join(names)}.")


def write(folder: Path) -> int:
    """Write every program into a folder, and return how many there are."""
    for path in (ROOT / "examples").glob("*.py"):
        shutil.copy(path, folder)
    shutil.copy(ROOT / "tools" / "sample_program.py", folder)
    for block in blocks("python"):
        name = re.sub(r"\W+", "_", block.name)
        (folder / f"{name}.py").write_text(block.text, encoding="utf-8")
    return len(list(folder.glob("*.py")))


def _run(command: list[str], folder: Path) -> bool:
    program = shutil.which(command[0], path=str(Path(PYTHON).parent))
    if program is None:
        raise SystemExit(f"{command[0]} is not installed. python3 tools/run.py types installs it")
    return subprocess.run([program, *command[1:]], cwd=folder, check=False).returncode == 0


if __name__ == "__main__":
    main()
