"""Write annotations and defaults of the async side for a synchronous module, and import the names that they use."""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Callable
from typing import cast

from tools.sync_facade.colours import Colours
from tools.sync_facade.source import Module, Package, Symbol, UnmappedError, unquoted

__all__ = ["Imports", "Writer"]

_SYNCHRONOUS = {
    "AsyncIterator": Symbol("collections.abc", "Iterator"),
    "AsyncIterable": Symbol("collections.abc", "Iterable"),
    "AsyncGenerator": Symbol("collections.abc", "Generator"),
    "AbstractAsyncContextManager": Symbol("contextlib", "AbstractContextManager"),
    "AsyncContextManager": Symbol("contextlib", "AbstractContextManager"),
}
_ONLY_ASYNC = {"Awaitable", "Coroutine"}
_ASYNC_HOMES = {"typing", "collections.abc", "contextlib"}


class Imports:
    """The imports of one synchronous module."""

    def __init__(self) -> None:
        self._origins: dict[str, Symbol] = {}
        self._at_run_time: set[str] = set()

    def add(self, local: str, origin: Symbol, *, type_only: bool = False) -> bool:
        """Import a name. Return False if the name already has another meaning."""
        if self._origins.setdefault(local, origin) != origin:
            return False
        if not type_only:
            self._at_run_time.add(local)
        return True

    def lines(self) -> list[str]:
        """Return the statements, unsorted."""
        always = [_import_line(local, self._origins[local]) for local in self._origins if local in self._at_run_time]
        for_types = [
            f"    {_import_line(local, self._origins[local])}" for local in self._origins.keys() - self._at_run_time
        ]
        if not for_types:
            return always
        return ["from typing import TYPE_CHECKING", *always, "", "if TYPE_CHECKING:", *sorted(for_types)]


class Writer:
    """Writes expressions of one synchronous module.

    Args:
        package: The asynchronous package.
        colours: The names that need a twin.
        imports: The collection to which the names of the expressions are added.
        home: The synchronous module that contains the twin of a symbol.
        own: The name of the current module.
    """

    def __init__(
        self, package: Package, colours: Colours, imports: Imports, home: Callable[[Symbol], str], own: str
    ) -> None:
        self._package = package
        self._colours = colours
        self._imports = imports
        self._home = home
        self._own = own
        self.twins: set[Symbol] = set()

    def annotation(self, module: Module, node: ast.expr) -> str:
        """Return an annotation with every asynchronous type replaced."""
        return ast.unparse(_Rewrite(self, module, twins=True).visit(copy.deepcopy(node)))

    def default(self, module: Module, node: ast.expr) -> str:
        """Return a default. Its names are needed at run time."""
        return ast.unparse(_Rewrite(self, module, twins=False).visit(copy.deepcopy(node)))

    def need(self, module: str, name: str) -> None:
        """Import a name that the code of the twin uses."""
        self._imports.add(name, Symbol(module, name))

    def original(self, symbol: Symbol) -> str:
        """Import the asynchronous object under a separate name, and return the name."""
        local = f"Async{symbol.name}" if symbol.name[:1].isupper() else f"async_{symbol.name}"
        self._imports.add(local, symbol)
        return local

    def late_import(self, module: Module, identifier: str) -> str:
        """Return the import that a function needs before it creates a twin; empty if the module has imported it.

        If the asynchronous module imports a class only for type checkers, the twin imports it on use.
        """
        symbol = self._package.resolve(module, identifier)
        if identifier not in module.type_only or self._home(symbol) == self._own:
            return ""
        return _import_line(identifier, Symbol(self._home(symbol), symbol.name))

    def name(self, module: Module, node: ast.Name | ast.expr, identifier: str, *, twins: bool) -> str:
        """Import the object of a name, or its synchronous counterpart, and return the local name."""
        symbol = self._package.resolve(module, identifier)
        if symbol.module == "builtins" and hasattr(builtins, symbol.name):
            return identifier
        if symbol.module in _ASYNC_HOMES and symbol.name in _ONLY_ASYNC:
            raise UnmappedError(module, node, f"{symbol.name} has no synchronous form here")
        if symbol.module in _ASYNC_HOMES and symbol.name in _SYNCHRONOUS:
            symbol = _SYNCHRONOUS[symbol.name]
            identifier = symbol.name
        if self._colours.is_coloured(symbol):
            self.twins.add(symbol)
            if not twins:
                raise UnmappedError(module, node, f"the default uses the asynchronous {identifier}")
            identifier, symbol = symbol.name, Symbol(self._home(symbol), symbol.name)
            if symbol.module == self._own:
                return identifier
        type_only = twins and module.imports.get(identifier) is not None and identifier in module.type_only
        if not self._imports.add(identifier, symbol, type_only=type_only):
            raise UnmappedError(module, node, f"{identifier} means two things in one synchronous module")
        return identifier


class _Rewrite(ast.NodeTransformer):
    def __init__(self, writer: Writer, module: Module, *, twins: bool) -> None:
        self._writer = writer
        self._module = module
        self._twins = twins

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name(self._writer.name(self._module, node, node.id, twins=self._twins), ast.Load())

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        meant = unquoted(node) if self._twins else node
        return node if meant is node else cast("ast.expr", self.visit(meant))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        was_generator = isinstance(node.value, ast.Name) and node.value.id == "AsyncGenerator"
        node.value = self.visit(node.value)
        if not ast.unparse(node.value).endswith("Literal"):
            node.slice = self.visit(node.slice)
        if was_generator:
            given = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            node.slice = ast.Tuple([*given, *[ast.Constant(None)] * (3 - len(given))])
        return node


def _import_line(local: str, origin: Symbol) -> str:
    if not origin.name:
        return f"import {origin.module}" + (f" as {local}" if local != origin.module else "")
    return f"from {origin.module} import {origin.name}" + (f" as {local}" if local != origin.name else "")
