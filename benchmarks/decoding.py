"""The cost of converting answers to objects: one object and a page of a hundred, without a network.

The benchmark compares each converter with the JSON parser, which returns dictionaries. The converters are ours, our
converter without its fast path, cattrs with its defaults (no strict primitives, no unknown fields, no distinction
between null and absent), and the `cloudflare` package, which creates pydantic models without validation. Each converter
gets parsed documents with the same number of fields. The benchmark measures processor time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime

import attrs
import cattrs

from benchmarks._report import Mark, Report, Row, present, ratios
from benchmarks._service import launch_project, pages_project
from launch_async.models import Project
from launch_async.wire.converter import structure_strictly
from launch_async.wire.documents import structure, structure_list

PARSER, OURS, CATTRS, PEER = "json.loads", "launch_async", "cattrs with defaults", "cloudflare"
CONVERTER = "launch_async, converter alone"
PAGE = 100
TURNS = {1: 2000, PAGE: 40}


@attrs.frozen
class Repository:
    """The fields of `launch_async.models.Repository`."""

    repositoryName: str | None  # noqa: N815 - as on the wire
    username: str | None
    repositoryUrl: str | None  # noqa: N815
    gitProvider: str | None  # noqa: N815


@attrs.frozen
class PlainProject:
    """The fields of `launch_async.Project`, with the names of the API."""

    uid: str
    name: str | None
    description: str | None
    projectType: str | None  # noqa: N815
    organizationUid: str | None  # noqa: N815
    repository: Repository | None
    cmsStackApiKey: str | None  # noqa: N815
    createdAt: datetime | None  # noqa: N815
    updatedAt: datetime | None  # noqa: N815
    createdBy: str | None  # noqa: N815
    updatedBy: str | None  # noqa: N815
    deletedAt: datetime | None  # noqa: N815
    deletedBy: str | None  # noqa: N815


def measure(rounds: int) -> Report:
    """Measure one object and a page."""
    one, page = contestants()
    found: dict[int, dict[str, list[float]]] = {}
    for count, makers in ((1, one), (PAGE, page)):
        found[count] = {name: [] for name in makers}
        for _ in range(rounds + 1):
            for name, make in makers.items():
                found[count][name].append(microseconds(make, TURNS[count]))
        found[count] = {name: samples[1:] for name, samples in found[count].items()}
    shown = {1: "one project", PAGE: "a page of 100"}
    return Report(
        "Conversion of an answer to objects",
        [
            Row(f"{shown[count]}, {name}", "us of CPU", samples, "less", name == PARSER)
            for count, makers in found.items()
            for name, samples in makers.items()
        ],
        [
            Mark("page: converter alone / launch_async", ratios(found[PAGE][CONVERTER], found[PAGE][OURS])),
            Mark("page: cattrs with defaults / launch_async", ratios(found[PAGE][CATTRS], found[PAGE][OURS])),
            Mark("page: cloudflare / launch_async", ratios(found[PAGE][PEER], found[PAGE][OURS])),
            Mark("one object of a page", [each / PAGE for each in found[PAGE][OURS]], None, "less", "us"),
        ],
    )


def contestants() -> tuple[dict[str, Callable[[], object]], dict[str, Callable[[], object]]]:
    """Return a function that creates one object, and a function that creates a page of objects."""
    from cloudflare._models import construct_type  # the function that its client uses for every answer
    from cloudflare.types.pages import Project as PagesProject

    converter = cattrs.Converter()
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    text = json.dumps([launch_project(number) for number in range(PAGE)]).encode()
    texts = json.dumps(launch_project(0)).encode()
    # Parse the documents, because the strings of a parser are not interned, and their lookup takes longer.
    documents, pages = json.loads(text), [pages_project(number) for number in range(PAGE)]

    def theirs(document: object) -> object:
        return construct_type(value=document, type_=PagesProject)

    return (
        {
            PARSER: lambda: json.loads(texts),
            OURS: lambda: structure(documents[0], Project),
            CONVERTER: lambda: structure_strictly(documents[0], Project),
            CATTRS: lambda: converter.structure(documents[0], PlainProject),
            PEER: lambda: theirs(pages[0]),
        },
        {
            PARSER: lambda: json.loads(text),
            OURS: lambda: structure_list(documents, Project),
            CONVERTER: lambda: structure_strictly(documents, tuple[Project, ...]),
            CATTRS: lambda: converter.structure(documents, list[PlainProject]),
            PEER: lambda: [theirs(page) for page in pages],
        },
    )


def microseconds(make: Callable[[], object], turns: int) -> float:
    """Return the processor time of one turn."""
    began = time.process_time()
    for _ in range(turns):
        make()
    return 1e6 * (time.process_time() - began) / turns


if __name__ == "__main__":
    present(measure, __doc__, rounds=9)
