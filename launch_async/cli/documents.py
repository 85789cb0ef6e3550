"""Converts the objects of the SDK to the JSON that `--json` writes. Fields keep their Python names."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import cast

import attrs

from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.report.report import FleetReport
from launch_async.models.base import JSONValue, Unset
from launch_async.models.deployment import Deployment

__all__ = ["document_of"]

_LEFT_OUT = frozenset({"extra", "nulls"})


def document_of(value: object) -> JSONValue:
    """Return an object as JSON, without secrets and without values of variables.

    Args:
        value: A model, a report, a plan, or a collection of these.
    """
    if isinstance(value, enum.Enum):
        return document_of(cast("object", value.value))
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        # A secret is a string of a subclass.
        return str(value) if type(value) is str else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    if callable(to_dict := getattr(value, "to_dict", None)):
        return document_of(to_dict())
    if isinstance(value, FleetReport | Plan):
        return cast("JSONValue", json.loads(value.to_json()))
    if attrs.has(type(value)):
        return _fields(cast("attrs.AttrsInstance", value))
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        return {str(name): document_of(member) for name, member in members.items()}
    if isinstance(value, Iterable):
        return [document_of(item) for item in cast("Iterable[object]", value)]
    return str(value)


def _fields(value: attrs.AttrsInstance) -> JSONValue:
    document: dict[str, JSONValue] = {}
    for field in attrs.fields(type(value)):
        content = cast("object", getattr(value, field.name))
        if field.name.startswith("_") or field.name in _LEFT_OUT or not field.repr or isinstance(content, Unset):
            continue
        document[field.name] = document_of(content)
    if isinstance(value, Deployment):
        document["url"] = value.url
    return document
