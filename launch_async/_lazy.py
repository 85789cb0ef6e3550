"""Lazy packages: the package imports a public name from its module when a program first uses the name.

A package lists its public names once, as imports below `if TYPE_CHECKING:` in its `__init__.py`. Type checkers read
these imports. At run time, `lazy` reads the same lines.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # type checkers assume True; an import of typing would double the time of `--help`
if TYPE_CHECKING:
    import ast
    from collections.abc import Callable

__all__ = ["lazy", "type_only_imports"]


def lazy(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package. They provide the names that it imports for type checkers.

    `__getattr__` also provides `__all__`.
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
            raise ImportError(f"{package} needs the source file of its __init__.py. Add it to the frozen program")
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
    """Return the names that a module imports below `if TYPE_CHECKING:`, each with its module."""
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
