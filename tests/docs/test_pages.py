"""What the pages list is complete, and what they name exists.

Of the shell's lines those run here that start the emulator, give it orders and set the environment. The others run as
sessions: `package` makes a virtual environment and installs the wheel into it, which needs a package index; `demo`,
`tests` and `bench` are the lines of that name; `sync_check` runs the generator, and `engines` Prefect and Dask, which
the tests do not install. The examples run in `test_programs.py`. What is left is checked to name what exists.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from launch_async import errors
from tests.docs.pages import PAGES, blocks, every_block
from tests.docs.test_programs import COMMANDS
from tests.support.programs import ROOT
from tools.names import MODULES, PACKAGES, offered, on_page_markdown

REFERENCE = "".join(page.read_text("utf-8") for page in sorted((ROOT / "docs" / "reference").glob("*.md")))
DESCRIBED = set(re.findall(r"^ *::: ([\w.]+)$", REFERENCE, re.MULTILINE))


def _described() -> Iterator[object]:
    """Everything that the directives of the reference describe: single things, and what modules offer."""
    for name in DESCRIBED:
        module, _, last = name.rpartition(".")
        if last[0].isupper():
            yield getattr(import_module(module), last)
        else:
            yield from (getattr(import_module(name), offer) for offer in import_module(name).__all__)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(package: str, module: str) -> None:
    name = f"{package}.{module}".rstrip(".")
    described = {id(thing) for thing in _described()}

    names = dict(offered(name))

    assert names
    assert [one for one in names if id(getattr(import_module(name), one)) not in described] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_described_module_is_there_and_offers_something(package: str) -> None:
    modules = [name for name in DESCRIBED if name.startswith(package) and not name.rpartition(".")[2][0].isupper()]

    assert modules
    assert [name for name in modules if not import_module(name).__all__] == []


def test_names_stand_side_by_side() -> None:
    page = on_page_markdown("# Every name\n\n<!-- names -->\n")

    assert "| `NotFoundError` | [`NotFoundError`][launch_async.errors.NotFoundError] | the same |" in page
    login = "[`await login(...)`][launch_async.sessions.login] | [`login(...)`][launch_sync.sessions.login]"
    assert f"| `login` | {login} |" in page
    assert on_page_markdown("# Another page") == "# Another page"


def test_every_pipeline_of_the_documentation_can_be_read() -> None:
    pipelines = [yaml.safe_load(block.text) for block in blocks("yaml")]

    assert len(pipelines) == 4
    assert all("python deploy.py" in str(pipeline) for pipeline in pipelines)


def test_pipelines_set_what_the_script_and_the_client_read() -> None:
    client = set(re.findall(r"^\| `(CONTENTSTACK_\w+)`", REFERENCE, re.MULTILINE))
    (script,) = (block.text for block in blocks("python") if block.name.startswith("docs/how-to/ci.md"))
    read = client | set(re.findall(r'"(LAUNCH_\w+)"', script))

    for pipeline in blocks("yaml"):
        named = set(re.findall(r"\b(?:CONTENTSTACK|LAUNCH)_\w+", pipeline.text))
        assert named <= read
        assert "CONTENTSTACK_REGION" in named


def test_every_fence_is_of_a_kind_that_is_tried() -> None:
    tried = {"python", "yaml", "sh", "console", "sequence", "flow", "chart"}
    output, inserted = "text", "py"

    kinds = {block.language for block in every_block()}

    assert kinds == {*tried, output, inserted}
    assert all(re.fullmatch(r'--8<-- "examples/(engines/)?\w+\.py"\n', block.text) for block in blocks(inserted))


def test_every_example_is_listed_and_runs() -> None:
    modules = {"cloud.py", "visit.py"}
    elsewhere = {"main_job.py", "main_job_sync.py", "fastapi_service.py"}
    listed = re.findall(r"`(\w+\.py)`", (ROOT / "docs/examples.md").read_text("utf-8"))

    examples = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert set(listed) - modules == examples - modules
    assert {name for name, *_ in COMMANDS.values()} == examples - modules - elsewhere


def test_every_error_is_listed_with_cause_and_cure() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \| .+ \|$", (ROOT / "docs/reference/errors.md").read_text("utf-8"), re.MULTILINE
    )

    raised = [name for name in errors.__all__ if issubclass(getattr(errors, name), Exception)]
    elsewhere = {"BridgeThreadError", "BudgetUnavailable", "LaunchSyncInAsyncWarning", "RateLimitMismatchWarning"}
    assert sorted(rows) == sorted({*raised, *elsewhere})


def test_every_open_question_of_the_facts_is_answered() -> None:
    facts = (ROOT / "docs/reference/facts.md").read_text("utf-8")
    service = (ROOT / "docs/explanation/the-service.md").read_text("utf-8")

    asked = re.findall(r"^\| (\d+) \|", facts.partition("## 11.")[2], re.MULTILINE)
    answered = ",".join(re.findall(r"^\| ([\d, ]+) \|", service, re.MULTILINE))

    assert len(asked) == 30
    assert sorted(int(number) for number in answered.split(",")) == [int(number) for number in asked]


def test_every_option_of_the_emulator_s_command_is_listed() -> None:
    listed = set(re.findall(r"`(--[a-z-]+)", (ROOT / "docs/reference/emulator.md").read_text("utf-8")))
    usage = subprocess.run(
        [sys.executable, "-m", "launch_async.emulator", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert listed == set(re.findall(r"--[a-z-]+", usage)) - {"--help"}


def _commands() -> list[list[str]]:
    """Every command line of the documentation that is a program of ours, in words."""
    lines = [line for block in blocks("sh", "console") for line in block.text.splitlines()]
    consoles = [line.removeprefix("$ ") for line in lines if not line.startswith("{")]
    return [shlex.split(line, comments=True) for line in consoles]


def test_commands_name_what_exists() -> None:
    sessions = set(re.findall(r"^@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE))
    unknown = []
    for words in _commands():
        match words:
            case [python, "tools/run.py", session, *_] if python.endswith("python3"):
                known = session in sessions
            case ["nox", "-s", session, *_]:
                known = session in sessions
            case [python, "-m", "venv", _] if python.endswith("python3"):
                known = True
            case [python, "-m", module, *_] if python.endswith("python"):
                known = find_spec(module) is not None
            case [python, script, *_] if python.endswith("python"):
                known = any((ROOT / folder / script).exists() for folder in ("", "examples/engines"))
            case [pip, "install", _] if pip.endswith("/pip"):
                known = True
            case _:
                known = words[0] in {"cd", "curl", "dask", "export", "mkdir", "prefect", "read"}
        if not known:
            unknown.append(words)

    assert unknown == []


def test_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/reference/extras.md").read_text("utf-8"), re.MULTILINE)
    texts = "".join(page.read_text("utf-8") for page in PAGES)
    installed = re.findall(r"pip install \S*\[([\w,]+)\]", texts)

    extras = set(project["optional-dependencies"])
    assert set(rows) == extras
    assert {extra for several in installed for extra in several.split(",")} <= extras


def _shell_lines(page: str, start: str) -> list[list[str]]:
    """The lines to type of every console of a page that begins so."""
    texts = [block.text for block in blocks("console") if block.name.startswith(f"docs/{page}:")]
    consoles = [[line[2:] for line in text.splitlines() if line.startswith("$ ")] for text in texts]
    return [lines for lines in consoles if lines[0].startswith(start)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_emulator_starts_and_takes_orders_as_shown(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', "utf-8")
    python.chmod(0o755)
    shell = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "NO_PROXY": "*"}
    ((start,),) = _shell_lines("how-to/testing-with-the-emulator.md", "python")
    (orders,) = _shell_lines("how-to/testing-with-the-emulator.md", "curl")

    with subprocess.Popen(["sh", "-c", f"exec {start}"], cwd=ROOT, env=shell, stdout=subprocess.PIPE) as emulator:
        assert emulator.stdout
        shell["URL"] = json.loads(emulator.stdout.readline())["url"]
        commands = (["sh", "-c", f"{order} --fail"] for order in orders)
        answers = [subprocess.run(command, env=shell, stdout=subprocess.PIPE).stdout for command in commands]
        emulator.terminate()

    assert emulator.returncode == 0
    assert len(answers) == 3
    assert all(isinstance(json.loads(answer), dict) for answer in answers)


@pytest.mark.parametrize("page", ["first-deployment", "your-organization"])
def test_the_settings_of_the_tutorial_reach_the_programs_of_the_shell(page: str) -> None:
    ((*lines,),) = _shell_lines(f"tutorial/{page}.md", "export")

    command = ["bash", "-e", "-c", "\n".join([*lines, "env"])]
    path = {"PATH": os.environ["PATH"]}
    shown = subprocess.run(command, input="typed\n", env=path, stdout=subprocess.PIPE, text=True).stdout

    settings = dict(line.split("=", 1) for line in shown.splitlines() if line.startswith("CONTENTSTACK_"))
    expected = {name: value for line in lines for name, value in re.findall(r"export (\w+)=(\S+)", line)}
    typed = {"CONTENTSTACK_AUTHTOKEN": "typed"} if "read -rs" in lines[-1] else {}
    assert settings == expected | typed
    assert len(settings) == 3
