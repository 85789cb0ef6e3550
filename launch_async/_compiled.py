"""Readers of models, compiled: one flat function per class, written out and executed once, as attrs and cattrs do it.

A document of the promised shape is read in a third of the time that a loop over a plan takes. Whatever is not as
promised raises `Odd`, without a word about what: the careful reader in `_wire` then says it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar, cast

import attrs

from launch_async.models.base import WireModel, camel_case

__all__ = ["Odd", "Shape", "compile_reader"]

M = TypeVar("M", bound=WireModel)
_ABSENT: Final = object()


class Odd(ValueError):
    """A document is not as promised."""


@attrs.frozen
class Shape:
    """How one field stands on the wire.

    Attributes:
        kind: Class of its values as the JSON parser makes them; None where `convert` looks for itself.
        convert: Makes the model's value of it; None where it stays as it is. A ValueError means that it is odd.
    """

    kind: type | None = None
    convert: Callable[[object], object] | None = None


def compile_reader(kind: type[M], shapes: Mapping[str, Shape]) -> Callable[[object], M]:
    """Return the reader of a model.

    The instance gets its dictionary whole, because attrs' own initializer of a frozen class costs as much as all the
    rest. So the models have no validators, converters or default factories.

    Args:
        kind: The model.
        shapes: Its fields on the wire, by Python name.
    """
    names: dict[str, object] = {
        "kind": kind, "new": object.__new__, "put": object.__setattr__, "ABSENT": _ABSENT, "Odd": Odd,
        "Extra": MappingProxyType, "known": frozenset(map(camel_case, shapes)),
    }  # fmt: skip
    lines = [
        "def read(document):",
        " if document.__class__ is not dict: raise Odd",
        " get = document.get; absent = 0; nulls = []",
    ]
    number_of = {field.name: number for number, field in enumerate(attrs.fields(kind))}
    for number, field in enumerate(attrs.fields(kind)):
        names[f"default{number}"] = field.default
        if field.name in shapes:
            shape = shapes[field.name]
            names[f"kind{number}"], names[f"convert{number}"] = shape.kind, shape.convert
            lines += _field(number, field.name, shape, required=field.default is attrs.NOTHING)
        else:
            lines.append(f" v{number} = default{number}")
    lines += [
        f" if nulls: v{number_of['nulls']} = frozenset(nulls)",
        f" if len(document) + absent != {len(shapes)}:",
        f"  v{number_of['extra']} = Extra({{key: document[key] for key in document if key not in known}})",
        " model = new(kind)",
        f" put(model, '__dict__', {{{', '.join(f'{name!r}: v{number}' for name, number in number_of.items())}}})",
        " return model",
    ]
    exec("\n".join(lines), names)  # noqa: S102 - made of our own field names and nothing else
    return cast("Callable[[object], M]", names["read"])


def _field(number: int, name: str, shape: Shape, *, required: bool) -> list[str]:
    """Return the lines that read one field into a local variable."""
    value = f"v{number}"
    converted = f"{value} = convert{number}({value})" if shape.convert is not None else "pass"
    lines = [f" {value} = get({camel_case(name)!r}, ABSENT)"]
    if shape.kind is not None:
        lines += [f" if {value}.__class__ is kind{number}: {converted}"]
        empty = " elif"
    else:
        empty = " if"
    if not required:
        lines += [
            f"{empty} {value} is None: {value} = default{number}; nulls.append({name!r})",
            f" elif {value} is ABSENT: {value} = default{number}; absent += 1",
        ]
    if shape.kind is None:
        lines += [f"{empty} {value} is None or {value} is ABSENT: raise Odd"] if required else []
        lines += [f" else: {converted}"]
    else:
        lines += [" else: raise Odd"]
    return lines
