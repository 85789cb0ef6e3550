"""What the documentation shows, runs: every Python block of the README and of `docs/`, each as a program of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^( *)```python[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def _blocks() -> dict[str, str]:
    """Every block by its page and line."""
    found = {}
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found[f"{page.relative_to(ROOT)}:{line}"] = textwrap.dedent(match[2])
    return found


BLOCKS = _blocks()


@pytest.mark.parametrize("code", BLOCKS.values(), ids=BLOCKS.keys())
def test_a_block_of_the_documentation_runs(code: str) -> None:
    program = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert program.returncode == 0, program.stderr
    assert not program.stderr
