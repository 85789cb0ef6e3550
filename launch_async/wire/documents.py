"""Build models from parsed JSON documents: with the fast readers, or with the converter if a reader raises.

The SDK imports the converter only on demand, so it reads most responses without cattrs.
"""

from __future__ import annotations

from types import GenericAlias
from typing import TypeVar, cast

from launch_async.models.base import JSONValue, WireModel
from launch_async.wire.readers import reader_of

__all__ = ["structure", "structure_list"]

T = TypeVar("T")


def structure(document: object, kind: type[T]) -> T:
    """Build a model from a parsed JSON document.

    Raises:
        Mismatch: The document does not have the shape of the model.
    """
    if issubclass(kind, WireModel):
        try:
            model: T = reader_of(kind)(document)  # type: ignore[arg-type]  # mypy: "not hashable"
            return model
        except ValueError:
            pass
    from launch_async.wire.converter import structure_strictly

    return structure_strictly(document, kind)


def structure_list(documents: list[JSONValue], kind: type[T]) -> tuple[T, ...]:
    """Build one model from each parsed JSON document.

    Raises:
        Mismatch: At least one document does not have the shape of the model.
    """
    read = reader_of(kind)  # type: ignore[arg-type]  # mypy: "not hashable"
    try:
        return tuple([read(document) for document in documents])
    except ValueError:
        pass
    from launch_async.wire.converter import structure_strictly

    return structure_strictly(documents, cast("type[tuple[T, ...]]", GenericAlias(tuple, (kind, ...))))
