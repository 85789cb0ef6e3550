"""Lazy packages: the package imports a public name from its module when a program first uses the name.

A package lists its public names once, as imports below `if TYPE_CHECKING:` in its `__init__.py`. Type checkers read
these imports. At run time, `lazy` searches the text of the file: all imports of public names have the form
`from module import Name as Name`. A parser would take 2 ms.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # type checkers assume True; an import of typing would double the time of `--help`
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lazy"]


def lazy(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package. They provide the names that it imports for type checkers.

    `__getattr__` also provides `__all__`.
    """

    def lookup(name: str) -> object:
        from importlib import import_module

        if name == "__all__":
            found: object = sorted(_names(_text(package)), key=_constants_classes_functions)
        else:
            home = "" if name.startswith("__") else _home(_text(package), name)
            if not home:
                raise AttributeError(f"module {package!r} has no attribute {name!r}")
            found = getattr(import_module(home), name)
        vars(sys.modules[package])[name] = found
        return found

    return lookup, lambda: sorted({*vars(sys.modules[package]), *_names(_text(package))})


def _text(package: str) -> str:
    import linecache

    module = sys.modules[package]
    # linecache finds the source even if the package was loaded from a ZIP.
    text = "".join(linecache.getlines(str(module.__file__), vars(module)))
    if not text:
        raise ImportError(f"{package} needs the source file of its __init__.py. Add it to the frozen program")
    return text


def _names(text: str) -> list[str]:
    import re

    return re.findall(r"\b(\w+) as \1\b", text)


def _home(text: str, name: str) -> str:
    """Return the module that a public name is imported from; empty if there is no such name."""
    position = text.find(f" {name} as {name}")
    return text[text.rindex("from ", 0, position) :].split(maxsplit=2)[1] if position >= 0 else ""


def _constants_classes_functions(name: str) -> tuple[int, str]:
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name
