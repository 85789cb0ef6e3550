"""A request that has no method yet: which paths it may go to, and which of its values no text may repeat.

Nobody knows the fields of an operation without a method. So a traceback shows no text of its body at all, and errors
leave out the values of the fields that hold secrets elsewhere: environment variables, and whatever is named like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from launch_async._operations import Operation
from launch_async._pipeline import Call
from launch_async._secret import Secret
from launch_async.errors import InvalidArgumentError
from launch_async.models.base import JSONValue

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
        InvalidArgumentError: The method is unknown, or the path could lead elsewhere.
    """
    verb = method.upper()
    if verb not in _METHODS:
        raise InvalidArgumentError("method", f"{method!r} is not one of {', '.join(sorted(_METHODS))}")
    if problem := _problem_of(path):
        raise InvalidArgumentError("path", problem)
    # The last part of a deploy hook's path is its secret, and it wants no others (FACTS §4).
    hook = _HOOK.fullmatch(path)
    shown = f"{hook[1]}{{deploy_hook_uid}}" if hook else str(path)
    return Call(
        operation=Operation(f"{verb} {shown}", verb, shown, authenticated=hook is None),
        path=path,
        query=query,
        body=body,
        secrets=(*([Secret(hook[2])] if hook else []), *_secrets_in(dict(query)), *_secrets_in(body)),
        timeout=timeout,
    )


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
