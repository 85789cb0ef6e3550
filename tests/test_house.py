"""The layout of docs/decisions/0001-layout.md, held: who may import whom, and what is public."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("launch_async", "launch_sync")

# From the bottom up: a package imports from itself, and from those above it in this list.
LAYERS = (
    ("_version", "_lazy"),
    ("errors", "hooks"),
    ("models",),
    ("wire",),
    ("settings",),
    ("rate_limit",),
    ("http",),
    ("auth",),
    ("discovery",),
    ("resources",),
    ("archive", "watch", "variables"),
    ("deploy",),
    ("fleet",),
    ("display",),
    ("client",),
    ("pytest_plugin",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
KNOTS = {
    "display": {"archive", "deploy", "fleet", "models", "rate_limit", "variables", "watch"},
    "auth": {"http"},
    "watch": {"rate_limit"},
}
"""Packages that others below them still import, and who does; each entry goes with the last such import."""
LARGEST = 15
"""Modules of a package, beside its sub-packages."""


def _modules(package: str) -> dict[str, Path]:
    """Every module of `package` by its dotted name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


ASYNC_MODULES = _modules("launch_async")
MODULES = {name: path for package in PACKAGES for name, path in _modules(package).items()}
PUBLIC = sorted(name for name in MODULES if not any(part.startswith("_") for part in name.split(".")))
# What users import from: a package is the door of its modules.
SURFACE = [name for name in PUBLIC if name.count(".") < 2 or MODULES[name].name == "__init__.py"]
CORE = sorted(name for name in ASYNC_MODULES if name.split(".")[1:2] not in ([], ["emulator"]))
EMULATOR = sorted(name for name in ASYNC_MODULES if name.split(".")[1:2] == ["emulator"])


def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


def _at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs: what stands below `if TYPE_CHECKING` does not."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from (other, *_at_run_time(other))
        else:
            yield from (child, *_at_run_time(child))


def _imports(module: str, *packages: str) -> set[str]:
    """The modules of `packages` that `module` imports at run time, at its top or in its functions."""
    found = set()
    for node in _at_run_time(_tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            names_of_its_own = len(submodules) < len(node.names)
            found |= submodules | ({node.module} if names_of_its_own else set())
    return {name for name in found if name.split(".")[0] in packages}


@pytest.mark.parametrize("module", CORE)
def test_imports_point_downward_only(module: str) -> None:
    rank = RANK.get(module.split(".")[1])
    assert rank is not None, f"say in LAYERS where {module} belongs"

    upward = {name.split(".")[1] for name in _imports(module, *PACKAGES) if RANK.get(name.split(".")[1], 99) > rank}

    assert {name for name in upward if module.split(".")[1] not in KNOTS.get(name, ())} == set()


@pytest.mark.parametrize("module", EMULATOR)
def test_the_emulator_shares_nothing_with_the_client_but_the_models(module: str) -> None:
    shared = ("launch_async.models", "launch_async.emulator", "launch_async._lazy")

    foreign = {name for name in _imports(module, *PACKAGES) if not name.startswith(shared)}

    assert not foreign


def test_no_modules_import_each_other_in_a_circle() -> None:
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    graph = {name: _imports(name, *PACKAGES) - {name} - packages for name in MODULES.keys() - packages}

    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", SURFACE)
def test_all_is_sorted_and_names_what_is_there(module: str) -> None:
    loaded = importlib.import_module(module)
    offered = getattr(loaded, "__all__", [])

    assert [name for name in offered if not hasattr(loaded, name)] == []
    assert offered == sorted(set(offered), key=_constants_classes_functions)


def _constants_classes_functions(name: str) -> tuple[int, str]:
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name


@pytest.mark.parametrize("module", SURFACE)
def test_a_module_that_defines_something_says_what_of_it_is_public(module: str) -> None:
    defines_something = any(True for _ in _public_definitions(_tree(module)))

    assert hasattr(importlib.import_module(module), "__all__") or not defines_something


@pytest.mark.parametrize("package", PACKAGES)
def test_every_error_is_offered_by_the_package_itself(package: str) -> None:
    offered = importlib.import_module(package).__all__

    assert [name for name in importlib.import_module(f"{package}.errors").__all__ if name not in offered] == []


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize(
    ("door", "at_the_top"),
    [
        ("fleet", set()),
        ("rate_limit", {"RateLimit"}),
        ("resources", {"Pager"}),
        ("settings", set()),
        ("discovery", set()),
    ],
)
def test_the_top_offers_what_programs_type(package: str, door: str, at_the_top: set[str]) -> None:
    # docs/decisions/0016-public-names.md
    top, below = (set(importlib.import_module(module).__all__) for module in (package, f"{package}.{door}"))

    assert top & below == at_the_top


def test_the_top_imports_from_the_doors_of_its_packages() -> None:
    homes = {node.module for node in ast.walk(_tree("launch_async")) if isinstance(node, ast.ImportFrom)}

    assert {home for home in homes & ASYNC_MODULES.keys() if home.count(".") > 1} == {"launch_async.rate_limit.redis"}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_thing_has_a_docstring(module: str) -> None:
    tree = _tree(module)

    assert ast.get_docstring(tree), module
    assert [name for name, node in _public_definitions(tree) if not ast.get_docstring(node)] == []


def _public_definitions(
    node: ast.Module | ast.ClassDef, prefix: str = ""
) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or child.name.startswith("_"):
            continue
        decorators = {ast.unparse(decorator).split(".")[-1] for decorator in child.decorator_list}
        if decorators.isdisjoint({"overload", "setter"}):
            yield prefix + child.name, child
        if isinstance(child, ast.ClassDef):
            yield from _public_definitions(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_module_prints(module: str) -> None:
    calls = (node for node in ast.walk(_tree(module)) if isinstance(node, ast.Call))

    assert [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_does_not_import_aiohttp(package: str) -> None:
    # aiohttp builds two TLS contexts when it is imported, the most expensive part of a start.
    code = f"import sys, {package}; sys.exit('aiohttp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_package_knows_its_own_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert [importlib.import_module(package).__version__ for package in PACKAGES] == [project["version"]] * 2


def test_every_directory_of_the_packages_is_a_package() -> None:
    directories = {path.parent for path in MODULES.values()}

    assert [path for path in directories if not (path / "__init__.py").exists()] == []


def test_ci_runs_both_commands_of_the_readme() -> None:
    readme, ci = (ROOT.joinpath(name).read_text("utf-8") for name in ("README.md", ".ci/run"))

    commands = re.findall(r"^python3 tools/run\.py .*$", readme, re.MULTILINE)

    assert commands == ["python3 tools/run.py demo", "python3 tools/run.py tests"]
    assert [command for command in commands if not re.search(rf"{re.escape(command)}$", ci, re.MULTILINE)] == []


def test_the_two_main_jobs_differ_only_in_how_they_wait() -> None:
    examples = ROOT / "examples"
    without_waiting = _code(examples / "main_job.py")
    for asynchronous, plain in (
        ("launch_async", "launch_sync"),
        ("async ", ""),
        ("await asyncio.to_thread(expect_same, ", "expect_same("),
        ("await ", ""),
        ("asyncio.run(main())", "main()"),
        ("import asyncio\n", ""),
    ):
        without_waiting = without_waiting.replace(asynchronous, plain)

    assert without_waiting == _code(examples / "main_job_sync.py")


def _code(path: Path) -> str:
    tree = ast.parse(path.read_text("utf-8"))
    return ast.unparse(ast.Module(tree.body[1:], []))
