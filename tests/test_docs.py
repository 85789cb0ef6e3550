"""What the documentation shows, runs: every Python block of the README and of `docs/`, each as a program of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
import yaml

from launch_async import errors
from tests.support.programs import ROOT, Ended, Programs

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^( *)(<!-- emulator -->\n *)?```python[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
YAML = re.compile(r"^( *)```yaml\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
# A block marked so finds an emulator behind the settings of the environment.
EMULATOR = """
import os
from launch_sync.emulator import LaunchEmulator
_emulator = LaunchEmulator()
_emulator.start()
_project = _emulator.add_project("night-sky", deployments=1)
_environment_uid = next(iter(_project.environments))
os.environ.update(
    CONTENTSTACK_LAUNCH_URL=_emulator.url,
    CONTENTSTACK_CLIENT_ID=_emulator.client_id,
    CONTENTSTACK_CLIENT_SECRET=_emulator.client_secret,
    LAUNCH_PROJECT_UID=_project.uid,
    LAUNCH_ENVIRONMENT_UID=_environment_uid,
    LAUNCH_DEPLOY_HOOK_UID=_emulator.deploy_hook_url(_environment_uid).rpartition("/")[2],
)
{block}
_emulator.stop()
"""


def _blocks() -> dict[str, str]:
    """Every block by its page and line."""
    found = {}
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            block = textwrap.dedent(match[3])
            found[f"{page.relative_to(ROOT)}:{line}"] = EMULATOR.replace("{block}", block) if match[2] else block
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


def test_every_pipeline_of_the_documentation_can_be_read() -> None:
    page = (ROOT / "docs/how-to/ci.md").read_text("utf-8")

    pipelines = [yaml.safe_load(textwrap.dedent(match[2])) for match in YAML.finditer(page)]

    assert len(pipelines) == 4
    assert all("python deploy.py" in str(pipeline) for pipeline in pipelines)


def test_every_error_is_listed_with_cause_and_cure() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \| .+ \|$", (ROOT / "docs/reference/errors.md").read_text("utf-8"), re.MULTILINE
    )

    raised = [name for name in errors.__all__ if issubclass(getattr(errors, name), Exception)]
    assert sorted(rows) == sorted({*raised, "BridgeThreadError"})


def test_every_option_of_the_emulator_s_command_is_listed() -> None:
    listed = set(re.findall(r"`(--[a-z-]+)", (ROOT / "docs/reference/emulator.md").read_text("utf-8")))
    usage = subprocess.run(
        [sys.executable, "-m", "launch_async.emulator", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert listed == set(re.findall(r"--[a-z-]+", usage)) - {"--help"}
