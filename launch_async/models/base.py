"""The base of all models. Models keep unknown fields, distinguish null from absent, and have open enumerations."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self, TypeAlias

import attrs

JSONValue: TypeAlias = "str | int | float | bool | list[JSONValue] | dict[str, JSONValue] | None"
"""Any value of a JSON document."""

_NO_FIELDS: Final[Mapping[str, JSONValue]] = MappingProxyType({})


class Unset(enum.Enum):
    """Type of `UNSET`, the default of arguments for which None is a meaningful value."""

    UNSET = "UNSET"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""The value of an argument that the caller did not pass. The request leaves out the field."""


class OpenEnum(enum.StrEnum):
    """A string enumeration that accepts unknown values. An unknown value keeps its text and has the name UNKNOWN.

    Members are strings: `deployment.status == "LIVE"` and `deployment.status is DeploymentStatus.LIVE` both work.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = "UNKNOWN"
        member._value_ = value
        return member

    def __reduce_ex__(self, proto: object) -> tuple[type[Self], tuple[str]]:  # noqa: ARG002, RUF100
        # Early releases of Python 3.11 pickle and copy members by name, and no class has a member UNKNOWN.
        return type(self), (self.value,)

    @property
    def is_known(self) -> bool:
        """Whether this SDK knows the value."""
        return self._name_ != "UNKNOWN"


SECRET: Final = MappingProxyType({"secret": True})
"""Metadata of a field whose value must never be shown. Errors and logs redact it, and `repr` leaves it out."""

LOCAL: Final = MappingProxyType({"local": True})
"""Metadata of a field that the client fills in. The service never sends it."""


# `slots=False`, because the functions of `wire.readers` set the `__dict__` of an instance. `eq=False` and `repr=False`,
# because attrs generates these methods for each model.
@attrs.frozen(slots=False, kw_only=True, eq=False, repr=False)
class WireModel:
    """Base of all objects that the service sends. Instances are immutable, comparable, hashable and picklable.

    Attributes:
        extra: Fields that this SDK does not know, by wire name and unchanged.
        nulls: Python names of the fields that the service sent as null. A field that is None and not in this set was
            absent.
    """

    extra: Mapping[str, JSONValue] = attrs.field(default=_NO_FIELDS, repr=False, hash=False, metadata=LOCAL)
    nulls: frozenset[str] = attrs.field(default=frozenset(), repr=False, eq=False, metadata=LOCAL)

    def __getstate__(self) -> dict[str, object]:
        # A MappingProxyType cannot be pickled.
        return {**self.__dict__, "extra": dict(self.extra)}


@attrs.frozen(slots=False, kw_only=True, eq=False, repr=False)
class IdentifiedModel(WireModel):
    """Base of resources with a UID, the only field that the service always sends.

    Attributes:
        uid: 24 lower-case hex digits.
    """

    uid: str


@attrs.frozen(slots=False, kw_only=True, eq=False, repr=False)
class RequestModel:
    """Base of every request body. A field that is UNSET is not sent, and None is sent as null."""


def camel_case(name: str) -> str:
    """Return the wire name of a Python field name: `framework_preset` becomes `frameworkPreset`."""
    return re.sub("_(.)", lambda found: found[1].upper(), name)
