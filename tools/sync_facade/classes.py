"""Write the synchronous twin of a class. It contains the asynchronous object, and passes every call to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tools.sync_facade.annotations import Writer
from tools.sync_facade.functions import FunctionWriter, docstring
from tools.sync_facade.source import Class, Function, UnmappedError

__all__ = ["ClassWriter"]

_INDENT = "    "
_BUILT_IN = {"__bool__": "bool", "__hash__": "hash", "__len__": "len", "__repr__": "repr", "__str__": "str"}
_CLOSERS = ("close", "stop")
# The twin contains the asynchronous object, which decides how it may be pickled. A twin cannot be awaited.
_LEFT_OUT = {"__init__", "__del__", "__reduce__", "__await__"}


class ClassWriter:
    """Writes the classes of one synchronous module.

    Args:
        functions: Writes the methods.
        writer: Writes annotations and collects imports.
        constructed: Names of the classes that users create. The SDK creates the objects of all other classes.
        fork_aware: Names of the constructed classes that a forked child may use, and must close.
    """

    def __init__(
        self,
        functions: FunctionWriter,
        writer: Writer,
        constructed: frozenset[str],
        fork_aware: frozenset[str],
    ) -> None:
        self._writer = writer
        self._functions = functions
        self._constructed = constructed
        self._fork_aware = fork_aware

    def whole(self, found: Class) -> Iterator[str]:
        """Yield the lines of a class."""
        original = self._writer.original(found.symbol)
        bases = ", ".join(self._writer.annotation(found.module, base) for base in found.bases)
        for decorator in found.node.decorator_list:
            yield from self._decorator(found, decorator)
        yield f"class {found.symbol.name}({bases}):" if bases else f"class {found.symbol.name}:"
        yield from docstring(found.node, _INDENT)
        yield ""
        yield from self._making(found, original)
        for name, (module, annotation) in found.attributes.items():
            if not name.startswith("_") and name not in found.functions:
                if annotation is None:
                    raise UnmappedError(
                        module, found.node, f"{name} is public: write its type (`self.{name}: T = ...`)"
                    )
                type_, value = self._functions.result(module, annotation, f"self._async.{name}")
                yield from ["    @property", f"    def {name}(self) -> {type_}:"]
                yield from [f'        """The `{name}` of the asynchronous object."""', f"        return {value}", ""]
        for function in found.functions.values():
            yield from self._member(found, function, original)

    def _decorator(self, found: Class, decorator: ast.expr) -> Iterator[str]:
        """Yield a decorator that calls a function. Skip decorators such as `@attrs.frozen`, which make data."""
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name):
            yield f"@{self._writer.default(found.module, decorator).replace('await ', '')}"

    def _making(self, found: Class, original: str) -> Iterator[str]:
        name, init = found.symbol.name, found.functions.get("__init__")
        if name not in self._constructed:
            wrapped = f"{original}{_type_parameters(found)}"
            yield f"    def __init__(self, wrapped: {wrapped}, lender: object = None) -> None:"
            yield "        self._async = wrapped"
            yield "        self._lender = lender"
            yield ""
            return
        if init is None:
            raise UnmappedError(found.module, found.node, f"{name} is created by users and needs an __init__")
        yield from self._functions.signature(init, init.node, _INDENT)
        yield from docstring(init.node, _INDENT * 2)
        yield from self._functions.marking(init, _INDENT * 2)
        yield f"        self._async = {original}({self._functions.arguments(init)})"
        yield from self._lifetime(found, "")
        yield ""
        if name not in self._functions.wrapped:
            return
        self._writer.need("typing", "Self")
        yield "    @classmethod"
        yield f"    def _wrap(cls, wrapped: {original}, lender: object = None) -> Self:"
        yield "        self = cls.__new__(cls)"
        yield "        self._async = wrapped"
        yield from self._lifetime(found, ", lender=lender")
        yield "        return self"
        yield ""

    def _lifetime(self, found: Class, lender: str) -> Iterator[str]:
        closer = _closer(found)
        if closer:
            self._writer.need("launch_sync", "_bridge")
            fork_aware = ", fork_aware=True" if found.symbol.name in self._fork_aware else ""
            arguments = f"self, self._async, self._async.{closer}{fork_aware}{lender}"
            yield f"        self._lifetime = _bridge.Lifetime({arguments})"

    def _member(self, found: Class, function: Function, original: str) -> Iterator[str]:
        name = function.name
        if name in _LEFT_OUT or (name.startswith("_") and not name.startswith("__") and name != "_repr_html_"):
            return
        if function.is_property:
            yield from self._property(function)
        elif name in {"__aenter__", "__aexit__"}:
            yield from self._with(found, function)
        elif name == "__aiter__":
            yield from self._iteration(found, function)
        elif name in _BUILT_IN:
            yield from self._functions.signature(function, function.node, _INDENT)
            # A twin whose __init__ failed also needs a text, because tracebacks with local variables show it.
            half_made = name == "__repr__" and found.symbol.name in self._constructed
            held = 'getattr(self, "_async", type(self))' if half_made else "self._async"
            yield f"        return {_BUILT_IN[name]}({held})"
        elif name == "_repr_html_":
            yield from self._view(found, function)
        elif name.startswith("__"):
            raise UnmappedError(function.module, function.node, f"{name} has no synchronous form")
        else:
            on_class = function.decorators & {"classmethod", "staticmethod"}
            target = original if on_class else "self._async"
            closing = name == _closer(found) and name != "__aexit__"
            yield from self._functions.whole(
                function, f"{target}.{name}", _INDENT, instead="self._lifetime.close()" if closing else ""
            )
        yield ""

    def _property(self, function: Function) -> Iterator[str]:
        name, node = function.name, function.node
        if node.returns is None:
            raise UnmappedError(function.module, node, f"{name} has no type")
        type_, value = self._functions.result(function.module, node.returns, f"self._async.{name}", lender=", self")
        yield from ["    @property", f"    def {name}(self) -> {type_}:"]
        yield from docstring(node, _INDENT * 2)
        yield from self._functions.late_imports(function.module, node.returns, _INDENT * 2)
        yield f"        return {value}"
        if function.setter:
            yield from ["", f"    @{name}.setter", f"    def {name}(self, value: {type_}) -> None:"]
            yield f"        self._async.{name} = value"

    def _with(self, found: Class, function: Function) -> Iterator[str]:
        if found.symbol.name not in self._constructed or not _closer(found):
            raise UnmappedError(found.module, function.node, f"{found.symbol.name} can be entered, but not closed")
        if function.name == "__aenter__":
            returns = function.node.returns
            if returns is None or ast.unparse(returns).strip("'\"") not in {"Self", found.symbol.name}:
                raise UnmappedError(function.module, function.node, "__aenter__ returns another object")
            self._writer.need("typing", "Self")
            yield from ["    def __enter__(self) -> Self:", "        self._lifetime.enter()", "        return self"]
        else:
            yield from self._functions.signature(function, function.node, _INDENT, name="__exit__")
            returns = function.node.returns
            keyword = "" if returns is not None and ast.unparse(returns) == "None" else "return "
            yield f"        {keyword}self._lifetime.exit({self._functions.arguments(function)})"

    def _view(self, found: Class, function: Function) -> Iterator[str]:
        yield from self._functions.signature(function, function.node, _INDENT)
        if "page" in found.functions:
            # The view of a listing in a notebook shows the first items, which takes one request.
            yield "        return self.page()._repr_html_()"
        else:
            yield "        return self._async._repr_html_()"

    def _iteration(self, found: Class, function: Function) -> Iterator[str]:
        yield from self._functions.signature(function, function.node, _INDENT, name="__iter__")
        if "pages" in found.functions:
            # Cross to the loop once for a page, not for each item. Threads can share a generator, but not a chain.
            yield "        return (item for page in self.pages() for item in page)"
        else:
            self._writer.need("launch_sync", "_bridge")
            yield "        return _bridge.iterate(self._async.__aiter__(), self)"


def _closer(found: Class) -> str:
    if "__aexit__" not in found.functions:
        return ""
    return next((name for name in _CLOSERS if name in found.functions), "")


def _type_parameters(found: Class) -> str:
    for base in found.bases:
        if isinstance(base, ast.Subscript) and ast.unparse(base.value).endswith("Generic"):
            return f"[{ast.unparse(base.slice)}]"
    return ""
