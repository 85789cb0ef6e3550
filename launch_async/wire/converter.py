"""The wire format: one cattrs converter between JSON and the models, strict where it must be and tolerant where it may.

Strict: a string is a string and a number a number (cattrs by itself turns null into "None", "false" into True and a
string into a list of its letters). Tolerant: unknown fields are kept in `extra`, unknown enum values keep their text,
null and absent fields take their default, because the service may leave out anything but a uid (FACTS §4).
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeVar, cast

import attrs
import cattrs

from launch_async.errors import InvalidArgumentError
from launch_async.models.base import UNSET, JSONValue, OpenEnum, RequestModel, WireModel, camel_case
from launch_async.models.log import LogLine, ServerLogLine
from launch_async.wire.readers import FieldSpec, compile_reader

_DECODER: Final = json.JSONDecoder()
_HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")


def _standard_loads(body: bytes) -> object:
    r"""Parse with the standard library; half a character, as of an emoji that somebody cut in two, becomes U+FFFD.

    JavaScript writes such a half as `\ud83d`, and no file or terminal takes it.
    """
    document = _parsed(body)
    if b"\\" in body and (b"\\ud" in body or b"\\uD" in body):
        return _without_half_characters(document)
    return document


def _parsed(body: bytes) -> object:
    # In three quarters of the time of `json.loads` where nothing stands around the document.
    try:
        document, end = _DECODER.raw_decode(text := body.decode())
        if end == len(text):
            return document
    except ValueError:
        pass
    return json.loads(body)


def _without_half_characters(document: object) -> object:
    if isinstance(document, str):
        return _HALF_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", document)
    if isinstance(document, list):
        return [_without_half_characters(item) for item in cast("list[object]", document)]
    if isinstance(document, dict):
        members = cast("dict[str, object]", document)
        return {str(_without_half_characters(name)): _without_half_characters(it) for name, it in members.items()}
    return document


try:
    import orjson as _orjson
except ImportError:
    _loads: Callable[[bytes], object] = _standard_loads
else:
    _orjson_loads: Final[Callable[[bytes], object]] = _orjson.loads

    def _quick_loads(body: bytes) -> object:
        try:
            return _orjson_loads(body)
        except ValueError:
            pass
        # It refuses what the standard library reads: half characters, a byte order mark.
        return _standard_loads(body)

    _loads = _quick_loads

__all__ = ["Mismatch", "dump_json", "encode", "load_json", "secrets_of", "structure", "structure_list", "wire_time"]

T = TypeVar("T")
_Hook = Callable[[object], object]


class Mismatch(ValueError):
    """A document does not have the promised shape; `problems` are its faults, each with its path."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def load_json(body: bytes) -> JSONValue:
    """Parse a JSON document.

    Raises:
        ValueError: It is not JSON, or nested beyond reason.
    """
    try:
        return cast("JSONValue", _loads(body))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dump_json(document: JSONValue) -> bytes:
    """Write a JSON document.

    Raises:
        InvalidArgumentError: It holds what JSON cannot, such as a lone surrogate, NaN or an object of another type.
    """
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"cannot be written as JSON ({type(error).__name__})"
    # That error may hold the text that could not be written, and that may be a secret; so may this frame.
    del document
    raise InvalidArgumentError("json", problem)


def structure(document: object, kind: type[T]) -> T:
    """Build a model from a parsed JSON document.

    Raises:
        Mismatch: The document does not have the model's shape.
    """
    read: Callable[[object], Any] | None = _READERS.get(kind)
    if read is not None:
        try:
            model: T = read(document)
            return model
        except ValueError:
            # Not from in here: the error would carry the quick reader's frames, which hold the document.
            pass
    return _CONVERTER.structure(document, kind)


def structure_list(documents: list[JSONValue], kind: type[T]) -> tuple[T, ...]:
    """Build a model from each of several parsed JSON documents.

    Raises:
        Mismatch: Some of them do not have the model's shape.
    """
    if _is_model(kind):
        read = _quick_reader(cast("type[WireModel]", kind))
        try:
            return cast("tuple[T, ...]", tuple([read(document) for document in documents]))
        except ValueError:
            # Not from in here: the error would carry the quick reader's frames, which hold a document.
            pass
    each = _tuple_hook(cast("_Hook", _CONVERTER.get_structure_hook(kind)))
    return cast("tuple[T, ...]", each(documents))


def encode(request: RequestModel) -> dict[str, JSONValue]:
    """Return a request body as a JSON object: camelCase, fields left UNSET are not there, None is null."""
    return cast("dict[str, JSONValue]", _CONVERTER.unstructure(request))


def wire_time(moment: datetime) -> str:
    """Return an aware time as the service writes times: ISO 8601 in UTC, with milliseconds and `Z` (FACTS §4)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def secrets_of(request: RequestModel) -> tuple[str, ...]:
    """Return the values of a request body that must never be shown."""
    found: list[str] = []
    for field in attrs.fields(type(request)):
        value = getattr(request, field.name)
        if field.metadata.get("secret") and isinstance(value, str):
            found.append(value)
        for nested in cast("tuple[object, ...]", value if isinstance(value, tuple) else (value,)):
            if isinstance(nested, RequestModel):
                found.extend(secrets_of(nested))
    return tuple(found)


def _fail(problem: str) -> NoReturn:
    raise Mismatch([f": {problem}"])


def _kind_of(value: object) -> str:
    names: dict[type, str] = {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    _fail(f"expected a string, got {_kind_of(value)}")


def _integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    _fail(f"expected a whole number, got {_kind_of(value)}")


def _number(value: object) -> float:
    if isinstance(value, float | int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            _fail("expected a number of reasonable size")
    _fail(f"expected a number, got {_kind_of(value)}")


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    _fail(f"expected true or false, got {_kind_of(value)}")


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(_string(value))
    except ValueError as error:
        if isinstance(error, Mismatch):
            raise
        _fail("expected an ISO 8601 time")
    # The service writes UTC throughout (FACTS §4), so a time without a zone is UTC too.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _open_enum_hook(kind: type[OpenEnum]) -> _Hook:
    known: Mapping[object, object] = {member.value: member for member in kind}

    def structure_enum(value: object) -> object:
        # A dict look-up is several times cheaper than the enum's own call.
        text = _string(value)
        return known.get(text) or kind(text)

    return structure_enum


def _tuple_hook(item: _Hook) -> _Hook:
    def structure_tuple(value: object) -> object:
        if value.__class__ is not list:
            _fail(f"expected a list, got {_kind_of(value)}")
        items: list[object] = []
        problems: list[str] = []
        for index, element in enumerate(cast("list[object]", value)):
            try:
                items.append(item(element))
            except Mismatch as error:
                problems += [f"[{index}]{problem}" for problem in error.problems]
        if problems:
            raise Mismatch(problems)
        return tuple(items)

    return structure_tuple


def _is_open_enum(kind: Any) -> bool:  # noqa: ANN401
    return isinstance(kind, type) and issubclass(kind, OpenEnum)


def _is_model(kind: Any) -> bool:  # noqa: ANN401
    return isinstance(kind, type) and issubclass(kind, WireModel)


def _hook_for(annotation: Any) -> _Hook:  # noqa: ANN401
    """Return the converter's hook for one field, for values that are not null."""
    members = typing.get_args(annotation)
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        inner = [member for member in members if member is not type(None)]
        # A union of several types is JSONValue: whatever came is right.
        return _hook_for(inner[0]) if len(inner) == 1 else lambda value: value
    if typing.get_origin(annotation) is tuple:
        return _tuple_hook(_hook_for(members[0]))
    if _is_open_enum(annotation):
        return _open_enum_hook(annotation)
    hook = cast("Callable[[object, object], object]", _CONVERTER.get_structure_hook(annotation))
    return lambda value: hook(value, annotation)


def _fields_on_the_wire(kind: type[WireModel]) -> list[attrs.Attribute[object]]:
    return [field for field in attrs.fields(kind) if not field.metadata.get("local")]


class _Known(dict[object, object]):
    """Members of an open enumeration by their text; the text of a member that is not known makes one."""

    def __init__(self, kind: type[OpenEnum]) -> None:
        super().__init__((member.value, member) for member in kind)
        self._kind = kind

    def __missing__(self, text: object) -> object:
        return self._kind(cast("str", text))


def _quick_reader(kind: type[WireModel]) -> Callable[[object], WireModel]:
    if kind not in _READERS:
        hints = typing.get_type_hints(kind)
        shapes = {field.name: _shape_of(hints[field.name]) for field in _fields_on_the_wire(kind)}
        _READERS[kind] = compile_reader(kind, shapes)
    return _READERS[kind]


def _shape_of(annotation: Any) -> FieldSpec:  # noqa: ANN401
    """Return how a field stands on the wire when all is well."""
    inner = [member for member in typing.get_args(annotation) if member is not type(None)]
    optional = isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union
    kind: Any = inner[0] if optional and len(inner) == 1 else annotation
    if kind in (str, int, bool, datetime):
        return FieldSpec(kind)
    if _is_open_enum(kind):
        return FieldSpec(str, _Known(kind).__getitem__)
    if _is_model(kind):
        return FieldSpec(dict, _quick_reader(kind))
    members = typing.get_args(kind)
    if typing.get_origin(kind) is tuple and _is_model(members[0]):
        read = _quick_reader(members[0])
        return FieldSpec(list, lambda items: tuple([read(item) for item in cast("list[object]", items)]))
    return FieldSpec(convert=_hook_for(annotation))


def _model_hook(kind: type[WireModel]) -> Callable[[object, object], WireModel]:
    """Compile how one model is built from a JSON object."""
    quick, careful = _quick_reader(kind), _careful_hook(kind)

    def structure_model(document: object, _: object = None) -> WireModel:
        try:
            return quick(document)
        except ValueError:
            # Not from in here: the error would carry the quick reader's frames, which hold the document.
            pass
        return careful(document)

    return structure_model


def _careful_hook(kind: type[WireModel]) -> Callable[[object], WireModel]:
    """Compile the reader that reports every fault of a document, with its path, instead of the first."""
    hints = typing.get_type_hints(kind)
    fields = _fields_on_the_wire(kind)
    plan = [(camel_case(field.name), field.name, _PRIMITIVES.get(hints[field.name]) or _hook_for(hints[field.name]))
            for field in fields]  # fmt: skip
    required = [(camel_case(field.name), field.name) for field in fields if field.default is attrs.NOTHING]
    known = frozenset(wire_name for wire_name, _, _ in plan)

    def structure_carefully(document: object) -> WireModel:
        if document.__class__ is not dict:
            _fail(f"expected an object, got {_kind_of(document)}")
        source = cast("dict[str, JSONValue]", document)
        values: dict[str, Any] = {}
        problems: list[str] = []
        nulls: list[str] = []
        matched = 0
        for wire_name, name, hook in plan:
            if wire_name in source:
                matched += 1
                value = source[wire_name]
                if value is None:
                    nulls.append(name)
                    continue
                try:
                    values[name] = hook(value)
                except Mismatch as error:
                    problems += [f".{wire_name}{problem}" for problem in error.problems]
        for wire_name, name in required:
            if name not in values and not any(problem.startswith(f".{wire_name}") for problem in problems):
                problems.append(f".{wire_name}: required, but it is {'null' if wire_name in source else 'not there'}")
        if problems:
            raise Mismatch(problems)
        if nulls:
            values["nulls"] = frozenset(nulls)
        if matched < len(source):
            values["extra"] = types.MappingProxyType({key: source[key] for key in source if key not in known})
        return kind(**values)

    return structure_carefully


def _log_hook(kind: type[WireModel]) -> Callable[[object, object], WireModel]:
    """Compile a log line: an unreadable time stamp must not cost the line (FACTS §7), it is kept in `extra`."""
    quick, strict = _quick_reader(kind), _model_hook(kind)

    def structure_line(document: object, _: object = None) -> WireModel:
        try:
            return quick(document)
        except ValueError:
            pass
        source = cast("dict[str, JSONValue]", document if isinstance(document, dict) else {})
        stamp = source.get("timestamp")
        if stamp is None:
            return strict(document, None)  # pyright: ignore[reportUnknownArgumentType]
        moment = _readable_moment(stamp)
        if moment is not None:
            return strict({**source, "timestamp": moment.isoformat()}, None)
        line = strict({key: value for key, value in source.items() if key != "timestamp"}, None)
        return attrs.evolve(line, extra=types.MappingProxyType({**line.extra, "timestamp": stamp}))

    return structure_line


def _readable_moment(stamp: JSONValue) -> datetime | None:
    try:
        if isinstance(stamp, int | float) and not isinstance(stamp, bool):
            return datetime.fromtimestamp(stamp / 1000, UTC)
        return _moment(stamp)
    except (ValueError, OverflowError, OSError):
        return None


def _request_hook(kind: type[RequestModel]) -> Callable[[RequestModel], dict[str, JSONValue]]:
    names = [(field.name, camel_case(field.name)) for field in attrs.fields(kind)]

    def unstructure_request(request: RequestModel) -> dict[str, JSONValue]:
        return {
            wire_name: _CONVERTER.unstructure(value)
            for name, wire_name in names
            if (value := getattr(request, name)) is not UNSET
        }

    return unstructure_request


def _ignoring_type(hook: _Hook) -> Callable[[object, object], object]:
    return lambda value, _: hook(value)


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False)
    for kind, hook in _PRIMITIVES.items():
        converter.register_structure_hook(kind, _ignoring_type(hook))
    converter.register_structure_hook_factory(_is_model, _model_hook)
    converter.register_structure_hook_factory(lambda kind: kind in (LogLine, ServerLogLine), _log_hook)
    converter.register_unstructure_hook_factory(
        lambda kind: isinstance(kind, type) and issubclass(kind, RequestModel), _request_hook
    )
    converter.register_unstructure_hook(OpenEnum, lambda member: member.value)
    converter.register_unstructure_hook_func(
        lambda kind: kind is tuple, lambda items: [*map(converter.unstructure, items)]
    )
    return converter


_READERS: Final[dict[type, Callable[[object], WireModel]]] = {}
_PRIMITIVES: Final[dict[Any, _Hook]] = {
    str: _string,
    int: _integer,
    float: _number,
    bool: _boolean,
    datetime: _moment,
}
_CONVERTER: Final = _make_converter()
