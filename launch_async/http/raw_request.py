"""A request that has no method yet: which paths it may go to, and which of its values no text may repeat.

Nobody knows the fields of an operation without a method. So a traceback shows no text of its body at all, and errors
leave out the values of the fields that hold secrets elsewhere: environment variables, and whatever is named like one.
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
    """Return the call of any operation; path, query and body are marked as secrets already.

    Raises:
        InvalidArgumentError: The method is unknown, the path could lead elsewhere, or a parameter of the query is
            neither a string nor a whole number.
    """
    verb = method.upper() if isinstance(method, str) else ""  # pyright: ignore[reportUnnecessaryIsInstance]
    if verb not in _METHODS:
        raise InvalidArgumentError("method", f"{method!r} is not one of {', '.join(sorted(_METHODS))}")
    if problem := _problem_of(path):
        raise InvalidArgumentError("path", problem)
    parameters = dict(_parameters(query))
    # The last part of a deploy hook's path is its secret, and it wants no others (FACTS §4).
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
    """Give the parameters of a query as JavaScript would write them; their values are not repeated."""
    if not isinstance(query, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError("query", "expected a mapping of names to values")
    for name, value in query.items():
        if isinstance(value, bool):
            yield name, str(value).lower()
        elif value is None or isinstance(value, Integral) or (isinstance(value, str) and is_encodable(value)):
            yield name, value
        else:
            raise InvalidArgumentError("query", f"{name}: neither a string that can be sent nor a whole number")


def _problem_of(path: str) -> str:
    segments = unquote(path).split("/")
    if not path.startswith("/") or path.startswith("//") or {".", ".."} & set(segments):
        return "must start with one / and contain neither . nor .. as a segment"
    if any(mark in path for mark in "?#\\") or not path.isascii() or not path.isprintable() or " " in path:
        return "must be quoted; parameters go into query"
    return ""


def _secrets_in(node: JSONValue | Mapping[str, JSONValue], *, secret: bool = False) -> Iterator[Secret]:
    """Give the texts of a document that are secrets, by the name that they or what they stand in has."""
    if isinstance(node, str) and secret:
        yield Secret(node)
    elif isinstance(node, list | tuple):
        for item in node:
            yield from _secrets_in(item, secret=secret)
    elif isinstance(node, Mapping):
        for name, value in node.items():
            # `{"key": ..., "value": ...}` is how an environment variable and a header of an upload are written.
            paired = name == "value" and "key" in node
            yield from _secrets_in(value, secret=secret or paired or bool(_NAMED_LIKE_A_SECRET.search(str(name))))
