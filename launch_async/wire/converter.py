"""The cattrs converter: it turns JSON documents into models, and request bodies into JSON.

The converter is strict about types: a string field accepts only a string, and a number field only a number. (Without
these hooks, cattrs turns null into "None", "false" into True and a string into a list of letters.) The converter
accepts changes of the service: unknown fields go to `extra`, unknown enum values keep their text, and a field that is
absent or null gets its default.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, NoReturn, TypeAlias, TypeVar, cast

import attrs
import cattrs
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from launch_async.models.base import JSONValue, OpenEnum, RequestModel, WireModel, camel_case
from launch_async.models.log import LogLine, ServerLogLine
from launch_async.wire.readers import Mismatch
from launch_async.wire.timestamps import parse_epoch_ms, parse_iso

__all__ = ["encode", "secrets_of", "structure_strictly"]

T = TypeVar("T")
_Hook: TypeAlias = Callable[[Any, Any], Any]

_NAMES: Final[dict[type, str]] = {
    NoneType: "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def structure_strictly(document: object, kind: type[T]) -> T:
    """Build a model, or a tuple of models, without the fast path.

    Raises:
        Mismatch: The document does not have the shape of the model. The error lists all problems, each with its path.
    """
    try:
        return _CONVERTER.structure(document, kind)
    except (_Unexpected, cattrs.BaseValidationError) as error:
        problems = _problems(error)
    # Raise outside the `except` block, because `error` refers to frames that contain the document.
    raise Mismatch(problems)


def encode(request: RequestModel) -> dict[str, JSONValue]:
    """Return a request body as a JSON object: names in camelCase, without UNSET fields, None as null."""
    return cast("dict[str, JSONValue]", _CONVERTER.unstructure(request))


def secrets_of(request: RequestModel) -> tuple[str, ...]:
    """Return the values of a request body that must never be shown."""
    found: list[str] = []
    for field in attrs.fields(type(request)):
        value = getattr(request, field.name)
        if field.metadata.get("secret") and isinstance(value, str):
            found.append(value)
            if value.startswith("-----BEGIN"):
                # A private key. A response that repeats the key may have other line breaks.
                found.extend(line for line in value.splitlines() if not line.startswith("-----"))
        for nested in cast("tuple[object, ...]", value if isinstance(value, tuple) else (value,)):
            if isinstance(nested, RequestModel):
                found.extend(secrets_of(nested))
    return tuple(found)


class _Unexpected(ValueError):
    """A value has the wrong type or format for its field. The message does not contain the value."""


def _refuse(expected: str, value: object) -> NoReturn:
    raise _Unexpected(f"expected {expected}, got {_NAMES.get(type(value), type(value).__name__)}")


def _problems(error: Exception) -> list[str]:
    """Return all problems of a document as `.path.to.field: problem`, with the JSON names in the path."""
    described = [text.rpartition(" @ ") for text in cattrs.transform_error(error, "", _problem)]
    return [f"{camel_case(path)}: {problem}" for problem, _, path in described]


def _problem(error: BaseException, _: object) -> str:
    return "the field is required, but missing" if isinstance(error, KeyError) else str(error)


def _only(expected: str, *kinds: type) -> _Hook:
    """Return the hook for a type that the JSON parser already returns."""

    def structure_value(value: object, _: object) -> object:
        if value.__class__ not in kinds:
            _refuse(expected, value)
        return value

    return structure_value


def _number(value: object, _: object) -> float:
    if value.__class__ not in (int, float):
        _refuse("a number", value)
    try:
        return float(cast("float", value))
    except OverflowError:
        raise _Unexpected("expected a number of reasonable size") from None


def _moment(value: object, _: object) -> datetime:
    if not isinstance(value, str):
        _refuse("a string", value)
    try:
        return parse_iso(value)
    except ValueError:
        raise _Unexpected("expected an ISO 8601 time") from None


def _log_moment(value: object, _: object) -> datetime | None:
    """Return the time of a log line, which is ISO 8601 or milliseconds since 1970; None if it is invalid."""
    try:
        return _moment(value, datetime) if isinstance(value, str) else parse_epoch_ms(_number(value, float))
    except ValueError:
        return None


def _log_message(value: object, _: object) -> str:
    """Return the text of a log line. Any other value is returned as JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply to be shown)"


def _enum(value: object, kind: type[OpenEnum]) -> OpenEnum:
    if not isinstance(value, str):
        _refuse("a string", value)
    return kind(value)


def _optional_hook(annotation: Any, converter: cattrs.Converter) -> _Hook:  # noqa: ANN401
    (kind,) = {*typing.get_args(annotation)} - {NoneType}
    read = converter.get_structure_hook(kind)
    return lambda value, _: None if value is None else read(value, kind)


def _tuple_hook(annotation: Any, converter: cattrs.Converter) -> _Hook:  # noqa: ANN401
    read = list_structure_factory(annotation, converter)

    def structure_tuple(value: object, _: object) -> tuple[object, ...]:
        if value.__class__ is not list:
            _refuse("a list", value)
        return tuple(read(value, annotation))

    return structure_tuple


def _model_hook(kind: type[WireModel], converter: cattrs.Converter, **hooks: _Hook) -> _Hook:
    """Return the hook for a model. cattrs reads the known fields; unknown fields go to `extra`, nulls to `nulls`."""
    names: dict[str, str] = {}
    overrides: dict[str, Any] = {}
    for field in attrs.fields(attrs.resolve_types(kind)):
        if field.metadata.get("local"):
            overrides[field.name] = override(omit=True)
            continue
        hook = hooks.get(field.name) or converter.get_structure_hook(field.type)
        overrides[field.name] = override(rename=camel_case(field.name), struct_hook=_null_hook(field.default, hook))
        names[camel_case(field.name)] = field.name
    read = make_dict_structure_fn(kind, converter, **overrides)

    def structure_model(document: object, _: object) -> WireModel:
        if not isinstance(document, dict):
            _refuse("an object", document)
        members = cast("dict[str, JSONValue]", document)
        nulls = frozenset(name for key, name in names.items() if members.get(key, "") is None)
        extra = {key: value for key, value in members.items() if key not in names}
        return attrs.evolve(read(members, kind), nulls=nulls, extra=MappingProxyType(extra))

    return structure_model


def _null_hook(default: object, hook: _Hook) -> _Hook:
    """Return the hook for a field that may be null. A null field gets its default, if it has one."""
    if default is None:
        return hook  # The hook of an optional type accepts null.

    def structure_field(value: object, kind: object) -> object:
        if value is not None:
            return hook(value, kind)
        if default is attrs.NOTHING:
            raise _Unexpected("the field is required, but null")
        return default

    return structure_field


def _log_line_hook(kind: type[WireModel], converter: cattrs.Converter) -> _Hook:
    """Return the hook for a log line. It never rejects a line: an unreadable field goes to `extra` unchanged."""
    hooks: dict[str, _Hook] = {"message": _log_message, "timestamp": _log_moment}
    read = _model_hook(kind, converter, **hooks)
    readers = {
        camel_case(field.name): (hooks.get(field.name) or converter.get_structure_hook(field.type), field.type)
        for field in attrs.fields(attrs.resolve_types(kind))
        if not field.metadata.get("local")
    }

    def structure_line(document: object, _: object) -> LogLine | ServerLogLine:
        members = cast("dict[str, JSONValue]", document if isinstance(document, dict) else {"message": document})
        unconverted: dict[str, JSONValue] = {}
        for name, (hook, annotation) in readers.items():
            value = members.get(name)
            if value is None:
                continue
            try:
                is_unreadable = hook(value, annotation) is None
            except ValueError:
                is_unreadable = True
            if is_unreadable or (name == "message" and not isinstance(value, str)):
                unconverted[name] = value
        unreadable = unconverted.keys() - {"message"}
        line: LogLine | ServerLogLine = read({key: members[key] for key in members if key not in unreadable}, kind)
        return attrs.evolve(line, extra=MappingProxyType({**line.extra, **unconverted})) if unconverted else line

    return structure_line


def _request_hook(kind: type[RequestModel], converter: cattrs.Converter) -> Callable[[RequestModel], dict[str, Any]]:
    """Return the hook for a request body. Every default is UNSET, so the body leaves out fields with their default."""
    renamed: dict[str, Any] = {field.name: override(rename=camel_case(field.name)) for field in attrs.fields(kind)}
    return make_dict_unstructure_fn(kind, converter, _cattrs_omit_if_default=True, **renamed)


def _is_optional(annotation: Any) -> bool:  # noqa: ANN401
    return isinstance(annotation, UnionType) and len(typing.get_args(annotation)) == 2


def _is_tuple(annotation: Any) -> bool:  # noqa: ANN401
    return typing.get_origin(annotation) is tuple


def _subclasses_of(base: type) -> Callable[[Any], bool]:
    return lambda annotation: isinstance(annotation, type) and issubclass(annotation, base)


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(unstruct_collection_overrides={tuple: list})
    # JSONValue is the only union of several types, and it accepts any JSON value.
    converter.register_structure_hook_func(lambda kind: isinstance(kind, UnionType), lambda value, _: value)
    converter.register_structure_hook_factory(_is_optional, _optional_hook)
    converter.register_structure_hook_factory(_is_tuple, _tuple_hook)
    converter.register_structure_hook_factory(_subclasses_of(WireModel), _model_hook)
    converter.register_structure_hook_factory(_subclasses_of(LogLine), _log_line_hook)
    converter.register_structure_hook_factory(_subclasses_of(ServerLogLine), _log_line_hook)
    converter.register_unstructure_hook_factory(_subclasses_of(RequestModel), _request_hook)
    for kind, hook in _HOOKS.items():
        converter.register_structure_hook(kind, hook)
    return converter


_HOOKS: Final[dict[Any, _Hook]] = {
    str: _only("a string", str),
    str | None: _only("a string", str, NoneType),
    int: _only("a whole number", int),
    int | None: _only("a whole number", int, NoneType),
    bool: _only("true or false", bool),
    bool | None: _only("true or false", bool, NoneType),
    float: _number,
    datetime: _moment,
    OpenEnum: _enum,
}
_CONVERTER: Final = _make_converter()
