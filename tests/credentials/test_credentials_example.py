"""The OpenTelemetry example runs, and its spans tell what happened."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "with_opentelemetry.py"


def test_the_opentelemetry_example_collects_a_span_for_each_call() -> None:
    run = subprocess.run(
        [sys.executable, EXAMPLE],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert run.returncode == 0, run.stderr
    assert re.search(r"launch listProjects UNSET \[.*'sent again'", run.stdout)
    assert "'launch.attempts': 2" in run.stdout
    assert "launch getProject ERROR" in run.stdout
    assert "'error.type': 'NotFoundError'" in run.stdout
