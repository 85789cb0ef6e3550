"""The fast path for reading models: one generated function for each model, like the functions of attrs and cattrs.

If a generated function cannot read a document, the converter reads the document or reports its problems. The functions
exist for speed (decision 0014): cattrs alone would take three times as long to read a page of 100 projects.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType, NoneType
from typing import Any, Final, cast

import attrs

from launch_async.models.base import OpenEnum, WireModel, camel_case
from launch_async.wire.timestamps import parse_iso

__all__ = ["FastPathMiss", "Mismatch", "reader_of"]

_ABSENT: Final = object()


class Mismatch(ValueError):
    """A document does not have the expected shape. `problems` lists all problems, each with its path."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class FastPathMiss(ValueError):
    """A generated function cannot read a document, so the converter must read it."""


@cache
def reader_of(kind: type[Any]) -> Callable[[object], Any]:
    """Return the function that reads one model, a subclass of `WireModel`.

    The function sets the `__dict__` of the instance directly, because with the initializer of attrs, a page would take
    25 % longer. Models must therefore have no validators, converters or default factories.
    """
    fields = attrs.fields(attrs.resolve_types(kind))
    keys = {field.name: camel_case(field.name) for field in fields if not field.metadata.get("local")}
    names: dict[str, object] = {
        "kind": kind, "new": object.__new__, "put": object.__setattr__, "FastPathMiss": FastPathMiss, "ABSENT": _ABSENT,
        "default_of": _default_of, "known": frozenset(keys.values()), "MappingProxyType": MappingProxyType,
        "fromisoformat": datetime.fromisoformat, "UTC": UTC,
    }  # fmt: skip
    values: list[str] = []
    nulls: list[str] = []
    for field in fields:
        name = field.name
        names[f"default_{name}"] = field.default
        if name in keys:
            names[f"type_{name}"], names[f"make_{name}"] = _, make = _shape(field.type)
            made = f"_{name}" if make is None else f"make_{name}(_{name})"
            usual = f"_{name}.__class__ is type_{name}"
            if make is parse_iso:
                # The service sends times in UTC. The converter reads other times.
                made, usual = "moment", f"{usual} and (moment := fromisoformat(_{name})).tzinfo is UTC"
            default = f"default_of(_{name}, {name!r}, default_{name}, nulls)"
            if field.default is None:
                nulls.append(f" if _{name} is None: nulls.append({name!r})")
                default = f"None if _{name} is None else {default}"
            values.append(f"{name!r}: {made} if {usual} else {default}")
        else:
            values.append(f"{name!r}: default_{name}")
    assigned = [f"_{name} = document[{key!r}]" for name, key in keys.items()]
    assigned_if_there = [f"_{name} = document.get({key!r}, ABSENT)" for name, key in keys.items()]
    lines = [
        "def read(document):",
        " if document.__class__ is not dict: raise FastPathMiss",
        f" try: {'; '.join(assigned)}; may_have_others = len(document) > {len(keys)}",
        f" except KeyError: {'; '.join(assigned_if_there)}; may_have_others = True",
        " nulls = []",
        *nulls,
        f" values = {{{', '.join(values)}}}",
        " if nulls: values['nulls'] = frozenset(nulls)",
        " if may_have_others and not known.issuperset(document):",
        "  extra = {key: document[key] for key in document if key not in known}",
        "  values['extra'] = MappingProxyType(extra)",
        " model = new(kind)",
        " put(model, '__dict__', values)",
        " return model",
    ]
    exec("\n".join(lines), names)  # noqa: S102 - contains only field names of the SDK's own models
    return cast("Callable[[object], Any]", names["read"])


def _default_of(value: object, name: str, default: object, nulls: list[str]) -> object:
    """Return the default of a field that is null or absent."""
    if default is attrs.NOTHING or (value is not None and value is not _ABSENT):
        raise FastPathMiss
    if value is None:
        nulls.append(name)
    return default


def _shape(annotation: Any) -> tuple[type | None, Callable[[Any], object] | None]:  # noqa: ANN401
    """Return the class of a field's JSON values, and the function that converts a JSON value for the model.

    The function is None if no conversion is needed. The class is None if the converter must read the field.
    """
    kind, *others = {*(typing.get_args(annotation) or [annotation])} - {NoneType, Ellipsis}
    if typing.get_origin(annotation) is tuple and issubclass(kind, WireModel):
        read = reader_of(kind)
        return list, lambda items: tuple([read(item) for item in items])
    if others:
        return None, None
    if issubclass(kind, WireModel):
        return dict, reader_of(kind)
    if issubclass(kind, OpenEnum):
        known = {member.value: member for member in kind}
        return str, lambda text: known.get(text) or kind(text)
    return (str, parse_iso) if kind is datetime else (kind, None)
