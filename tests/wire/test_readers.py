"""The fast path for models returns the same results as the converter."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import attrs
import pytest
from hypothesis import given, strategies as some

from launch_async.models import Deployment, Environment, LogLine, Project, SignedUploadUrl
from launch_async.models.base import WireModel, camel_case
from launch_async.wire import converter, documents
from launch_async.wire.readers import FastPathMiss, Mismatch, reader_of

NAMES = sorted(
    {
        camel_case(field.name)
        for kind in (Project, Environment, Deployment)
        for field in attrs.fields(kind)
        if not field.metadata.get("local")
    }
)
SCALARS = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(),
    some.floats(allow_nan=False),
    some.sampled_from(["", "x", "LIVE", "GITPROVIDER", "NEXTJS", "2026-03-01T08:15:30.123Z", "2026-03-01T08:15:30"]),
)
PARTS = some.dictionaries(some.sampled_from(["key", "value", "name", "username", "url", "uid"]), SCALARS, max_size=4)
VALUES = SCALARS | PARTS | some.lists(PARTS | SCALARS, max_size=3)
DOCUMENTS = some.dictionaries(some.sampled_from([*NAMES, "novelty"]), VALUES, max_size=12).map(
    lambda document: {"uid": "a" * 24, **document}
)


def outcome(read: Callable[[], WireModel]) -> tuple[object, ...]:
    try:
        model = read()
    except Mismatch as error:
        return ("mismatch", error.problems)
    return (model, model.nulls, {**model.extra})


@pytest.mark.parametrize("kind", [Project, Environment, Deployment])
@given(document=DOCUMENTS)
def test_the_fast_path_equals_the_converter(kind: type[WireModel], document: dict[str, object]) -> None:
    quickly = outcome(lambda: documents.structure(document, kind))
    carefully = outcome(lambda: converter.structure_strictly(document, kind))
    assert quickly == carefully


@pytest.mark.parametrize("kind", [Project, Environment, Deployment, LogLine, SignedUploadUrl])
def test_a_usual_document_takes_the_fast_path(kind: type[WireModel]) -> None:
    document = {
        camel_case(field.name): "a" * 24
        for field in attrs.fields(kind)
        if not field.metadata.get("local") and field.default is attrs.NOTHING
    }
    assert reader_of(kind)({**document, "novelty": 1}).extra == {"novelty": 1}


def test_the_error_for_an_odd_document_contains_nothing_of_the_document() -> None:
    with pytest.raises(FastPathMiss) as caught:
        reader_of(LogLine)({"message": 7})
    assert str(caught.value) == ""


@pytest.mark.parametrize("read", [documents.structure, converter.structure_strictly])
def test_a_model_of_the_fast_path_is_an_ordinary_instance(read: Callable[[object, type[Project]], Project]) -> None:
    project = read({"uid": "a" * 24, "name": "site", "deletedAt": None, "novelty": [1]}, Project)
    made = Project(uid="a" * 24, name="site", nulls=frozenset({"deleted_at"}), extra={"novelty": [1]})
    assert (project, hash(project), repr(project), project.nulls) == (made, hash(made), repr(made), made.nulls)
    assert pickle.loads(pickle.dumps(project)) == project
    assert attrs.evolve(project, name="other").name == "other"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        project.name = "other"  # type: ignore[misc]


def test_no_model_needs_its_initializer() -> None:
    initialized = [
        field.name
        for kind in _every_model(WireModel)
        for field in attrs.fields(kind)
        if field.validator is not None
        or field.converter is not None
        or isinstance(field.default, type(attrs.Factory(list)))
    ]
    assert _every_model(WireModel)
    assert initialized == []


def _every_model(kind: type[WireModel]) -> list[type[WireModel]]:
    return [model for child in kind.__subclasses__() for model in (child, *_every_model(child))]
