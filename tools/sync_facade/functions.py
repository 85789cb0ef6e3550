"""Write the synchronous twin of a function or method: the same signature, and one line that passes the call on."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tools.sync_facade.annotations import Writer
from tools.sync_facade.colours import Colour, Colours, names_in
from tools.sync_facade.docstrings import synchronous
from tools.sync_facade.source import Function, FunctionNode, Module, Package, UnmappedError, unquoted

__all__ = ["FunctionWriter", "docstring"]

_MARKS = {"Secret", "hidden", "hidden_json"}
_RESULT_IGNORED = {"None", "object"}


class FunctionWriter:
    """Writes functions of one synchronous module.

    Args:
        package: The asynchronous package.
        colours: The names that need a twin.
        writer: Writes annotations and collects imports.
        constructed: Names of the classes that users create. The SDK creates the objects of all other classes.
        on_loop: Callbacks, as `Class.parameter`, that run on the loop because the loop needs their results immediately.
        wrapped: Collects the names of constructed classes whose objects functions also return.
    """

    def __init__(
        self,
        package: Package,
        colours: Colours,
        writer: Writer,
        constructed: frozenset[str],
        on_loop: frozenset[str],
        wrapped: set[str],
    ) -> None:
        self.wrapped = wrapped
        self._on_loop = on_loop
        self._package = package
        self._colours = colours
        self._writer = writer
        self._constructed = constructed

    def whole(self, function: Function, target: str, indent: str, *, instead: str = "") -> Iterator[str]:
        """Yield the lines of a function that calls `target`, or runs `instead`."""
        for overload in function.overloads:
            self._writer.need("typing", "overload")
            yield f"{indent}@overload"
            yield from self.signature(function, overload, indent)
            yield f"{indent}    ..."
        yield from (f"{indent}@{name}" for name in sorted(function.decorators & {"classmethod", "staticmethod"}))
        yield from self.signature(function, function.node, indent)
        yield from docstring(function.node, indent + "    ")
        yield from self.marking(function, indent + "    ")
        if instead:
            yield f"{indent}    {instead}"
        else:
            yield from self._body(function, f"{target}({self.arguments(function)})", indent + "    ")

    def marking(self, function: Function, indent: str) -> Iterator[str]:
        """Mark the secret parameters of the original, because a traceback also shows the frame of the twin."""
        parameters = {argument.arg for argument in (*function.node.args.args, *function.node.args.kwonlyargs)}
        for statement in function.node.body:
            if not isinstance(statement, ast.Assign) or ast.unparse(statement.targets[0]) not in parameters:
                continue
            marks = _MARKS & {node.id for node in ast.walk(statement.value) if isinstance(node, ast.Name)}
            for mark in sorted(marks):
                self._writer.need(f"{self._package.name}.wire.secret", mark)
            if marks:
                yield f"{indent}{ast.unparse(statement)}"

    def signature(self, function: Function, node: FunctionNode, indent: str, *, name: str = "") -> list[str]:
        """Return the `def` line."""
        arguments = node.args
        pieces: list[str] = []
        positional = [*arguments.posonlyargs, *arguments.args]
        defaults = [*[None] * (len(positional) - len(arguments.defaults)), *arguments.defaults]
        for position, (argument, default) in enumerate(zip(positional, defaults, strict=True)):
            pieces.append(self._parameter(function, argument, default))
            if arguments.posonlyargs and position == len(arguments.posonlyargs) - 1:
                pieces.append("/")
        if arguments.vararg:
            pieces.append("*" + self._parameter(function, arguments.vararg, None))
        elif arguments.kwonlyargs:
            pieces.append("*")
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            pieces.append(self._parameter(function, argument, default))
        if arguments.kwarg:
            pieces.append("**" + self._parameter(function, arguments.kwarg, None))
        returned = self._return_annotation(function, node)
        if "asynccontextmanager" in function.decorators and isinstance(returned, ast.Subscript):
            self._writer.need("contextlib", "AbstractContextManager")
            returns = f"AbstractContextManager[{self._writer.annotation(function.module, returned.slice)}]"
        else:
            returns = self.result(function.module, returned, "", function.owner)[0]
        return [f"{indent}def {name or node.name}({', '.join(pieces)}) -> {returns}:"]

    def arguments(self, function: Function) -> str:
        """Return the arguments that pass the twin's parameters on."""
        arguments = function.node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        if positional and positional[0].arg in {"self", "cls"} and positional[0].annotation is None:
            positional = positional[1:]
        pieces = [self._handed_on(function, argument) for argument in positional]
        if arguments.vararg:
            pieces.append("*" + self._handed_on(function, arguments.vararg))
        pieces += [f"{argument.arg}={self._handed_on(function, argument)}" for argument in arguments.kwonlyargs]
        if arguments.kwarg:
            pieces.append("**" + self._handed_on(function, arguments.kwarg))
        return ", ".join(pieces)

    def result(
        self, module: Module, annotation: ast.expr, value: str, owner: str = "", lender: str = ""
    ) -> tuple[str, str]:
        """Return the synchronous type of a result, and the expression that converts the asynchronous value."""
        type_ = self._writer.annotation(module, annotation)
        if ast.unparse(annotation).strip("'\"") == "Self":
            self.wrapped.add(owner)
            return type_, f"{'self' if lender else 'cls'}._wrap({value}{lender})"
        if not self._colours.mentions(module, annotation):
            return type_, value
        options = _options(unquoted(annotation))
        coloured = [option for option in options if not _is_none(option)]
        if len(coloured) != 1 or len(options) > 2:
            raise UnmappedError(module, annotation, f"cannot wrap {ast.unparse(annotation)}")
        twin = self._twin(module, coloured[0])
        if len(options) == 1:
            return type_, f"{twin}({value}{lender})"
        return type_, f"None if (wrapped := {value}) is None else {twin}(wrapped{lender})"

    def late_imports(self, module: Module, annotation: ast.expr, indent: str) -> Iterator[str]:
        """Yield the imports of twins in a result that only the function imports."""
        if self._colours.mentions(module, annotation):
            for node in ast.walk(unquoted(annotation)):
                if isinstance(node, ast.Name) and self._colours.is_coloured(self._package.resolve(module, node.id)):
                    late = self._writer.late_import(module, node.id)
                    yield from [f"{indent}{late}", ""] if late else []

    def _twin(self, module: Module, node: ast.expr) -> str:
        head = node.value if isinstance(node, ast.Subscript) else node
        if not isinstance(head, ast.Name) or not self._colours.is_coloured(self._package.resolve(module, head.id)):
            raise UnmappedError(module, node, f"cannot wrap {ast.unparse(node)}")
        twin = self._writer.name(module, head, head.id, twins=True)
        if twin not in self._constructed:
            return twin
        self.wrapped.add(twin)
        return f"{twin}._wrap"

    def _body(self, function: Function, call: str, indent: str) -> Iterator[str]:
        annotation = self._return_annotation(function, function.node)
        colour = self._colours.of(function)
        if colour is not Colour.PLAIN:
            self._writer.need("launch_sync", "_bridge")
        # A result may use the connections of its object. It keeps the object alive, and does not need to be closed.
        lender = ", self" if function.owner and not function.decorators & {"classmethod", "staticmethod"} else ""
        match colour:
            case Colour.COROUTINE:
                call = f"_bridge.run({call})"
            case Colour.ITERATOR | Colour.CONTEXT:
                if self._colours.mentions(function.module, annotation):
                    raise UnmappedError(function.module, function.node, f"cannot wrap {ast.unparse(annotation)}")
                bridged = f"iterate({call}{lender})" if colour is Colour.ITERATOR else f"entered({call})"
                yield f"{indent}return _bridge.{bridged}"
                return
            case Colour.PLAIN:
                pass
        if ast.unparse(annotation) == "None":
            yield f"{indent}{call}"
            return
        yield from self.late_imports(function.module, annotation, indent)
        yield f"{indent}return {self.result(function.module, annotation, call, function.owner, lender)[1]}"

    def _return_annotation(self, function: Function, node: FunctionNode) -> ast.expr:
        if node.returns is None:
            if node.name == "__init__":
                return ast.Constant(None)
            raise UnmappedError(function.module, node, f"{node.name} has no return type")
        return node.returns

    def _parameter(self, function: Function, argument: ast.arg, default: ast.expr | None) -> str:
        if argument.annotation is None:
            if argument.arg not in {"self", "cls"}:
                raise UnmappedError(function.module, argument, f"{argument.arg} has no type")
            return argument.arg
        text = f"{argument.arg}: {self._writer.annotation(function.module, argument.annotation)}"
        return text if default is None else f"{text} = {self._writer.default(function.module, default)}"

    def _handed_on(self, function: Function, argument: ast.arg) -> str:
        module, name, annotation = function.module, argument.arg, argument.annotation
        assert annotation is not None
        node = unquoted(annotation)
        options = [meant for option in _options(node) for meant in self._meant(module, option)]
        callbacks = [option for option in options if _head(option) == "Callable"]
        if callbacks and f"{function.owner}.{name}".lstrip(".") in self._on_loop:
            return name
        if callbacks:
            self._check_callback(function, argument, callbacks, options)
            self._writer.need("launch_sync", "_bridge")
            return f"_bridge.delivered({name})"
        if "AsyncIter" in ast.unparse(node):
            raise UnmappedError(module, argument, f"cannot pass on {name}: {ast.unparse(node)}")
        if not self._colours.mentions(module, node):
            self._check_data(module, argument, node)
            if self._colours.of(function) is not Colour.PLAIN and "Iterable" in map(_head, options):
                self._writer.need("launch_sync", "_bridge")
                return f"_bridge.gathered({name})"
            return name
        if len(options) != 1:
            raise UnmappedError(module, argument, f"cannot pass on {name}: {ast.unparse(node)}")
        self._twin(module, options[0])
        return f"{name}._async" if options[0] is node else f"None if {name} is None else {name}._async"

    def _check_callback(
        self, function: Function, argument: ast.arg, callbacks: list[ast.expr], options: list[ast.expr]
    ) -> None:
        callback = callbacks[0]
        returned = (
            callback.slice.elts[1]
            if isinstance(callback, ast.Subscript) and isinstance(callback.slice, ast.Tuple)
            else callback
        )
        if len(options) != 1 or ast.unparse(returned) not in _RESULT_IGNORED:
            raise UnmappedError(
                function.module,
                argument,
                f"{argument.arg} is a callback whose result is used; only one that returns `object` can run in the "
                "caller's thread",
            )

    def _check_data(self, module: Module, argument: ast.arg, annotation: ast.expr) -> None:
        """Refuse data with a callback inside, because the callback would not run in the caller's thread."""
        for name in names_in(annotation):
            found = self._package.class_of(self._package.resolve(module, name))
            if found is None or self._colours.is_shared(found.symbol):
                continue
            for attribute, (home, type_) in found.attributes.items():
                if type_ is not None and not attribute.startswith("_") and "Callable" in set(self._names(home, type_)):
                    raise UnmappedError(
                        module,
                        argument,
                        f"{argument.arg} contains the callback {name}.{attribute}: make it an argument",
                    )

    def _names(self, module: Module, annotation: ast.expr) -> Iterator[str]:
        """Yield the names in an annotation, and the names behind its aliases."""
        for name in names_in(annotation):
            yield name
            symbol = self._package.resolve(module, name)
            definition = self._package.definition(symbol)
            if isinstance(definition, ast.AnnAssign | ast.Assign) and definition.value is not None:
                yield from names_in(definition.value)

    def _meant(self, module: Module, option: ast.expr) -> list[ast.expr]:
        """Return the type behind an alias of the package, without None, so that a callback is found under any name."""
        if isinstance(option, ast.Name):
            symbol = self._package.resolve(module, option.id)
            definition = self._package.definition(symbol)
            if isinstance(definition, ast.AnnAssign | ast.Assign) and definition.value is not None:
                return [inner for inner in _options(unquoted(definition.value)) if not _is_none(inner)]
        return [] if _is_none(option) else [option]


def docstring(node: FunctionNode | ast.ClassDef, indent: str) -> list[str]:
    """Return the docstring of the twin; empty if there is none."""
    text = ast.get_docstring(node, clean=False)
    return [] if text is None else [synchronous(text, indent)]


def _options(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_options(node.left), *_options(node.right)]
    return [node]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _head(node: ast.expr) -> str:
    return ast.unparse(node.value if isinstance(node, ast.Subscript) else node).rpartition(".")[2]
