"""Compare the service's API document, `GET /openapi`, with the operations, parameters and fields of the SDK.

`contract.json` holds the SDK's side in the form of `operations_of`. `tools/probe_contract.py` writes the file from the
project's description of the API. A document can be incomplete: a part without a schema counts as
equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Final, TypeAlias, cast

from launch_async.models.base import JSONValue
from launch_async.probe.exchanges import Exchange, as_list, as_object
from launch_async.probe.report import DocumentDifference

__all__ = ["compared", "operations_of"]

Fields: TypeAlias = dict[str, JSONValue]
Operations: TypeAlias = dict[str, JSONValue]

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_EVERYWHERE: Final = frozenset(
    {"authorization", "authtoken", "organization_uid", "x-organization-uid", "x-project-uid", "accept", "content-type"}
)
"""Headers that a document may name in one operation, in all operations, or as a security scheme."""
_DEEPEST: Final = 4
_MAX_DIFFERENCES: Final = 200
_PREFIXES: Final = ("/manage", "/apps-api", "/v3", "/token")
"""Path prefixes of other interfaces and hosts."""


def compared(exchange: Exchange) -> tuple[tuple[DocumentDifference, ...], str]:
    """Return the differences between the service's document and the SDK, and the reason if they cannot be compared."""
    if not exchange.is_success:
        return (), f"GET /openapi ended with {exchange.outcome}."
    theirs = operations_of(exchange.document)
    if not theirs:
        return (), "The answer to GET /openapi is not an OpenAPI document with operations."
    text = files("launch_async.probe").joinpath("contract.json").read_text("utf-8")
    ours = cast("Operations", json.loads(text))
    if not ours.keys() & theirs.keys():
        return (), "The document of GET /openapi has no operation that the SDK knows. It may describe another API."
    return tuple(_differences(ours, theirs))[:_MAX_DIFFERENCES], ""


def operations_of(document: JSONValue) -> Operations:
    """Return the operations of an OpenAPI document by method and path; an empty object for another document.

    Each operation has its parameters, and the fields of its body and of its successful answers. A part that the
    document does not describe is null.
    """
    root = as_object(document)
    found: Operations = {}
    for path, item in as_object(root.get("paths")).items():
        if not path.startswith("/") or path.startswith(_PREFIXES):
            continue
        place = re.sub(r"\{[^{}/]*\}", "{}", path.rstrip("/"))
        for method, stated in as_object(item).items():
            if method in _METHODS and isinstance(stated, dict):
                shared = as_list(as_object(item).get("parameters"))
                found[f"{method.upper()} {place}"] = _operation(root, stated, shared)
    return dict(sorted(found.items()))


def _operation(root: Mapping[str, JSONValue], stated: Mapping[str, JSONValue], shared: object) -> Fields:
    parameters: Fields = {}
    for one in (*as_list(cast("JSONValue", shared)), *as_list(stated.get("parameters"))):
        parameter = _followed(root, one)
        place, name = parameter.get("in"), parameter.get("name")
        if place not in ("query", "header") or not isinstance(name, str):
            continue
        if place == "header" and name.lower() in _EVERYWHERE:
            continue
        schema = _followed(root, parameter.get("schema"))
        label = f"{place} {name.lower() if place == 'header' else name}"
        parameters[label] = {"type": _type(schema), "required": parameter.get("required") is True}
    answers = as_object(stated.get("responses"))
    success = next((answers[status] for status in sorted(answers) if status.startswith("2")), None)
    public = stated.get("x-public-api")
    return {
        "parameters": parameters or None,
        "body": _content(root, stated.get("requestBody")),
        "answer": _content(root, success),
        **({} if public is None else {"public": public is not False}),
    }


def _content(root: Mapping[str, JSONValue], holder: JSONValue) -> Fields | None:
    """Return the fields of a JSON body, by their dotted names."""
    content = as_object(_followed(root, holder).get("content"))
    schema = as_object(content.get("application/json")).get("schema")
    fields = dict(_fields(root, schema, "", _DEEPEST))
    return fields or None


def _fields(
    root: Mapping[str, JSONValue], node: JSONValue, prefix: str, deepest: int
) -> Iterator[tuple[str, JSONValue]]:
    schema = _followed(root, node)
    if not deepest:
        return
    for kind in ("allOf", "anyOf", "oneOf"):
        for part in as_list(schema.get(kind)):
            yield from _fields(root, part, prefix, deepest - 1)
    if "items" in schema:
        yield from _fields(root, schema["items"], prefix, deepest - 1)
    required = as_list(schema.get("required"))
    for name, member in as_object(schema.get("properties")).items():
        yield f"{prefix}{name}", {"type": _type(_followed(root, member)), "required": name in required}
        yield from _fields(root, member, f"{prefix}{name}.", deepest - 1)


def _followed(root: Mapping[str, JSONValue], node: JSONValue) -> Mapping[str, JSONValue]:
    """Return the target of a reference within the document."""
    for _ in range(_DEEPEST):
        found = as_object(node)
        reference = found.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return found
        node = dict(root)
        for name in reference[2:].split("/"):
            node = as_object(node).get(name)
    return {}


def _type(schema: Mapping[str, JSONValue]) -> str | None:
    stated = schema.get("type")
    names = [stated] if isinstance(stated, str) else [one for one in as_list(stated) if isinstance(one, str)]
    real = sorted({name for name in names if name != "null"})
    return "/".join(real) or None


def _differences(ours: Operations, theirs: Operations) -> Iterator[DocumentDifference]:
    for name in theirs.keys() - ours.keys():
        yield DocumentDifference(kind="new", where=_shown(name))
    for name, operation in ours.items():
        mine, their = as_object(operation), as_object(theirs.get(name))
        if not their:
            if mine.get("public") is not False:
                yield DocumentDifference(kind="gone", where=_shown(name))
            continue
        for part in ("parameters", "body", "answer"):
            yield from _of_part(_shown(name), part, mine.get(part), their.get(part))


def _of_part(name: str, part: str, ours: JSONValue, theirs: JSONValue) -> Iterator[DocumentDifference]:
    if theirs is None:
        return
    label = {"parameters": "", "body": "body ", "answer": "answer "}[part]
    mine, their = as_object(ours), as_object(theirs)
    for field in sorted(their.keys() - mine.keys()):
        yield DocumentDifference(kind="new", where=f"{name}: {label}{_shown(field)}")
    for field in sorted(mine.keys() - their.keys()):
        yield DocumentDifference(kind="gone", where=f"{name}: {label}{_shown(field)}")
    for field in sorted(mine.keys() & their.keys()):
        one, other = as_object(mine[field]), as_object(their[field])
        if one.get("type") and other.get("type") and one["type"] != other["type"]:
            yield _different(f"{name}: {label}{_shown(field)}", str(one["type"]), _shown(str(other["type"])))
        if part != "answer" and one.get("required") is not other.get("required"):
            words = {True: "required", False: "optional"}
            yield _different(
                f"{name}: {label}{_shown(field)}",
                words[one.get("required") is True],
                words[other.get("required") is True],
            )


def _different(where: str, ours: str, theirs: str) -> DocumentDifference:
    return DocumentDifference(kind="different", where=where, ours=ours, theirs=theirs)


def _shown(name: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())[:200]
