"""Mask an exchange: replace private data with stand-ins.

The rules list the data that a tape keeps. The functions mask every other name, value, header and number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from launch_async.emulator.shapes import as_list, as_object
from launch_async.emulator.tape import stand_ins
from launch_async.emulator.tape.vocabulary import is_known

_IS_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)")
_IS_HTTP_DATE: Final = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
_IS_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_IS_NUMBER: Final = re.compile(r"\d{1,13}(?:\.\d{1,3})?")
_IS_MAIL: Final = re.compile(r"[^\s@]+@[^\s@]+")
_IS_MEDIA: Final = re.compile(r"(?:\*/\*|[a-z]+/[a-z0-9.+*-]+)(?:; ?charset=[a-zA-Z0-9-]{1,20})?")
_IS_AGENT: Final = re.compile(r"contentstack-launch/[0-9][0-9A-Za-z.+]{0,20} Python/[0-9][0-9a-z.+]{0,20}")

_IS_VERSION: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,2}")

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_ROOTS: Final = frozenset({"projects", "usage-analytics", "openapi", "manage"})
"""First segments of the API's paths. Everything before them is a prefix of the base URL."""
_IDENTITIES: Final = frozenset({"project", "environment", "deployment", "createdBy", "updatedBy", "deletedBy"})
_ADDRESSES: Final = frozenset(
    {"url", "deploymentUrl", "previewUrl", "uploadUrl", "downloadUrl", "signedUrl", "repositoryUrl", "commitUrl"}
    | {"hostname", "hostnames", "host", "domain", "domains", "cname"}
)
_CHOICES: Final = frozenset(
    {"status", "projectType", "frameworkPreset", "gitProvider", "provider", "stage", "source", "code", "error"}
    | {"type", "sslMethod", "sslStatus", "method", "token_type", "tfa_type", "event", "reason", "formFieldKey", "key"}
)
_MESSAGES: Final = frozenset(
    {"message", "error_message", "error_description", "notice", "domainStatusDescription", "detail"}
)
_COUNTS: Final = frozenset(
    {"count", "limit", "skip", "total", "status", "number", "code", "in", "size", "seconds", "duration", "length"}
    | {"reset", "time", "timestamp", "at", "page", "max", "min", "maximum", "minimum", "revalidations", "items"}
)
_VARIABLES: Final = frozenset({"environmentVariables", "variables"})
_IDENTITY_HEADERS: Final = frozenset({"organization_uid", "x-organization-uid", "x-project-uid"})
_NUMBER_HEADERS: Final = frozenset({"content-length", "age", "retry-after", "last-event-id"})
_WORD_HEADERS: Final = frozenset(
    {"allow", "cache-control", "connection", "content-encoding", "transfer-encoding", "vary", "server", "x-cache"}
)
_REMOVED_HEADERS: Final = frozenset({"host", "cookie", "set-cookie"})


def method(name: str) -> str:
    """Return an HTTP method, or ``OTHER`` for one that HTTP does not define."""
    return name.upper() if name.upper() in _METHODS else "OTHER"


def target(url: str) -> tuple[str, str, list[list[str]]]:
    """Return the host, the path and the query of a request, masked. The path does not contain the base URL's path."""
    parts = urlsplit(url)
    segments = parts.path.split("/")
    root = next((position for position, segment in enumerate(segments) if segment in _ROOTS), 1)
    path = stand_ins.path("/".join(["", *segments[root:]]))
    query = [[_name(name), _string(value, name)] for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    return stand_ins.host(parts.netloc), path, query


def headers(given: Mapping[str, str]) -> dict[str, str]:
    """Return headers by their names in lower case, masked and without cookies."""
    lower = {name.lower(): value for name, value in given.items()}
    return {_name(name): _header(name, value) for name, value in lower.items() if name not in _REMOVED_HEADERS}


def _header(name: str, value: str) -> str:
    if name in _IDENTITY_HEADERS:
        return stand_ins.uid(value)
    if name == "authorization":
        scheme, _, token = value.partition(" ")
        return f"{scheme} {stand_ins.word(token)}" if scheme in ("Bearer", "Basic") else stand_ins.word(value)
    if name in ("content-type", "accept"):
        return value if _IS_MEDIA.fullmatch(value) and is_known(value.partition(";")[0]) else stand_ins.word(value)
    if _IS_HTTP_DATE.fullmatch(value):
        return value
    if (name in _NUMBER_HEADERS or "ratelimit" in name) and _IS_NUMBER.fullmatch(value):
        return value
    if name == "user-agent" and _IS_AGENT.fullmatch(value):
        return value
    if name in _WORD_HEADERS:
        return stand_ins.sentence(value)
    if name in ("location", "link") and "://" in value:
        return stand_ins.url(value)
    return stand_ins.uid(value) if stand_ins.is_uid(value) else stand_ins.word(value)


def body(content: bytes, *, description: bool = False) -> dict[str, object]:
    """Return a body, masked: ``{"json": ...}``, or ``{"text": ...}`` if it is not JSON, or ``{}`` if it is empty.

    Args:
        content: The body.
        description: Whether the body describes the API, as the response to ``GET /openapi`` does.
    """
    if not content:
        return {}
    try:
        return {"json": document(json.loads(content), description=description)}
    except (ValueError, RecursionError):
        return {"text": _markup(content.decode("utf-8", "replace"))}


def _markup(content: str) -> str:
    """Return an XML or HTML document without its content. Keep the code of an ``<Error>`` from storage or a gateway."""
    if re.search(r"<Error\b", content):
        code = re.search(r"<Code>([^<>]*)</Code>", content)
        shown = code[1] if code and is_known(code[1]) else "masked"
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{shown}</Code><Message>masked</Message></Error>'
    if re.search(r"<(?:!doctype )?html\b", content, re.IGNORECASE):
        return "<html><head><title>masked</title></head><body>masked</body></html>"
    return stand_ins.word(content)


def event(frame: str) -> str:
    """Return one Server-Sent Event, masked."""
    kept: list[str] = []
    data: list[str] = []
    for line in frame.splitlines():
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kept.append(f"event: {value if is_known(value) else stand_ins.word(value)}")
        elif name in ("id", "retry"):
            kept.append(f"{name}: {value if _IS_NUMBER.fullmatch(value) else stand_ins.word(value)}")
        elif not name:
            kept.append(f": {stand_ins.sentence(value)}")
    if data:
        masked = body("\n".join(data).encode("utf-8", "surrogatepass"))
        shown = json.dumps(masked["json"]) if "json" in masked else str(masked.get("text", ""))
        kept.append(f"data: {' '.join(shown.splitlines())}")
    return "".join(f"{line}\n" for line in kept) + "\n"


def document(value: object, *, description: bool = False) -> object:
    """Return a JSON document, masked."""
    return _masked(value, "", hidden=False, string=_described if description else _string)


def _masked(value: object, key: str, *, hidden: bool, string: Callable[[str, str], str]) -> object:
    if value is None:
        return None
    if isinstance(value, bool):
        return value and not hidden
    if isinstance(value, (int, float)):
        return value if _is_count(key, value) and not hidden else type(value)(0)
    if isinstance(value, str):
        return stand_ins.word(value) if hidden else string(value, key)
    if (members := as_object(value)) is not None:
        return {
            _name(name, hidden=hidden): _masked(
                one, name, hidden=hidden or (name in _VARIABLES and not _is_problem(one)), string=string
            )
            for name, one in members.items()
        }
    return [_masked(one, key, hidden=hidden, string=string) for one in as_list(value) or ()]


def _is_problem(value: object) -> bool:
    """Return whether a value is the error of a field, such as the field for variables, and not the field itself."""
    return (as_object(value) or {}).keys() == {"code", "message"}


def _name(name: str, *, hidden: bool = False) -> str:
    """Return the name of a field, a parameter or a header. Names of environment variables (``hidden``) are private."""
    if hidden:
        return name if name in ("key", "value") else stand_ins.word(name)
    if stand_ins.is_uid(name):
        return stand_ins.uid(name)
    return name if is_known(name) or re.fullmatch(r"\d{1,3}", name) else stand_ins.word(name)


def _is_count(key: str, value: float) -> bool:
    """Return whether a number is a count, a measure or a time, and not an account number or a PIN, for example."""
    last = re.split(r"[-_]|(?=[A-Z])", key)[-1].lower()
    return last in _COUNTS and is_known(key) and abs(value) < 10**15


def _string(value: str, key: str) -> str:
    if not value or _IS_TIME.fullmatch(value):
        return value
    if stand_ins.is_uid(value) or key in _IDENTITIES or key.lower().endswith("uid"):
        return stand_ins.uid(value)
    if key in _CHOICES and is_known(value):
        return value
    if key in _MESSAGES:
        return stand_ins.sentence(value)
    if _IS_NUMBER.fullmatch(value) and _is_count(key, 0):
        return value
    if _IS_MAIL.fullmatch(value):
        return stand_ins.mail(value)
    if (key in _ADDRESSES or "://" in value) and not re.search(r"\s", value):
        return stand_ins.url(value)
    if _IS_COMMIT.fullmatch(value):
        return stand_ins.commit(value)
    return stand_ins.word(value)


def _described(value: str, key: str) -> str:
    if key in ("openapi", "version") and _IS_VERSION.fullmatch(value):
        return value
    return stand_ins.sentence(value)
