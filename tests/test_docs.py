"""What the documentation shows, runs: every Python block of the README and of `docs/`, each as a program of its own."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.support.programs import ROOT, Ended, Programs

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


@pytest.fixture(scope="module")
def endings(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Ended]]]:
    """The blocks that were chosen, all under way."""
    chosen = [name for name in BLOCKS if any(item.name.endswith(f"[{name}]") for item in request.session.items)]
    with Programs() as programs:
        yield {name: programs.start(BLOCKS[name], name=name) for name in chosen}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_of_the_documentation_runs(endings: dict[str, Future[Ended]], name: str) -> None:
    program = endings[name].result()

    assert program.returncode == 0, program.stderr
    assert not program.stderr
