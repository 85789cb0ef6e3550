"""The quick readers of models: what they make, and that nobody can tell them from the careful ones."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import attrs
import pytest
from hypothesis import given, strategies as some

from launch_async.models import Deployment, Environment, LogLine, Project
from launch_async.models.base import WireModel
from launch_async.wire import converter as _wire
from launch_async.wire.readers import FastPathMiss, FieldSpec, compile_reader

NAMES = sorted(
    {
        _wire.camel_case(field.name)
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
    except _wire.Mismatch as error:
        return ("mismatch", error.problems)
    return (model, model.nulls, {**model.extra})


@pytest.mark.parametrize("kind", [Project, Environment, Deployment])
@given(document=DOCUMENTS)
def test_the_quick_reader_cannot_be_told_from_the_careful_one(
    kind: type[WireModel], document: dict[str, object]
) -> None:
    quickly = outcome(lambda: _wire.structure(document, kind))
    carefully = outcome(lambda: _wire._careful_hook(kind)(document))
    assert quickly == carefully


def test_an_odd_document_is_refused_without_a_word_of_it() -> None:
    read = compile_reader(LogLine, {"message": FieldSpec(str)})
    with pytest.raises(FastPathMiss) as caught:
        read({"message": 7})
    assert str(caught.value) == ""


def test_what_was_read_quickly_is_an_instance_like_any_other() -> None:
    read = _wire.structure({"uid": "a" * 24, "name": "site", "novelty": [1]}, Project)
    made = Project(uid="a" * 24, name="site", extra={"novelty": [1]})
    assert (read, hash(read), repr(read)) == (made, hash(made), repr(made))
    assert pickle.loads(pickle.dumps(read)) == read
    assert attrs.evolve(read, name="other").name == "other"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        read.name = "other"  # type: ignore[misc]


def test_a_model_that_would_need_an_initializer_is_not_compiled() -> None:
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
