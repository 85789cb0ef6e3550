"""Find the classes and functions that are asynchronous, directly or through their results, from the source alone."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator

from tools.sync_facade.source import Class, Function, Module, Package, Symbol, UnmappedError, unquoted

__all__ = ["Colour", "Colours", "names_in"]

_AWAITED = {"Awaitable", "Coroutine"}
_ITERATED = {"AsyncIterator", "AsyncIterable", "AsyncGenerator"}
_ENTERED = {"AbstractAsyncContextManager", "AsyncContextManager"}


class Colour(enum.Enum):
    """How a function is asynchronous."""

    PLAIN = enum.auto()
    COROUTINE = enum.auto()
    ITERATOR = enum.auto()
    CONTEXT = enum.auto()


class Colours:
    """Decides which objects need a synchronous twin.

    Args:
        package: The asynchronous package.
        shared: Modules whose classes both packages share: data, and objects of users that run on the loop.
    """

    def __init__(self, package: Package, shared: frozenset[str]) -> None:
        self._package = package
        self._shared = shared
        self._known: dict[Symbol, bool] = {}

    def of(self, function: Function) -> Colour:
        """Return how a function is asynchronous."""
        if "asynccontextmanager" in function.decorators:
            return Colour.CONTEXT
        if isinstance(function.node, ast.AsyncFunctionDef):
            return Colour.ITERATOR if function.yields else Colour.COROUTINE
        returned = function.node.returns
        head = self._head(function.module, returned) if returned else ""
        if head in _AWAITED:
            raise UnmappedError(function.module, function.node, f"{function.name}: write it as `async def`")
        if head in _ITERATED:
            return Colour.ITERATOR
        return Colour.CONTEXT if head in _ENTERED else Colour.PLAIN

    def is_coloured(self, symbol: Symbol) -> bool:
        """Whether a class needs a synchronous twin."""
        if symbol.module in self._shared or symbol.module not in self._package.modules:
            return False
        if symbol not in self._known:
            self._known[symbol] = (
                False  # The class is not asynchronous until proven, because its methods may return the class itself.
            )
            found = self._package.class_of(symbol)
            self._known[symbol] = found is not None and self._class_is_coloured(found)
        return self._known[symbol]

    def is_shared(self, symbol: Symbol) -> bool:
        """Whether users provide the objects of a class, which run on the loop by design."""
        return symbol.module in self._shared

    def mentions(self, module: Module, annotation: ast.AST) -> bool:
        """Whether an annotation names a coloured class anywhere."""
        return any(self.is_coloured(self._package.resolve(module, name)) for name in names_in(annotation))

    def is_coloured_function(self, function: Function) -> bool:
        """Whether a function needs a twin: it is asynchronous, or takes or returns an asynchronous object."""
        if self.of(function) is not Colour.PLAIN:
            return True
        arguments = function.node.args
        annotations = [argument.annotation for argument in (*arguments.args, *arguments.kwonlyargs)]
        return any(self.mentions(function.module, node) for node in (function.node.returns, *annotations) if node)

    def _class_is_coloured(self, found: Class) -> bool:
        if any(ast.unparse(base).endswith(("Protocol", "Exception", "Error")) for base in found.bases):
            return False
        public = [
            function
            for name, function in found.functions.items()
            if not name.startswith("_") or name in {"__aenter__", "__aiter__", "__anext__", "__await__"}
        ]
        if any(self.of(function) is not Colour.PLAIN for function in public):
            return True
        returns = [(function.module, function.node.returns) for function in public if function.node.returns]
        attributes = [pair for name, pair in found.attributes.items() if not name.startswith("_")]
        return any(node is not None and self.mentions(module, node) for module, node in (*returns, *attributes))

    def _head(self, module: Module, annotation: ast.expr) -> str:
        node = annotation.value if isinstance(annotation, ast.Subscript) else annotation
        if not isinstance(node, ast.Name):
            return ast.unparse(node).rpartition(".")[2]
        return self._package.resolve(module, node.id).name


def names_in(annotation: ast.AST) -> Iterator[str]:
    """Yield every name in an annotation, also in a quoted annotation, but not the values of a `Literal`."""
    for node in _type_nodes(annotation):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and (meant := unquoted(node)) is not node:
            yield from names_in(meant)


def _type_nodes(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Literal"):
        yield node.value
        return
    for child in ast.iter_child_nodes(node):
        yield from _type_nodes(child)
