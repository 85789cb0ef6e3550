"""The lists on the pages are complete, and the named things exist."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module

import pytest
import yaml

from launch_async import errors
from tests.docs.test_programs import COMMANDS
from tests.support.programs import ROOT
from tools.pages import PAGES, blocks, every_block
from tools.website.links import facts_anchors
from tools.website.names import MODULES, PACKAGES, expand, offered

REFERENCE = "".join(page.read_text("utf-8") for page in sorted((ROOT / "docs" / "reference").glob("*.md")))
DESCRIBED = set(re.findall(r"^ *::: ([\w.]+)$", REFERENCE, re.MULTILINE))


def _described() -> Iterator[object]:
    """Yield every object that the reference describes: single objects, and the public names of modules."""
    for name in DESCRIBED:
        if _is_module(name):
            yield from (getattr(import_module(name), offer) for offer in import_module(name).__all__)
        else:
            module, _, last = name.rpartition(".")
            yield getattr(import_module(module), last)


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").exists()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(package: str, module: str) -> None:
    name = f"{package}.{module}".rstrip(".")
    described = {id(thing) for thing in _described()}

    names = dict(offered(name))

    assert names
    assert [one for one in names if id(getattr(import_module(name), one)) not in described] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_described_module_exists_and_has_public_names(package: str) -> None:
    modules = [name for name in DESCRIBED if name.startswith(package) and _is_module(name)]

    assert modules
    assert [name for name in modules if not import_module(name).__all__] == []


def test_the_table_of_names_shows_both_packages_side_by_side() -> None:
    page = expand("# Every name\n\n<!-- names -->\n")

    assert "\n| [`NotFoundError`][launch_async.errors.NotFoundError] | the same | 404: The resource does " in page
    login = "[`await login(...)`][launch_async.auth.sessions.login] | [`login(...)`][launch_sync.auth.sessions.login]"
    assert f"\n| {login} | Log in with e-mail and password, " in page
    assert "\n| none | [`BridgeThreadError`][launch_sync._bridge.loop.BridgeThreadError] | " in page
    assert "\n| [`UNSET`][launch_async.UNSET] | the same | The value of an argument that the caller" in page
    assert (
        "\n| [`LogLine`][launch_async.emulator.builds.script.LogLine] | the same | One line of a build log. |" in page
    )
    assert expand("# Another page") == "# Another page"


SCRIPTS = {
    "docs/how-to/ci.md": "python deploy.py",
    "docs/how-to/declared-state.md": "python drift.py",
    "docs/how-to/previews.md": "python preview.py",
}
"""The command in the pipelines of a page. It runs the last program before the pipelines."""


def test_every_pipeline_of_the_documentation_can_be_read() -> None:
    pipelines = {block.name: yaml.safe_load(block.text) for block in blocks("yaml") if not block.marker}

    assert len(pipelines) == 7
    assert all(SCRIPTS[name.partition(":")[0]] in str(pipeline) for name, pipeline in pipelines.items())


@pytest.mark.parametrize("page", SCRIPTS)
def test_pipelines_set_what_the_script_and_the_client_read(page: str) -> None:
    client = set(re.findall(r"^\| `(CONTENTSTACK_\w+)`", REFERENCE, re.MULTILINE))
    *_, script = (block.text for block in blocks("python") if block.name.startswith(page))
    read = client | set(re.findall(r'"(LAUNCH_\w+)"', script))

    for pipeline in blocks("yaml"):
        if pipeline.name.startswith(page) and not pipeline.marker:
            named = set(re.findall(r"\b(?:CONTENTSTACK|LAUNCH)_\w+", pipeline.text))
            assert named <= read
            assert "CONTENTSTACK_REGION" in named


def test_every_code_block_has_a_tested_language() -> None:
    tried = {"python", "yaml", "toml", "sh", "console", "sequence", "flow", "chart"}
    output, inserted = "text", "py"

    kinds = {block.language for block in every_block()}

    assert kinds == {*tried, output, inserted}
    assert all(re.fullmatch(r'--8<-- "examples/(engines/)?\w+\.py"\n', block.text) for block in blocks(inserted))


def test_every_example_is_listed_and_runs() -> None:
    modules = {"cloud.py", "visit.py"}
    elsewhere = {"main_job.py", "main_job_sync.py", "fastapi_service.py", "stream_logs.py"}
    listed = re.findall(r"`(\w+\.py)`", (ROOT / "docs/examples.md").read_text("utf-8"))

    examples = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert set(listed) - modules == examples - modules
    assert {name for name, *_ in COMMANDS.values()} == examples - modules - elsewhere


def test_every_error_is_listed_with_its_cause_and_its_fix() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \| .+ \|$", (ROOT / "docs/reference/errors.md").read_text("utf-8"), re.MULTILINE
    )

    raised = [name for name in errors.__all__ if issubclass(getattr(errors, name), Exception)]
    elsewhere = {"BridgeThreadError", "BudgetUnavailable", "LaunchSyncInAsyncWarning", "RateLimitMismatchWarning"}
    assert sorted(rows) == sorted({*raised, *elsewhere})


@pytest.mark.parametrize("term", ["logging", "rate limit", "rollback", "upgrade", "proxy", "429", "troubleshooting"])
def test_a_heading_has_each_term_that_people_search_for(term: str) -> None:
    pages = [path.read_text("utf-8") for path in PAGES]
    headings = [heading for page in pages for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)]

    assert [heading for heading in headings if term in heading.lower()] != []


def _literals() -> Iterator[str]:
    """Yield every literal text of the packages, and the parts of texts with placeholders."""
    for path in [*(ROOT / "launch_async").rglob("*.py"), *(ROOT / "launch_sync" / "_bridge").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.mark.parametrize(
    ("name", "least"),
    [("how-to/troubleshooting", 25), ("how-to/proxies-and-certificates", 9), ("tutorial/your-organization", 3)],
)
def test_pages_quote_the_texts_of_the_errors(name: str, least: int) -> None:
    page = (ROOT / f"docs/{name}.md").read_text("utf-8")
    literals = "\n".join(_literals())

    quotes = [quote for kind, quote in re.findall(r"`(\w+): ([^`]+)`", page) if kind != "RuntimeError"]
    parts = {part for quote in quotes for part in re.split(r" ?\.\.\. ?", quote) if part}

    assert len(quotes) >= least
    assert sorted(part for part in parts if part not in literals) == []


def test_every_open_question_of_the_facts_is_answered() -> None:
    facts = (ROOT / "docs/reference/facts.md").read_text("utf-8")
    service = (ROOT / "docs/explanation/the-service.md").read_text("utf-8")

    asked = re.findall(r"^\| (\d+) \|", facts.partition("## 11.")[2], re.MULTILINE)
    answered = ",".join(re.findall(r"^\| ([\d, ]+) \|", service, re.MULTILINE))

    assert len(asked) == 35
    assert sorted(int(number) for number in answered.split(",")) == [int(number) for number in asked]


def test_the_rules_in_errors_are_sections_of_the_facts() -> None:
    sections = facts_anchors((ROOT / "docs/reference/facts.md").read_text("utf-8"))

    rules = {rule for literal in _literals() for rule in re.findall(r"^reference/facts\.md#(.+)", literal)}

    assert len(rules) == 3
    assert rules <= set(sections.values())


def test_the_404_page_links_existing_pages() -> None:
    links = re.findall(r"\{\{ '([\w/-]+)/' \| url \}\}", (ROOT / "tools/website/theme/404.html").read_text("utf-8"))

    assert len(links) == 4
    assert [link for link in links if not (ROOT / "docs" / f"{link}.md").exists()] == []


def test_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/reference/extras.md").read_text("utf-8"), re.MULTILINE)
    texts = "".join(page.read_text("utf-8") for page in PAGES)
    installed = re.findall(r"pip install \S*\[([\w,]+)\]", texts)

    extras = set(project["optional-dependencies"])
    assert set(rows) == extras
    assert {extra for several in installed for extra in several.split(",")} <= extras
