"""The rules of docs/decisions/0001-layout.md: which package may import which, and which names are public."""

from __future__ import annotations

import ast
import graphlib
import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("launch_async", "launch_sync")

# From the bottom up: a package or module right below `launch_async` imports only from the lines above it in this list.
# Packages of one line do not import each other.
LAYERS = (
    ("_version", "_breather", "_checked_lines", "_file_lock", "_lazy", "_proxies", "_text", "_views"),
    ("errors", "hooks"),
    ("models",),
    ("wire",),
    ("settings",),
    ("rate_limit",),
    ("http",),
    ("auth",),
    ("discovery", "resources"),
    ("archive", "watch", "variables"),
    ("deploy",),
    ("fleet",),
    ("state",),
    ("display",),
    ("client", "emulator"),
    ("",),  # `launch_async` and `launch_sync` themselves
    ("pytest_plugin", "probe"),
    ("cli",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
LARGEST = 15
"""Maximum number of modules in a package, not counting its sub-packages."""


def _modules(package: str) -> dict[str, Path]:
    """Return every module of `package` by its dotted name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


ASYNC_MODULES = _modules("launch_async")
MODULES = {name: path for package in PACKAGES for name, path in _modules(package).items()}
PUBLIC = sorted(name for name in MODULES if not any(part.startswith("_") for part in name.split(".")))
# The modules that users import from: a package exports the names of its modules.
SURFACE = [name for name in PUBLIC if name.count(".") < 2 or MODULES[name].name == "__init__.py"]
# The `__init__.py` of a package only exports names. An import from it depends on the module that defines the name, and
# on no other module. The files are therefore not nodes of the graph of imports.
EXPORTS = {name for name, path in MODULES.items() if path.name == "__init__.py"}
CORE = sorted(ASYNC_MODULES.keys() - EXPORTS)
VIEWS = "launch_async._views"
"""The only module that loads a package above it: `display`, by name and on first use, for its registered views."""
SUBPACKAGES = sorted(name for name in EXPORTS if name.startswith("launch_async"))


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


@cache
def _imports(module: str) -> set[str]:
    """Return our modules that a module imports: at its top, in functions, by name, and for type checkers only."""
    found: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {_home(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module" and module != VIEWS:
            found |= {name.value for name in node.args if isinstance(name, ast.Constant)}
    return {name for name in found if name.split(".")[0] in PACKAGES} - {module}


def _home(module: str, name: str) -> str:
    """Return the module that defines an imported name. Imports from an `__init__.py` lead to another module."""
    if f"{module}.{name}" in MODULES:
        return f"{module}.{name}"
    if module not in EXPORTS:
        return module
    behind = (node for node in ast.walk(_tree(module)) if isinstance(node, ast.ImportFrom) and node.module)
    homes = {alias.asname or alias.name: (node.module, alias.name) for node in behind for alias in node.names}
    return _home(*homes[name]) if name in homes else module


def _part(module: str) -> str:
    return ".".join(module.split(".")[1:2])


@pytest.mark.parametrize("module", [name for name in CORE if _part(name) != "emulator"])
def test_imports_point_downward_only(module: str) -> None:
    part = _part(module)
    assert part in RANK, f"add {part} to LAYERS"
    others = {name for name in _imports(module) if _part(name) != part}

    assert {name for name in others if RANK.get(_part(name), len(LAYERS)) >= RANK[part]} == set()


@pytest.mark.parametrize("module", [name for name in CORE if _part(name) == "emulator"])
def test_the_emulator_shares_only_the_models_with_the_client(module: str) -> None:
    assert {
        name for name in _imports(module) if _part(name) not in ("emulator", "models", "_lazy", "_file_lock")
    } == set()


@pytest.mark.parametrize("module", [name for name in CORE if _part(name) not in ("display", "cli")])
def test_only_the_command_imports_the_views(module: str) -> None:
    assert {name for name in _imports(module) if _part(name) == "display"} == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: _imports(name) - EXPORTS for name in MODULES.keys() - EXPORTS}

    graphlib.TopologicalSorter(graph).prepare()


def test_no_packages_import_each_other_in_a_circle() -> None:
    # A package and its sub-package may use each other. The test above checks the order of their modules.
    graph: dict[str, set[str]] = {}
    for module in CORE:
        mine = _package(module)
        others = {_package(name) for name in _imports(module)}
        graph.setdefault(mine, set()).update(
            one for one in others if not f"{one}.".startswith(f"{mine}.") and not f"{mine}.".startswith(f"{one}.")
        )

    graphlib.TopologicalSorter(graph).prepare()


def _package(module: str) -> str:
    """Return the package of a module. A module right below `launch_async` counts as a package."""
    return module if module in EXPORTS or module.count(".") < 2 else module.rpartition(".")[0]


@pytest.mark.parametrize("package", [name for name in SUBPACKAGES if _part(name) in RANK and _part(name)])
def test_a_package_exports_no_name_of_a_higher_layer(package: str) -> None:
    others = {name for name in _imports(package) if _part(name) != _part(package)}

    assert {name for name in others if RANK[_part(name)] >= RANK[_part(package)]} == set()


@pytest.mark.parametrize("package", SUBPACKAGES)
def test_no_package_has_too_many_modules(package: str) -> None:
    modules = [name for name in CORE if name.rpartition(".")[0] == package]

    assert len(modules) <= LARGEST


@pytest.mark.parametrize("module", sorted(MODULES))
def test_private_names_stay_in_their_package(module: str) -> None:
    lines = [line for line in MODULES[module].read_text("utf-8").splitlines() if "noqa: SLF001" in line]
    package = "".join(path.read_text("utf-8") for path in MODULES[module].parent.glob("*.py"))
    used = {name for line in lines for name in re.findall(r"\.(_[a-z]\w*)", line.replace("sys._getframe", ""))}

    assert {name for name in used if not re.search(rf"def {name}\(|self\.{name}\b.* = ", package)} == set()


@pytest.mark.parametrize("module", SURFACE)
def test_all_is_sorted_and_every_name_in_it_exists(module: str) -> None:
    loaded = importlib.import_module(module)
    exported = getattr(loaded, "__all__", [])

    assert [name for name in exported if not hasattr(loaded, name)] == []
    assert exported == sorted(set(exported), key=_constants_classes_functions)


def _constants_classes_functions(name: str) -> tuple[int, str]:
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name


@pytest.mark.parametrize("package", [name for name in MODULES if "lazy(__name__)" in MODULES[name].read_text("utf-8")])
def test_a_lazy_package_exports_each_name_that_it_imports_for_type_checkers(package: str) -> None:
    nodes = [node for block in _tree(package).body if isinstance(block, ast.If) for node in block.body]
    names = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert {*importlib.import_module(package).__all__} - {"__version__"} == names


@pytest.mark.parametrize("module", SURFACE)
def test_a_module_with_public_definitions_has_all(module: str) -> None:
    has_definitions = any(True for _ in _public_definitions(_tree(module)))

    assert hasattr(importlib.import_module(module), "__all__") or not has_definitions


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_exports_every_error(package: str) -> None:
    exported = importlib.import_module(package).__all__

    assert [name for name in importlib.import_module(f"{package}.errors").__all__ if name not in exported] == []


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize(
    ("subpackage", "at_the_top"),
    [
        ("fleet", set()),
        ("rate_limit", {"RateLimit"}),
        ("resources", {"Pager"}),
        ("settings", set()),
        ("discovery", set()),
    ],
)
def test_the_package_exports_the_names_that_most_programs_use(
    package: str, subpackage: str, at_the_top: set[str]
) -> None:
    # docs/decisions/0016-public-names.md
    top, below = (set(importlib.import_module(module).__all__) for module in (package, f"{package}.{subpackage}"))

    assert top & below == at_the_top


def test_the_package_imports_from_subpackages_and_not_from_their_modules() -> None:
    homes = {node.module for node in ast.walk(_tree("launch_async")) if isinstance(node, ast.ImportFrom)}

    assert {home for home in homes & ASYNC_MODULES.keys() if home.count(".") > 1} == {"launch_async.rate_limit.redis"}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_object_has_a_docstring(module: str) -> None:
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


ONE_CALL = """
import attrs, json, sys
before = {*sys.modules}  # the coverage tool imports modules as well
from launch_sync import Authtoken, LaunchClient, Response
from launch_sync.http import FakeTransport

uid = "66c0aaaaaaaaaaaaaaaaaaaa"
answer = Response(200, {}, b'{"project": {"uid": "%s", "name": "shop"}}' % uid.encode())
with LaunchClient(
    Authtoken("a-token"), organization_uid="blt0123456789abcdef", transport=FakeTransport(answer)
) as launch:
    assert launch.projects.get(uid).name == "shop"
loaded = sys.modules.keys() - before
classes = {
    value.__qualname__
    for name in loaded
    if name.startswith("launch_")
    for value in vars(sys.modules[name]).values()
    if isinstance(value, type) and value.__module__ == name and attrs.has(value)
}
print(json.dumps([sorted(loaded), sorted(classes)]))
"""
HEAVY = {
    "aiolimiter",
    "cattrs",
    "html",
    "launch_async.fleet.fleet",
    "launch_async.hooks",
    "launch_async.models.environment",
    "launch_async.models.page",
    "launch_async.models.requests",
    "launch_async.resources.environments",
    "launch_async.rate_limit.shared.local_share",
    "launch_async.watch.audience",
    "launch_async.wire.converter",
    "orjson",
    "redis",
    "rich",
}
BUILT_BY_ATTRS = {
    "Answer",
    "Authtoken",
    "Call",
    "Config",
    "IdentifiedModel",
    "LimiterStatus",
    "Project",
    "RateLimit",
    "Repository",
    "Request",
    "RequestModel",
    "Response",
    "RetryPolicy",
    "WireModel",
}
"""The classes that attrs may build for one call. It compiles the methods of each, which takes up to a millisecond.

Use a named tuple or a plain class for another value of the first call, or import its module when it is needed.
"""


def test_one_call_imports_and_builds_only_what_it_needs() -> None:
    ended = subprocess.run([sys.executable, "-c", ONE_CALL], cwd=ROOT, capture_output=True, text=True)

    assert (ended.returncode, ended.stderr) == (0, "")
    loaded, built = json.loads(ended.stdout)
    assert HEAVY & {*loaded} == set()
    assert {*built} == BUILT_BY_ATTRS


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


def test_no_test_imports_a_benchmark() -> None:
    tests = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py")}

    assert not [
        path for path, text in tests.items() if re.search(r"^\s*(import|from) benchmarks\b", text, re.MULTILINE)
    ]
