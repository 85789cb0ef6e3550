"""The plain twin of the fleet keeps the same promises, under Ctrl-C and steered from another thread."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_that_is_interrupted_with_ctrl_c_is_finished_by_a_resumption(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.fleet.interrupted", str(tmp_path / "run.journal")]

    program = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert program.returncode == 0, program.stderr
    assert not program.stderr
