"""Readers of models, compiled: one flat function per class, written out and executed once, as attrs and cattrs do it.

A document of the promised shape is read in a third of the time that a loop over a plan takes. Whatever is not as
promised raises `FastPathMiss`, without a word about what: the careful reader in `_wire` then says it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, TypeVar, cast

import attrs

from launch_async.models.base import WireModel, camel_case

__all__ = ["FastPathMiss", "FieldSpec", "compile_reader"]

M = TypeVar("M", bound=WireModel)
_ABSENT: Final = object()


class FastPathMiss(ValueError):
    """A document is not as promised."""


@attrs.frozen
class FieldSpec:
    """How one field stands on the wire.

    Attributes:
        kind: Class of its values as the JSON parser makes them; datetime for times in ISO 8601, which are UTC where
            they have no zone; None where `convert` looks for itself.
        convert: Makes the model's value of it; None where it stays as it is. A ValueError means that it is odd.
    """

    kind: type | None = None
    convert: Callable[[object], object] | None = None


class _NullSets(dict[int, frozenset[str]]):
    """Sets of the fields that came as null, by their bits: the same few come again and again."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, bits: int) -> frozenset[str]:
        names = frozenset(name for number, name in enumerate(self._names) if bits >> number & 1)
        return self.setdefault(bits, names)


def compile_reader(kind: type[M], shapes: Mapping[str, FieldSpec]) -> Callable[[object], M]:
    """Return the reader of a model.

    The instance gets its dictionary whole, because attrs' own initializer of a frozen class costs as much as all the
    rest. So the models have no validators, converters or default factories. A document that has every field and no
    other, which is the rule, is read without asking for each whether it is there.

    Args:
        kind: The model.
        shapes: Its fields on the wire, by Python name.
    """
    fields = attrs.fields(kind)
    names: dict[str, object] = {
        "kind": kind, "new": object.__new__, "put": object.__setattr__, "ABSENT": _ABSENT, "FastPathMiss": FastPathMiss,
        "Extra": MappingProxyType, "known": frozenset(map(camel_case, shapes)), "moment": datetime.fromisoformat,
        "UTC": UTC, "null_sets": _NullSets([field.name for field in fields]),
    }  # fmt: skip
    values = {field.name: f"v{number}" for number, field in enumerate(fields)}
    lines = [
        "def read(document):",
        " if type(document) is not dict: raise FastPathMiss",
        f" absent = nulls = 0; whole = len(document) == {len(shapes)}",
        " if whole:",
        "  try:",
        *(f"   {values[name]} = document[{camel_case(name)!r}]" for name in shapes),
        "  except KeyError: whole = False",
        " if not whole:",
        "  get = document.get",
        *(f"  {values[name]} = get({camel_case(name)!r}, ABSENT)" for name in shapes),
    ]
    for number, field in enumerate(fields):
        names[f"default{number}"] = field.default
        if field.name in shapes:
            shape = shapes[field.name]
            names[f"kind{number}"] = str if shape.kind is datetime else shape.kind
            names[f"convert{number}"] = shape.convert
            lines += _field(number, shape, required=field.default is attrs.NOTHING)
        else:
            lines.append(f" v{number} = default{number}")
    lines += [
        f" if nulls: {values['nulls']} = null_sets[nulls]",
        f" if not whole and len(document) + absent != {len(shapes)}:",
        f"  {values['extra']} = Extra({{key: document[key] for key in document if key not in known}})",
        " model = new(kind)",
        f" put(model, '__dict__', {{{', '.join(f'{name!r}: {value}' for name, value in values.items())}}})",
        " return model",
    ]
    exec("\n".join(lines), names)  # noqa: S102 - made of our own field names and nothing else
    return cast("Callable[[object], M]", names["read"])


def _field(number: int, shape: FieldSpec, *, required: bool) -> list[str]:
    """Return the lines that check and convert the value of one field, which is in a local variable."""
    value = f"v{number}"
    missing = [
        f" elif {value} is None: {value} = default{number}; nulls |= {1 << number}",
        f" elif {value} is ABSENT: {value} = default{number}; absent += 1",
    ]
    if shape.kind is None:
        missing = [f" if {value} is None or {value} is ABSENT: raise FastPathMiss"] if required else [
            missing[0].replace("elif", "if"), missing[1]
        ]  # fmt: skip
        return [*missing, " else:", *_conversion(number, shape)]
    checked = [f" if type({value}) is kind{number}:", *_conversion(number, shape)]
    return [*checked, *([] if required else missing), " else: raise FastPathMiss"]


def _conversion(number: int, shape: FieldSpec) -> list[str]:
    value = f"v{number}"
    if shape.kind is datetime:
        return [f"  {value} = moment({value})", f"  if {value}.tzinfo is None: {value} = {value}.replace(tzinfo=UTC)"]
    return [f"  {value} = convert{number}({value})" if shape.convert is not None else "  pass"]
