"""The reference of the API as plain Markdown, for directives such as `::: launch_async.client.LaunchClient`.

The texts come from the source code, which griffe reads without importing it. Each object gets a heading with its dotted
path as the anchor, a signature, and its docstring. References to other objects are written as `[text][dotted.path]`;
`tools.website.links` turns them into links between pages.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import griffe
import yaml

from tools.website.doors import Doors

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PACKAGES: Final = ("launch_async", "launch_sync")
Documented: TypeAlias = Any
"""An object as griffe describes it: an `Object`, or an `Alias` that behaves like one."""
Expression: TypeAlias = griffe.Expr | str | None

_WIDTH: Final = 88
# Defaults that add nothing to the annotation.
_OBVIOUS: Final = ("None", "False", "0", "0.0", "''", "()", "frozenset()")
_HIDDEN_BASES: Final = ("object", "Displayable")


@dataclass(frozen=True)
class Options:
    """The options of a directive. Their names are those of mkdocstrings.

    Attributes:
        heading_level: Level of the object's heading.
        show_root_heading: Whether the object has a heading. Its members always have headings.
        show_root_full_path: Whether the heading has the dotted path instead of the last name.
        show_root_toc_entry: Ignored. Every heading has an entry in the table of contents.
        toc_label: Label of the object in the table of contents, if it differs from the heading.
        members: The members to show, in this order; None for all public members with a description.
        filters: Expressions for names: `!^_` excludes names that begin with an underscore; None for public names.
        merge_init_into_class: Whether a class shows the signature and the description of its `__init__`.
        show_bases: Whether a class names its bases.
        inherited_members: Whether a class shows the members of its bases.
        show_attribute_values: Whether attributes show their values.
    """

    heading_level: int = 2
    show_root_heading: bool = True
    show_root_full_path: bool = True
    show_root_toc_entry: bool = True
    toc_label: str = ""
    members: Sequence[str] | bool | None = None
    filters: Sequence[str] | None = None
    merge_init_into_class: bool = True
    show_bases: bool = True
    inherited_members: bool = False
    show_attribute_values: bool = True

    def admit(self, name: str, thing: Documented) -> bool:
        """Return whether a member is shown."""
        if isinstance(self.members, Sequence):
            return name in self.members
        if self.members is False or (thing.is_alias and not thing.is_public) or thing.is_module:
            return False
        if self.filters is None:
            return thing.is_public and not (name.startswith("__") and name == "__init__" and self.merge_init_into_class)
        refused = [pattern[1:] for pattern in self.filters if pattern.startswith("!")]
        return not any(re.search(pattern, name) for pattern in refused)


def markdown(path: str, options: Options) -> str:
    """Return the description of a class, a function, a module or an attribute, with its members.

    Raises:
        KeyError: The object does not exist.
    """
    thing = find(path)
    lines: list[str] = []
    if options.show_root_heading:
        title = path if options.show_root_full_path else thing.name
        lines.append(_heading(title, thing, options.heading_level, options.toc_label))
    inner = options.heading_level + options.show_root_heading
    lines += _described(thing, replace(options, heading_level=inner, show_root_full_path=False, toc_label=""))
    return "\n\n".join(line for line in lines if line) + "\n"


def find(path: str) -> Documented:
    """Return the object of a dotted path.

    Raises:
        KeyError: The object does not exist.
    """
    return _sources()[path]


def canonical(path: str) -> str:
    """Return the dotted path of an object's definition, for any path to the object.

    Raises:
        KeyError: The object does not exist.
    """
    return str(find(path).canonical_path)


@cache
def _sources() -> griffe.ModulesCollection:
    loader = griffe.GriffeLoader(
        search_paths=[ROOT], extensions=griffe.load_extensions(Doors()), docstring_parser=griffe.Parser.google
    )
    for package in PACKAGES:
        loader.load(package)
    loader.resolve_aliases(implicit=False, external=False)
    return loader.modules_collection


def _described(thing: Documented, options: Options) -> Iterator[str]:
    constructor = _constructor(thing) if options.merge_init_into_class else None
    if isinstance(thing.parent, griffe.Class | griffe.Module | griffe.Alias):
        yield _signature(thing, constructor, options)
    if thing.is_class and options.show_bases:
        yield _bases(thing)
    yield from _docstring(thing)
    if constructor:
        yield from _docstring(constructor)
    yield _types(thing, constructor)
    for name, member in _members(thing, options):
        yield _heading(name, member, options.heading_level)
        inner = replace(options, heading_level=options.heading_level + 1, members=None)
        yield from _described(member, inner)


def _constructor(thing: Documented) -> griffe.Function | None:
    found = thing.all_members.get("__init__") if thing.is_class else None
    target = found.final_target if isinstance(found, griffe.Alias) else found
    return target if isinstance(target, griffe.Function) and target.parameters else None


def _members(thing: Documented, options: Options) -> Iterator[tuple[str, Documented]]:
    if not (thing.is_class or thing.is_module):
        return
    members = thing.all_members if options.inherited_members and thing.is_class else thing.members
    shown = {
        name: member
        for name, member in members.items()
        if options.admit(name, member) and (isinstance(options.members, Sequence) or _has_words(member))
    }
    order = list(options.members) if isinstance(options.members, Sequence) else _exports(thing) or list(shown)
    ranks = {name: rank for rank, name in enumerate(order)}
    kinds = [griffe.Kind.ATTRIBUTE, griffe.Kind.CLASS, griffe.Kind.FUNCTION]

    def place(name: str) -> tuple[int, int, int]:
        kind = shown[name].kind
        kind = griffe.Kind.CLASS if kind not in kinds else kind
        return kinds.index(kind), ranks.get(name, len(ranks)), list(shown).index(name)

    yield from ((name, shown[name]) for name in sorted(shown, key=place))


def _exports(thing: Documented) -> list[str]:
    return [str(name) for name in thing.exports or []] if thing.is_module else []


def _has_words(thing: Documented) -> bool:
    return bool(thing.has_docstrings)


def _heading(title: str, thing: Documented, level: int, label: str = "") -> str:
    entry = f' data-toc-label="{label}"' if label else ""
    # The search lists the classes and functions of launch_async, and no object twice.
    silent = " data-search-exclude" if thing.is_attribute or _has_twin(thing) else ""
    return f"{'#' * level} `{title}` {{ #{thing.canonical_path} .api{entry}{silent} }}"


def _has_twin(thing: Documented) -> bool:
    package, _, rest = thing.canonical_path.partition(".")
    try:
        return package == "launch_sync" and bool(canonical(f"launch_async.{rest}"))
    except KeyError:
        return False


# Signatures


def _signature(thing: Documented, constructor: griffe.Function | None, options: Options) -> str:
    if thing.is_attribute:
        return _code(_attribute_signature(thing, options))
    if thing.is_class:
        return _code(_call(thing.name, constructor.parameters, None)) if constructor else ""
    if not thing.is_function:
        return ""
    overloads = _sources_overloads(thing)
    every = overloads or [thing]
    return _code("\n\n".join(_function_signature(each) for each in every))


def _sources_overloads(thing: Documented) -> list[Documented]:
    target = thing.final_target if isinstance(thing, griffe.Alias) else thing
    return list(target.overloads or []) if isinstance(target, griffe.Function) else []


def _function_signature(thing: Documented) -> str:
    marks = [f"@{label}\n" for label in ("classmethod", "staticmethod") if label in thing.labels]
    word = "async " if "async" in thing.labels else ""
    return "".join(marks) + word + _call(f"def {thing.name}", thing.parameters, thing.returns)


def _attribute_signature(thing: Documented, options: Options) -> str:
    words = str(thing.name)
    if thing.annotation is not None:
        words += f": {thing.annotation}"
    if options.show_attribute_values and thing.value is not None and "property" not in thing.labels:
        # An alias that refers to itself is a string.
        value = ast.literal_eval(str(thing.value)) if str(thing.value)[0] in "'\"" and "Alias" in words else thing.value
        words += f" = {value}"
    return words


def _call(name: str, parameters: griffe.Parameters, returns: Expression) -> str:
    parts = _parameters(parameters)
    end = f" -> {returns}" if returns is not None else ""
    flat = f"{name}({', '.join(parts)}){end}"
    if len(flat) <= _WIDTH or not parts:
        return flat
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){end}"])


def _parameters(parameters: griffe.Parameters) -> list[str]:
    parts: list[str] = []
    starred = False
    shown = [one for one in parameters if one.name not in ("self", "cls")]
    for index, one in enumerate(shown):
        kind = griffe.ParameterKind
        if one.kind is kind.keyword_only and not starred:
            parts.append("*")
            starred = True
        starred = starred or one.kind is kind.var_positional
        stars = {kind.var_positional: "*", kind.var_keyword: "**"}.get(one.kind or kind.positional_only, "")
        annotation = f": {one.annotation}" if one.annotation is not None else ""
        equals = " = " if annotation else "="
        default = f"{equals}{one.default}" if one.default is not None and not stars else ""
        parts.append(f"{stars}{one.name}{annotation}{default}")
        after = shown[index + 1].kind if index + 1 < len(shown) else None
        if one.kind is kind.positional_only and after is not kind.positional_only:
            parts.append("/")
    return parts


def _types(thing: Documented, constructor: griffe.Function | None) -> str:
    """Return links to the types of a signature that no list of the docstring links. Markdown has no links in code."""
    listed = {name for one in (thing, constructor) if one is not None for name in _listed(one)}
    expressions = [
        expression
        for function in (_sources_overloads(thing) or [constructor or thing])
        for name, expression in _annotations(function)
        if name not in listed
    ]
    parts = (part for one in expressions if isinstance(one, griffe.Expr) for part in one.iterate(flat=True))
    links = {path: f"[`{part}`][{path}?]" for part in parts if (path := _path(part)) and path != thing.canonical_path}
    return f"Types in the signature: {', '.join(links.values())}." if links else ""


def _annotations(thing: Documented) -> Iterator[tuple[str, Expression]]:
    """Yield the annotations of a signature with the names of the parameters, and `return` for the result."""
    if thing.is_attribute:
        yield "return", thing.annotation
    if thing.is_function:
        yield from ((one.name, one.annotation) for one in thing.parameters)
        yield "return", thing.returns


def _listed(thing: Documented) -> Iterator[str]:
    """Yield the names of the parameters that a docstring lists, and `return` if it describes the result."""
    kinds = griffe.DocstringSectionKind
    for section in thing.docstring.parsed if thing.docstring else ():
        if section.kind in (kinds.parameters, kinds.other_parameters):
            yield from (one.name for one in section.value)
        elif section.kind in (kinds.returns, kinds.yields):
            yield "return"


def _code(text: str) -> str:
    return f"```python\n{text}\n```" if text else ""


def _bases(thing: Documented) -> str:
    shown = [base for base in thing.bases if str(base) not in _HIDDEN_BASES]
    return f"Bases: {', '.join(_annotation(base) for base in shown)}" if shown else ""


# Docstrings


def _docstring(thing: Documented) -> Iterator[str]:
    for section in thing.docstring.parsed if thing.docstring else ():
        yield from _section(section, thing)


def _section(section: griffe.DocstringSection, thing: Documented) -> Iterator[str]:
    kinds = griffe.DocstringSectionKind
    value: Any = section.value
    match section.kind:
        case kinds.text:
            yield str(value)
        case kinds.admonition:
            yield f'!!! {value.kind} "{section.title}"\n\n' + textwrap.indent(value.description, "    ")
        case kinds.examples:
            yield _title("Examples", section)
            for kind, text in value:
                yield f"```pycon\n{text}\n```" if kind is kinds.examples else text
        case kinds.parameters | kinds.other_parameters:
            yield _list(_title("Parameters", section), (_named(each, each.default) for each in value))
        case kinds.attributes:
            yield _list(
                _title("Attributes", section), (_named(each, _field_default(thing, each.name)) for each in value)
            )
        case kinds.returns | kinds.yields | kinds.receives:
            yield _list(_title(section.kind.value.capitalize(), section), map(_unnamed, value))
        case kinds.raises | kinds.warns:
            yield _list(_title(section.kind.value.capitalize(), section), map(_unnamed, value))
        case _:
            raise ValueError(f"{thing.path}: sections of the kind {section.kind.value!r} are not supported")


def _title(usual: str, section: griffe.DocstringSection) -> str:
    return f"**{section.title or usual}:**"


def _list(title: str, items: Iterable[str]) -> str:
    return "\n".join([f"{title}\n", *(f"- {textwrap.indent(item, '    ').lstrip()}" for item in items)])


def _named(element: griffe.DocstringNamedElement, default: Expression) -> str:
    about = [_annotation(element.annotation)] if element.annotation is not None else []
    if default is not None and str(default) not in _OBVIOUS:
        about.append(f"default: `{default}`")
    return f"`{element.name}`" + (f" ({', '.join(about)})" if about else "") + f": {element.description}"


def _unnamed(element: griffe.DocstringElement) -> str:
    return f"{_annotation(element.annotation)}: {element.description}"


def _field_default(thing: Documented, name: str) -> Expression:
    """Return the default of a field, because classes of attrs have no signature that shows it."""
    decorators = " ".join(str(each.value) for each in getattr(thing, "decorators", ()))
    member = thing.members.get(name) if "frozen" in decorators or "define" in decorators else None
    value = member.value if member is not None and member.is_attribute else None
    if isinstance(value, griffe.ExprCall):
        if not str(value.function).endswith("field"):
            return value
        given = {each.name: each.value for each in value.arguments if isinstance(each, griffe.ExprKeyword)}
        value = given.get("default")
    return None if value is None or str(value).startswith("_") else value


def _annotation(expression: Expression) -> str:
    """Return an annotation as code. Names of our packages are links."""
    if expression is None:
        return ""
    parts = [expression] if isinstance(expression, str) else list(expression.iterate(flat=True))
    names = [each for each in map(_path, parts) if each]
    if not names:
        return f"`{expression}`"
    if len(parts) == 1:
        return f"[`{expression}`][{names[0]}?]"
    # Markdown can have links within code only as HTML.
    return f"<code>{''.join(_linked(part) for part in parts)}</code>"


def _linked(part: griffe.Expr | str) -> str:
    words = re.sub(r"([\[\]*_\\`|<>])", r"\\\1", str(part))
    path = _path(part)
    return f"[{words}][{path}?]" if path else words


def _path(part: griffe.Expr | str) -> str:
    """Return the dotted path of a name of our packages, or an empty text."""
    if isinstance(part, str) or part.canonical_path.partition(".")[0] not in PACKAGES:
        return ""
    try:
        return canonical(part.canonical_path)
    except (KeyError, griffe.AliasResolutionError):
        return ""


# Directives


_DIRECTIVE: Final = re.compile(
    r"^(?P<indent> *)::: (?P<path>[\w.]+)\n(?P<options>(?:(?P=indent) +.*\n)*)", re.MULTILINE
)


def expand(text: str) -> str:
    """Return a page with descriptions in place of its directives."""

    def described(match: re.Match[str]) -> str:
        given: Mapping[str, Any] = (yaml.safe_load(textwrap.dedent(match["options"])) or {}).get("options", {})
        return "\n" + textwrap.indent(markdown(match["path"], Options(**given)), match["indent"]) + "\n"

    return _DIRECTIVE.sub(described, text + "\n")
