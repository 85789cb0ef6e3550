"""The source of a package: its modules, the origin of each name, and the members of each class."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

__all__ = ["Class", "Function", "FunctionNode", "Module", "Package", "Symbol", "UnmappedError", "unquoted"]

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class UnmappedError(Exception):
    """The source has a construct that the generator cannot translate. The generator writes nothing."""

    def __init__(self, module: Module, node: ast.AST, problem: str) -> None:
        super().__init__(f"{module.path}:{getattr(node, 'lineno', 1)}: {problem}")


@dataclass(frozen=True, order=True)
class Symbol:
    """The place where a name is defined; `name` is empty for a module itself."""

    module: str
    name: str


@dataclass(frozen=True)
class Function:
    """A function or method: its overloads, if it has any, and its implementation.

    Attributes:
        module: The module whose names its annotations use.
        overloads: Declarations decorated with `@overload`.
        node: The implementation.
        owner: Name of its class; empty for a function.
        setter: Whether the function is a property that can be set.
    """

    module: Module
    overloads: tuple[FunctionNode, ...]
    node: FunctionNode
    owner: str = ""
    setter: bool = False

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.node.name

    @property
    def decorators(self) -> set[str]:
        """Last parts of the names of its decorators."""
        return {ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in self.node.decorator_list}

    @property
    def is_property(self) -> bool:
        """Whether the function is a property."""
        return bool(self.decorators & {"property", "cached_property"})

    @property
    def yields(self) -> bool:
        """Whether the function is a generator."""
        return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(self.node))


@dataclass(frozen=True)
class Class:
    """A class with all members that it inherits inside the package.

    Attributes:
        symbol: The place of the definition.
        module: The module of the class.
        node: The definition.
        functions: Methods and properties by name, the nearest definition of each.
        attributes: Attributes by name, with the type and its module; without a type if the source has none.
        bases: Base classes outside the package, such as `Generic[T]`.
    """

    symbol: Symbol
    module: Module
    node: ast.ClassDef
    functions: dict[str, Function]
    attributes: dict[str, tuple[Module, ast.expr | None]]
    bases: tuple[ast.expr, ...]


@dataclass
class Module:
    """One file: its definitions and imports.

    Attributes:
        name: Dotted name.
        path: Path of the file.
        tree: Syntax tree.
        imports: Local name to origin.
        type_only: Local names that are imported for type checkers only.
    """

    name: str
    path: Path
    tree: ast.Module
    imports: dict[str, Symbol] = field(default_factory=dict[str, Symbol])
    type_only: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        for node in self.tree.body:
            if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
                for inner in node.body:
                    self._read_import(inner, type_only=True)
            else:
                self._read_import(node, type_only=False)

    def _read_import(self, node: ast.stmt, *, type_only: bool) -> None:
        found: dict[str, Symbol] = {}
        if isinstance(node, ast.ImportFrom) and node.module:
            found = {alias.asname or alias.name: Symbol(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name if alias.asname else alias.name.partition(".")[0]
                found[alias.asname or top] = Symbol(top, "")
        self.imports |= found
        if type_only:
            self.type_only |= found.keys()

    @property
    def is_package(self) -> bool:
        """Whether the file is an `__init__.py`."""
        return self.path.name == "__init__.py"

    @cached_property
    def definitions(self) -> dict[str, ast.stmt]:
        """Top-level classes, functions and assignments by name."""
        found: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign):
                found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = node
        return found

    @cached_property
    def exported(self) -> list[str]:
        """The names in `__all__`, or the names that a lazy package exports; empty if the module has no such list."""
        if self.is_lazy:
            return sorted(_type_only_imports(self.tree) | ({"__version__"} & self.imports.keys()))
        node = self.definitions.get("__all__")
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if not isinstance(value, ast.List | ast.Tuple):
            return []
        return [item.value for item in value.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]

    @property
    def is_lazy(self) -> bool:
        """Whether the module is a package that loads its public names on first use."""
        return "lazy" in self.imports

    def functions(self) -> dict[str, Function]:
        """Top-level functions by name."""
        return _functions(self, self.tree.body)


class Package:
    """Every module of a package, read from its files."""

    def __init__(self, root: Path) -> None:
        self.name = root.name
        self.modules: dict[str, Module] = {}
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root.parent).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.modules[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8")))

    def resolve(self, module: Module, name: str) -> Symbol:
        """Return the definition of a name that a module uses, through every re-export inside the package."""
        if name in module.definitions:
            return Symbol(module.name, name)
        origin = module.imports.get(name)
        if origin is None:
            return Symbol("builtins", name)
        if not origin.name:
            return origin
        submodule = f"{origin.module}.{origin.name}"
        if submodule in self.modules:
            return Symbol(submodule, "")
        if origin.module in self.modules:
            return self.resolve(self.modules[origin.module], origin.name)
        return origin

    def definition(self, symbol: Symbol) -> ast.stmt | None:
        """Return the statement that defines a symbol of this package."""
        module = self.modules.get(symbol.module)
        return module.definitions.get(symbol.name) if module else None

    def class_of(self, symbol: Symbol) -> Class | None:
        """Return a class of this package, with its inherited members."""
        node = self.definition(symbol)
        if not isinstance(node, ast.ClassDef):
            return None
        module = self.modules[symbol.module]
        functions: dict[str, Function] = {}
        attributes: dict[str, tuple[Module, ast.expr | None]] = {}
        bases: list[ast.expr] = []
        for base in node.bases:
            head = base.value if isinstance(base, ast.Subscript) else base
            inherited = self.class_of(self.resolve(module, head.id)) if isinstance(head, ast.Name) else None
            if inherited is None:
                bases.append(base)
                continue
            functions = {**inherited.functions, **functions}
            attributes = {**inherited.attributes, **attributes}
        functions |= _functions(module, node.body, symbol.name)
        attributes |= {name: (module, annotation) for name, annotation in _attributes(node)}
        return Class(symbol, module, node, functions, attributes, tuple(bases))


def unquoted(annotation: ast.expr) -> ast.expr:
    """Return a quoted annotation without quotes, and any other annotation unchanged."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def _functions(module: Module, body: list[ast.stmt], owner: str = "") -> dict[str, Function]:
    overloads: dict[str, list[FunctionNode]] = {}
    found: dict[str, Function] = {}
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        if decorators & {"overload", "typing.overload"}:
            overloads.setdefault(node.name, []).append(node)
        elif f"{node.name}.setter" in decorators:
            getter = found[node.name]
            found[node.name] = Function(module, getter.overloads, getter.node, owner, setter=True)
        else:
            found[node.name] = Function(module, tuple(overloads.get(node.name, ())), node, owner)
    return found


def _attributes(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the attributes that the class body annotates or `__init__` sets. A plain constant has its obvious type."""
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, statement.annotation
        elif isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            for inner in ast.walk(statement):
                if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Attribute):
                    yield inner.target.attr, inner.annotation
                elif isinstance(inner, ast.Assign):
                    constant = inner.value.value if isinstance(inner.value, ast.Constant) else None
                    type_ = None if constant is None else ast.Name(type(constant).__name__)
                    yield from ((target.attr, type_) for target in inner.targets if isinstance(target, ast.Attribute))


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own_nodes(child)


def _type_only_imports(tree: ast.Module) -> set[str]:
    """Return the names that a module imports below `if TYPE_CHECKING:`."""
    return {
        alias.name
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
