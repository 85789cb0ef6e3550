"""Assemble a facade: its modules, and the content of each module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.sync_facade.annotations import Imports, Writer
from tools.sync_facade.classes import ClassWriter
from tools.sync_facade.colours import Colours
from tools.sync_facade.functions import FunctionWriter
from tools.sync_facade.source import Function, Module, Package, Symbol, UnmappedError

__all__ = ["Facade", "modules_of"]


@dataclass(frozen=True)
class Facade:
    """Facts about a facade that are not in the source.

    Attributes:
        source: The asynchronous package's folder.
        target: Name of the synchronous package.
        shared: Modules whose classes both packages share although they are asynchronous, because users provide them.
        constructed: Names of the classes that users create. The SDK creates the objects of all other classes.
        fork_aware: Names of the constructed classes that a forked child may use, and must close.
        on_loop: Callbacks, as `Class.parameter`, that run on the loop because the loop needs their results immediately.
        absent: Options, as `Class.parameter`, that only the asynchronous package has.
        skipped: Modules and packages without a twin.
        extra: Names that only the synchronous package has, with the module of each.
    """

    source: Path
    target: str
    shared: frozenset[str] = frozenset()
    constructed: frozenset[str] = frozenset()
    fork_aware: frozenset[str] = frozenset()
    on_loop: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    extra: dict[str, str] = field(default_factory=dict[str, str])


def modules_of(facade: Facade) -> dict[Path, str]:
    """Return the source of every module of a facade, not yet formatted, by its path inside the package.

    Raises:
        UnmappedError: The asynchronous source has a construct without a synchronous form.
    """
    assembly = _Assembly(facade)
    return assembly.files()


class _Assembly:
    def __init__(self, facade: Facade) -> None:
        self._facade = facade
        self._skipped = tuple(f"{name}." for name in facade.skipped)
        self._package = Package(facade.source)
        for name in facade.absent:
            _leave_out(self._package, *name.split("."))
        self._colours = Colours(self._package, facade.shared)
        self._public = [module for module in self._package.modules.values() if self._is_public(module)]
        self._twins: set[Symbol] = set()
        self._wrapped: set[str] = set()

    def files(self) -> dict[Path, str]:
        for module in self._public:
            self._twins |= {symbol for _, symbol in self._exports(module) if self._has_twin(symbol)}
        while True:
            known = self._twins | self._wrapped
            texts = {name: self._text(name) for name in self._names()}
            if self._twins | self._wrapped == known:
                return {self._path(name): text for name, text in texts.items()}

    def _names(self) -> list[str]:
        modules = {self._home(symbol) for symbol in self._twins} | {
            self._mirror(module.name) for module in self._public
        }
        packages = {name.rpartition(".")[0] for name in modules if "." in name}
        return sorted(modules | packages)

    def _text(self, name: str) -> str:
        origin = self._package.modules.get(self._facade.source.name + name.removeprefix(self._facade.target))
        twins = sorted(symbol for symbol in self._twins if self._home(symbol) == name)
        exports = list(self._exports(origin)) if origin is not None and origin in self._public else []
        if origin is None or not (twins or exports):
            return f'"""The modules here are the twins of those in `{name.replace("sync", "async")}`."""\n'
        if origin.is_lazy:
            return self._lazy(origin, name, exports)
        return self._eager(origin, name, twins, exports)

    def _eager(self, origin: Module, name: str, twins: list[Symbol], exports: list[tuple[str, Symbol]]) -> str:
        imports = Imports()
        writer = Writer(self._package, self._colours, imports, self._home, name)
        facade = self._facade
        functions = FunctionWriter(
            self._package, self._colours, writer, facade.constructed, facade.on_loop, self._wrapped
        )
        classes = ClassWriter(functions, writer, facade.constructed, facade.fork_aware)
        body: list[str] = []
        for symbol in sorted(twins, key=lambda symbol: getattr(self._package.definition(symbol), "lineno", 0)):
            found = self._package.class_of(symbol)
            if found is not None:
                body += ["", "", *classes.whole(found)]
            else:
                function = self._function(symbol)
                body += ["", "", *functions.whole(function, writer.original(symbol), "")]
        self._twins |= writer.twins
        for exported, symbol in exports:
            if symbol in self._twins and self._home(symbol) != name:
                imports.add(exported, Symbol(self._home(symbol), exported))
            elif symbol not in self._twins:
                imports.add(exported, Symbol(origin.name, exported))
        listed = sorted({exported for exported, _ in exports} or {symbol.name for symbol in twins})
        return "\n".join(
            [_header(origin.name, own=bool(twins)), *imports.lines(), "", f"__all__ = {listed!r}", *body, ""]
        )

    def _lazy(self, origin: Module, name: str, exports: list[tuple[str, Symbol]]) -> str:
        homes = {
            exported: self._home(symbol) if symbol in self._twins else symbol.module for exported, symbol in exports
        }
        if name == self._facade.target:
            homes |= self._facade.extra
        version = homes.pop("__version__", None)
        lines = [
            _header(origin.name, own=True),
            "from typing import TYPE_CHECKING",
            "from launch_async._lazy import lazy",
            *([f"from {origin.name} import __version__ as __version__"] if version else []),
            "",
            "if TYPE_CHECKING:",
            *(f"    from {home} import {exported} as {exported}" for exported, home in sorted(homes.items())),
            "else:",
            "    __getattr__, __dir__ = lazy(__name__)",
            "",
        ]
        return "\n".join(lines)

    def _exports(self, module: Module) -> Iterator[tuple[str, Symbol]]:
        for name in module.exported:
            symbol = self._package.resolve(module, name)
            if symbol.module == "builtins":
                raise UnmappedError(module, module.tree, f"__all__ lists {name}, which is not defined")
            if symbol.name:
                yield name, symbol

    def _has_twin(self, symbol: Symbol) -> bool:
        definition = self._package.definition(symbol)
        if isinstance(definition, ast.ClassDef):
            return self._colours.is_coloured(symbol)
        if isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
            return self._colours.is_coloured_function(self._function(symbol))
        return False

    def _function(self, symbol: Symbol) -> Function:
        return self._package.modules[symbol.module].functions()[symbol.name]

    def _is_public(self, module: Module) -> bool:
        parts = module.name.split(".")
        if any(part.startswith("_") for part in parts) or f"{module.name}.".startswith(self._skipped):
            return False
        # A package exports the names of its modules.
        return bool(module.exported) and (module.is_package or len(parts) == 2)

    def _home(self, symbol: Symbol) -> str:
        return self._mirror(symbol.module)

    def _mirror(self, module: str) -> str:
        return self._facade.target + module.removeprefix(self._facade.source.name)

    def _path(self, name: str) -> Path:
        parts = name.split(".")[1:]
        origin = self._package.modules.get(self._facade.source.name + name.removeprefix(self._facade.target))
        if origin is None or origin.is_package:
            return Path(*parts, "__init__.py")
        return Path(*parts[:-1], f"{parts[-1]}.py")


def _header(origin: str, *, own: bool) -> str:
    first = f"The synchronous twin of `{origin}`." if own else f"The names of `{origin}`: the same objects."
    note = "Generated by tools/generate_sync.py. Change the asynchronous source, and run the tool again."
    return f'"""{first}\n\n{note}\n"""\n\nfrom __future__ import annotations\n'


def _leave_out(package: Package, owner: str, parameter: str) -> None:
    """Remove a keyword-only parameter from every method of a class, and from its docstrings."""
    for module in package.modules.values():
        found = module.definitions.get(owner)
        if not isinstance(found, ast.ClassDef):
            continue
        for node in ast.walk(found):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                kept = [
                    (argument, default)
                    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                    if argument.arg != parameter
                ]
                node.args.kwonlyargs, node.args.kw_defaults = [pair[0] for pair in kept], [pair[1] for pair in kept]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                # The line of the parameter in "Args:", and the indented lines below.
                node.value = re.sub(rf"^( *){parameter}: .*\n(?:\1 +.*\n)*", "", node.value, flags=re.MULTILINE)
