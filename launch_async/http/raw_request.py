"""Requests to operations for which the SDK has no method: checks of their paths, and detection of their secrets.

The SDK does not know the fields of such an operation. So tracebacks show no text of the body. Errors hide the values of
environment variables, and of fields whose names suggest a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Final
from urllib.parse import unquote

from launch_async.errors import InvalidArgumentError
from launch_async.http.operation import Operation, is_encodable
from launch_async.http.pipeline import Call
from launch_async.models.base import JSONValue
from launch_async.wire.secret import Secret

__all__ = ["raw_call"]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_HOOK: Final = re.compile(r"(.*/manage/deploy/)([^/]+)")
_NAMED_LIKE_A_SECRET: Final = re.compile(
    r"pass(word|phrase)|secret|token|private_?key|credential|signature", re.IGNORECASE
)


def raw_call(
    method: str, path: str, query: Mapping[str, str | int | None], body: JSONValue, timeout: float | None
) -> Call:
    """Return the call of any operation. The caller has already marked path, query and body as secrets.

    Raises:
        InvalidArgumentError: The method is unknown, the path could address another host or resource, or a parameter of
            the query is neither a string nor a whole number.
    """
    verb = method.upper() if isinstance(method, str) else ""  # pyright: ignore[reportUnnecessaryIsInstance]
    if verb not in _METHODS:
        raise InvalidArgumentError("method", f"must be one of {', '.join(sorted(_METHODS))}, not {method!r}")
    if problem := _problem_of(path):
        raise InvalidArgumentError("path", problem)
    parameters = dict(_parameters(query))
    # The last part of a deploy hook's path is a secret. The request needs no other credentials (FACTS §4).
    hook = _HOOK.fullmatch(path)
    shown = f"{hook[1]}{{deploy_hook_uid}}" if hook else str(path)
    return Call(
        operation=Operation(f"{verb} {shown}", verb, shown, authenticated=hook is None),
        path=path,
        query=parameters,
        body=body,
        secrets=(*([Secret(hook[2])] if hook else []), *_secrets_in(dict(parameters)), *_secrets_in(body)),
        timeout=timeout,
    )


def _parameters(query: Mapping[str, str | int | None]) -> Iterator[tuple[str, str | int | None]]:
    """Yield the parameters of a query as JavaScript would write them. Errors do not quote their values."""
    if not isinstance(query, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError("query", "must be a mapping of names to values")
    for name, value in query.items():
        if isinstance(value, bool):
            yield name, str(value).lower()
        elif value is None or isinstance(value, Integral) or (isinstance(value, str) and is_encodable(value)):
            yield name, value
        else:
            problem = f"the value of {name!r} must be a whole number, or a string that UTF-8 can encode"
            raise InvalidArgumentError("query", problem)


def _problem_of(path: str) -> str:
    segments = unquote(path).split("/")
    if not path.startswith("/") or path.startswith("//") or {".", ".."} & set(segments):
        return "must start with exactly one slash, and must not contain the segments . and .."
    if any(mark in path for mark in "?#\\") or not path.isascii() or not path.isprintable() or " " in path:
        return "must be percent-encoded, without a query and a fragment. Pass the parameters of the query with query="
    return ""


def _secrets_in(node: JSONValue | Mapping[str, JSONValue], *, secret: bool = False) -> Iterator[Secret]:
    """Yield the texts of a document that are secrets, judged by the name of the field or of a field around it."""
    if isinstance(node, str) and secret:
        yield Secret(node)
    elif isinstance(node, list | tuple):
        for item in node:
            yield from _secrets_in(item, secret=secret)
    elif isinstance(node, Mapping):
        for name, value in node.items():
            # The API writes environment variables and upload headers as `{"key": ..., "value": ...}`.
            paired = name == "value" and "key" in node
            yield from _secrets_in(value, secret=secret or paired or bool(_NAMED_LIKE_A_SECRET.search(str(name))))
