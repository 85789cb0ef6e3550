"""The action for GitHub and the template for GitLab work as their first lines say, against an emulator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from launch_sync.emulator import LaunchEmulator
from tests.support.programs import ROOT
from tools.pages import blocks

CI = ROOT / "examples" / "ci"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a job on a machine with the command. `pip` only records its arguments."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "contentstack-launch").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m launch_async.cli "$@"\n')
    (programs / "pip").write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/installed"\n')
    (programs / "python").symlink_to(sys.executable)
    for program in programs.iterdir():
        if not program.is_symlink():
            program.chmod(0o755)
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<h1>night sky</h1>" * 100)
    with LaunchEmulator(rate_limit=None, build_seconds=0.05) as emulator:
        emulator.add_project("shop", environments=["production"], deployments=1)
        yield {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GITLAB_"))},
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "CONTENTSTACK_LAUNCH_URL": emulator.url,
            "CONTENTSTACK_CLIENT_ID": emulator.client_id,
            "CONTENTSTACK_CLIENT_SECRET": emulator.client_secret,
        }


def _ran(script: str, folder: Path, variables: Mapping[str, str]) -> str:
    ended = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=variables, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def _filled_in(text: str, inputs: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], text)


def test_the_action_deploys_and_gives_the_url(machine: dict[str, str], tmp_path: Path) -> None:
    action: dict[str, Any] = yaml.safe_load((CI / "github" / "action.yml").read_text())
    inputs = {name: str(one.get("default", "")) for name, one in action["inputs"].items()}
    inputs |= {"project": "shop", "environment": "production", "source": "site", "options": "--verify /"}
    files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    job = {**machine, **files, "RUNNER_TEMP": str(tmp_path), "GITHUB_ACTIONS": "true"}

    shown = ""
    for step in action["runs"]["steps"]:
        own = {name: _filled_in(value, inputs) for name, value in step["env"].items()}
        shown += _ran(step["run"], tmp_path, {**job, **own})

    assert "::group::Build log of shop/production" in shown
    assert (tmp_path / "installed").read_text() == "install --quiet contentstack-launch[cli]\n"
    assert re.fullmatch(r"url=http://127\.0\.0\.1:\d+\n", (tmp_path / "GITHUB_OUTPUT").read_text())


def test_the_template_deploys(machine: dict[str, str], tmp_path: Path) -> None:
    template: dict[str, Any] = yaml.safe_load((CI / "gitlab.yml").read_text())[".launch"]
    own = {**template["variables"], "PROJECT": "shop", "SOURCE": "site", "GITLAB_CI": "true"}

    shown = "".join(_ran(line, tmp_path, {**machine, **own}) for line in template["script"])

    assert "section_start:" in shown
    assert "LIVE  http://127.0.0.1:" in shown


def test_the_page_contains_the_action_and_the_template_unchanged() -> None:
    github, gitlab = (yaml.safe_load(block.text) for block in blocks("yaml") if block.marker == "action")
    inputs = yaml.safe_load((CI / "github" / "action.yml").read_text())["inputs"]
    template = yaml.safe_load((CI / "gitlab.yml").read_text())
    (step,) = github["steps"]

    assert step["with"].keys() <= inputs.keys()
    assert {name for name, one in inputs.items() if one.get("required")} <= step["with"].keys()
    assert gitlab["deploy"]["extends"] in template
    assert gitlab["deploy"]["variables"].keys() <= {"PROJECT", "SOURCE", *template[".launch"]["variables"]}
