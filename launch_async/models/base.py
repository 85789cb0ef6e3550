"""What all wire models share: unknown fields are kept, explicit nulls are told from absent fields, enums are open."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self, TypeAlias

import attrs

JSONValue: TypeAlias = "str | int | float | bool | list[JSONValue] | dict[str, JSONValue] | None"
"""Anything that a JSON document can hold."""

_NOTHING: Final[Mapping[str, JSONValue]] = MappingProxyType({})


class Unset(enum.Enum):
    """Type of `UNSET`: an argument that was not given, where None has a meaning of its own."""

    UNSET = "UNSET"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""An argument that was not given: the field is left out of the request."""


class OpenEnum(enum.StrEnum):
    """A string enumeration that accepts values it does not know: they keep their text and are named UNKNOWN.

    Members are strings: `deployment.status == "LIVE"` works as well as `is DeploymentStatus.LIVE`.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = "UNKNOWN"
        member._value_ = value
        return member

    def __reduce_ex__(self, protocol: object) -> tuple[type[Self], tuple[str]]:  # noqa: ARG002, RUF100
        # By value: early releases of Python 3.11 pickle and copy by name, and no class has a member UNKNOWN.
        return type(self), (self.value,)

    @property
    def is_known(self) -> bool:
        """Whether this SDK knows the value."""
        return self._name_ != "UNKNOWN"


SECRET: Final = MappingProxyType({"secret": True})
"""Metadata of a field whose value must never be shown: redacted in errors and logs, and left out of repr."""

LOCAL: Final = MappingProxyType({"local": True})
"""Metadata of a field that the client fills in; it never stands on the wire."""


# Without slots, because the fast path of reading (`wire.readers`) fills the dictionary of an instance.
@attrs.frozen(slots=False, kw_only=True)
class WireModel:
    """Base of everything that the service sends. Instances are immutable, comparable, hashable and picklable.

    Attributes:
        extra: Fields that this SDK does not know, by wire name, as they came.
        nulls: Python names of the fields that came as an explicit null; a field that is None and not listed here was
            absent.
    """

    extra: Mapping[str, JSONValue] = attrs.field(default=_NOTHING, repr=False, hash=False, metadata=LOCAL)
    nulls: frozenset[str] = attrs.field(default=frozenset(), repr=False, eq=False, metadata=LOCAL)

    def __getstate__(self) -> dict[str, object]:
        # A MappingProxyType cannot be pickled.
        return {**self.__dict__, "extra": dict(self.extra)}


@attrs.frozen(slots=False, kw_only=True)
class IdentifiedModel(WireModel):
    """Base of what has a UID of its own, the one field that is always there (FACTS §4).

    Attributes:
        uid: 24 lower-case hex digits.
    """

    uid: str


@attrs.frozen(slots=False, kw_only=True)
class RequestModel:
    """Base of every request body: fields left UNSET are not sent, None is sent as null."""


def camel_case(name: str) -> str:
    """Return the wire name of a Python field name: `framework_preset` becomes `frameworkPreset`."""
    return re.sub("_(.)", lambda found: found[1].upper(), name)
