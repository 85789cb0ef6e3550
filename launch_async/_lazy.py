"""Lazy packages: a public name is imported from its module when somebody first uses it.

A package states its public names once, as imports below `if TYPE_CHECKING:` in its `__init__.py`. Type checkers read
them there; at run time `lazy` reads the same lines.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # type checkers take it for true; importing it from typing would double the time of `--help`
if TYPE_CHECKING:
    import ast
    from collections.abc import Callable

__all__ = ["lazy", "type_only_imports"]


def lazy(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package, which offer what it imports for type checkers.

    `__all__` is among what `__getattr__` finds.
    """
    found_homes: dict[str, str] = {}

    def homes() -> dict[str, str]:
        if found_homes:
            return found_homes
        import ast
        import linecache

        module = sys.modules[package]
        # linecache finds the source even if the package was loaded from a ZIP.
        source = "".join(linecache.getlines(str(module.__file__), vars(module)))
        if not source:
            raise ImportError(f"{package} needs the source of its __init__.py; include it in the frozen program")
        found_homes.update(type_only_imports(ast.parse(source)))
        return found_homes

    def lookup(name: str) -> object:
        from importlib import import_module

        namespace = vars(sys.modules[package])
        if name == "__all__":
            found: object = sorted({*homes(), *({"__version__"} & namespace.keys())}, key=_constants_classes_functions)
        elif name.startswith("__") or name not in homes():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        else:
            found = getattr(import_module(homes()[name]), name)
        namespace[name] = found
        return found

    return lookup, lambda: sorted({*vars(sys.modules[package]), *homes()})


def type_only_imports(tree: ast.Module) -> dict[str, str]:
    """Return the names that a module imports below `if TYPE_CHECKING:`, with the module of each."""
    import ast

    return {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _constants_classes_functions(name: str) -> tuple[int, str]:
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name
