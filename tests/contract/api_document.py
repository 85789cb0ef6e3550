"""Check requests and answers against `openapi.yaml`, without any code of the client or the emulator."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import attrs
import jsonschema_rs
import yaml

DOCUMENT = Path(__file__).with_name("openapi.yaml")
METHODS = ("get", "post", "put", "patch", "delete")
CREDENTIALS = {"oauth2": "authorization", "authtoken": "authtoken", "organizationUid": "organization_uid"}
# Any HTTP client may send these headers. All other headers must be parameters of the operation.
PLAIN_HEADERS = {"host", "accept", "accept-encoding", "user-agent", "content-length"}
# An older example of the vendor sent this header, and the header does no harm (FACTS §11 row 27).
HARMLESS_HEADERS = {"listDomains": {"x-project-uid"}, "updateDomain": {"x-project-uid"}}


@attrs.frozen
class Described:
    """One operation of the document."""

    id: str
    method: str
    path: str
    definition: Mapping[str, Any]

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(self.path)))

    @property
    def request_content(self) -> Mapping[str, Any]:
        return self.definition.get("requestBody", {}).get("content", {})


@attrs.frozen
class Exchange:
    """One request and its answer, as they were on the wire; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes


class ApiDocument:
    """The operations of `openapi.yaml`, with resolved references.

    Args:
        closed: Whether a field that the document does not name is a problem. It is a problem in a request, and none in
            an answer.
    """

    def __init__(self, *, closed: bool) -> None:
        self._root = _closed(document_as_data()) if closed else document_as_data()
        self.operations = {
            definition["operationId"]: Described(definition["operationId"], method.upper(), path, definition)
            for path, item in self._root["paths"].items()
            for method, definition in item.items()
            if method in METHODS
        }

    def find(self, method: str, path: str) -> Described | None:
        """Return the operation for a method and a path. A literal segment wins over a parameter."""
        matching = [one for one in self.operations.values() if one.method == method and one.pattern.fullmatch(path)]
        return min(matching, key=lambda one: one.path.count("{"), default=None)

    def resolve(self, node: Any) -> Any:
        """Return the target of a reference, and any other node unchanged."""
        while isinstance(node, dict) and "$ref" in node:
            node = functools.reduce(lambda at, name: at[name], node["$ref"].split("/")[1:], self._root)
        return node

    def problems_of_request(self, operation: Described, sent: Exchange) -> list[str]:
        """Return what is wrong with a request: its parameters, headers, credentials and body."""
        return [
            *self._parameter_problems(operation, "query", dict(parse_qsl(sent.query, keep_blank_values=True))),
            *self._header_problems(operation, sent.headers),
            *_credential_problems(operation, sent.headers),
            *self._body_problems(operation, sent),
        ]

    def problems_of_answer(
        self, operation: Described, status: int, headers: Mapping[str, str], body: bytes
    ) -> list[str]:
        """Return what is wrong with an answer: its status, media type, headers and body."""
        described = self.resolve(operation.definition["responses"].get(str(status)))
        if described is None:
            return [f"status {status} is not documented"]
        content = described.get("content")
        if content is None:
            return [f"{status} has a body"] if body and status == 204 else []
        media_type = headers.get("content-type", "").partition(";")[0]
        if media_type not in content:
            return [f"{status} has the media type {media_type!r}"]
        for name, header in described.get("headers", {}).items():
            if name.lower() in headers:
                return list(self._mismatches(header["schema"], headers[name.lower()], name))
        value = body.decode() if media_type == "text/event-stream" else _encodable(json.loads(body))
        return list(self._mismatches(content[media_type]["schema"], value, f"{status}"))

    def fields(self, operation: Described) -> set[str]:
        """Return the dotted names of all parameters and body fields of an operation, without the path parameters."""
        parameters = {f"{one['in']}:{one['name']}" for one in self._parameters(operation) if one["in"] != "path"}
        contents = operation.request_content.values()
        return parameters.union(*(self._schema_fields(content["schema"], "body") for content in contents))

    def _parameters(self, operation: Described) -> list[Any]:
        return [self.resolve(one) for one in operation.definition.get("parameters", [])]

    def _schema_fields(self, schema: Any, prefix: str) -> Iterator[str]:
        schema = self.resolve(schema)
        if "items" in schema:
            yield from self._schema_fields(schema["items"], prefix)
        for name, member in schema.get("properties", {}).items():
            yield f"{prefix}.{name}"
            yield from self._schema_fields(member, f"{prefix}.{name}")

    def _parameter_problems(self, operation: Described, place: str, sent: Mapping[str, str]) -> Iterator[str]:
        known = {one["name"].lower(): one for one in self._parameters(operation) if one["in"] == place}
        for name, one in known.items():
            if one.get("required") and name not in {given.lower() for given in sent}:
                yield f"{place} parameter {name} is missing"
        for name, text in sent.items():
            if name.lower() not in known:
                yield f"{place} parameter {name} is not documented"
                continue
            schema = known[name.lower()]["schema"]
            value = int(text) if schema["type"] == "integer" and re.fullmatch("-?[0-9]+", text) else text
            yield from self._mismatches(schema, value, f"{place} parameter {name}")

    def _header_problems(self, operation: Described, sent: Mapping[str, str]) -> Iterator[str]:
        plain = PLAIN_HEADERS | set(CREDENTIALS.values()) | HARMLESS_HEADERS.get(operation.id, set())
        plain |= {"content-type"} if operation.request_content else set()
        yield from self._parameter_problems(
            operation, "header", {name: value for name, value in sent.items() if name not in plain}
        )

    def _body_problems(self, operation: Described, sent: Exchange) -> Iterator[str]:
        content = operation.request_content
        if not content:
            if sent.body:
                yield "a body is not documented"
            return
        media_type = sent.headers.get("content-type", "").partition(";")[0]
        if media_type not in content:
            yield f"the media type {media_type!r} of the body is not documented"
            return
        yield from self._mismatches(content[media_type]["schema"], decoded(sent), "body")

    def _mismatches(self, schema: Any, value: object, place: str) -> Iterator[str]:
        for error in _validator(json.dumps(schema), self).iter_errors(value):
            where = ".".join(str(step) for step in error.instance_path)
            yield f"{place}{'.' if where else ''}{where}: {error.message}"

    def validator(self, schema: Any) -> Any:
        """Return a validator for a schema, which also checks the format of dates."""
        whole = {"allOf": [schema], "components": self._root["components"]}
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


@functools.cache
def document_as_data() -> Any:
    """Return the content of `openapi.yaml`, read once. The caller must not change the value."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(DOCUMENT.read_text("utf-8"), loader)


@functools.cache
def requests_document() -> ApiDocument:
    """The document that checks requests: a request may only have the named fields."""
    return ApiDocument(closed=True)


@functools.cache
def answers_document() -> ApiDocument:
    """The document that checks answers: an answer may have more than the named fields."""
    return ApiDocument(closed=False)


def _encodable(value: object) -> object:
    """Replace half surrogate pairs: JSON can contain them, but the validator refuses them."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def decoded(sent: Exchange) -> Any:
    """Decode a request body, which is JSON or a form."""
    if sent.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(sent.body.decode(), keep_blank_values=True))
    return json.loads(sent.body)


def sent_fields(sent: Exchange) -> set[str]:
    """Return the dotted names of all parameters and body fields of a request."""
    query = {f"query:{name}" for name, _ in parse_qsl(sent.query, keep_blank_values=True)}
    headers = {f"header:{name}" for name in sent.headers}
    return query | headers | (set(_value_fields(decoded(sent), "body")) if sent.body else set())


@functools.cache
def _validator(schema: str, document: ApiDocument) -> Any:
    return document.validator(json.loads(schema))


def _value_fields(value: Any, prefix: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _value_fields(item, prefix)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield f"{prefix}.{name}"
            yield from _value_fields(member, f"{prefix}.{name}")


def _credential_problems(operation: Described, sent: Mapping[str, str]) -> Iterator[str]:
    if "security" not in operation.definition:
        return
    ways = [{CREDENTIALS[name] for name in way} for way in operation.definition["security"]]
    given = set(CREDENTIALS.values()) & set(sent)
    if not ways and given:
        yield f"the operation takes no credentials: {sorted(given)} are sent"
    if ways and not any(way <= given for way in ways):
        yield f"credentials are missing: {sorted(given)} is none of {[sorted(way) for way in ways]}"


def _closed(node: Any, *, within_choice: bool = False) -> Any:
    """Return a copy of a schema that refuses unnamed fields, but not in the branches of a choice."""
    if isinstance(node, list):
        return [_closed(item, within_choice=within_choice) for item in node]
    if not isinstance(node, dict):
        return node
    choices = ("oneOf", "anyOf", "allOf")
    copy = {name: _closed(value, within_choice=name in choices) for name, value in node.items()}
    if "properties" in node and not within_choice:
        copy.pop("additionalProperties", None)
        copy["unevaluatedProperties"] = False
    return copy
