"""Operations of the API: name, method, path template, and the scopes that allow the call.

The names are the operation ids of `openapi.yaml`. This module checks UIDs before they become part of a path, because
well-formed UIDs need no quoting.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Final, NamedTuple

from launch_async.errors import InvalidArgumentError

__all__ = ["Operation", "check_uid", "is_uid"]

_UID: Final = re.compile(r"[0-9a-f]{24}")
_MANAGE: Final = "launch:manage"
READ: Final = (_MANAGE, "launch.projects:read")
WRITE: Final = (_MANAGE, "launch.projects:write")
DELETE: Final = (_MANAGE, "launch.projects:delete")
_ADVICE: Final = {
    "project_uid": ". If it is the name of a project, launch.find({text!r}) returns the UID",
    "environment_uid": ". If it is the name of an environment, launch.find(project, {text!r}) returns the UIDs",
    "deployment_uid": ". launch.deployments.list(project_uid, environment_uid) returns the deployments with their UIDs",
    "domain_uid": ". launch.domains.list(project_uid, environment_uid) returns the domains with their UIDs",
    "project_uids": ". To select projects by name, pass projects=",
    "environment_uids": ". To select environments by name, pass environments=",
}
"""Advice in the error about a malformed UID, by the name of the argument."""


class Operation(NamedTuple):
    """One operation of the API.

    Attributes:
        name: Operation id.
        method: HTTP method.
        path: Template, with UIDs as `{project_uid}`.
        scopes: OAuth scopes, of which one is enough; empty if they are not known.
        authenticated: Whether the operation needs credentials.
        budgeted: Whether the operation counts against the organization's rate limit.
        once: Whether the SDK does not send the request again after a lost response, although its method is idempotent.
    """

    name: str
    method: str
    path: str
    scopes: tuple[str, ...] = ()
    authenticated: bool = True
    budgeted: bool = True
    once: bool = False

    def render(self, uids: Mapping[str, str]) -> str:
        """Return the path with its UIDs filled in.

        Raises:
            InvalidArgumentError: A UID is malformed.
        """
        for name, uid in uids.items():
            if not is_uid(uid):
                check_uid(name, uid, operation=self.name)
        return self.path.format(**uids)


def is_uid(text: object) -> bool:
    """Return whether a value is a well-formed UID of 24 lower-case hex digits."""
    return isinstance(text, str) and _UID.fullmatch(text) is not None


def check_uid(name: str, uid: str, *, operation: str | None = None) -> str:
    """Check that a UID has 24 lower-case hex digits, and return it.

    Raises:
        InvalidArgumentError: The UID is malformed.
    """
    # Callers without a type checker may pass any object, which would become part of the path.
    if not isinstance(uid, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        argument = name.rpartition(".")[2]
        attribute = next((known for known in (argument, "uid") if hasattr(uid, known)), None)
        instead = f". Pass its attribute {attribute}" if attribute else ""
        raise InvalidArgumentError(name, f"must be a string, not {type(uid).__name__}{instead}", operation=operation)
    if not is_uid(uid):
        advice = _ADVICE.get(name.rpartition(".")[2], "").format(text=uid[:60])
        problem = f"must be a UID of 24 lower-case hex digits, not {uid[:60]!r}{advice}" if uid else "must not be empty"
        raise InvalidArgumentError(name, problem, rule="reference/facts.md#4-resources", operation=operation)
    return uid


def check_text(
    name: str, text: str, *, longest: int | None = None, rule: str = "reference/facts.md#4-resources"
) -> str:
    """Check that a text is not empty, not longer than the service allows, and valid Unicode, and return it.

    Raises:
        InvalidArgumentError: The text breaks one of these rules.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(name, f"must be a string, not {type(text).__name__}")
    if not text.strip():
        raise InvalidArgumentError(name, "must not be empty", rule=rule)
    if longest is not None and len(text) > longest:
        raise InvalidArgumentError(name, f"must have at most {longest} characters, not {len(text)}", rule=rule)
    if not is_encodable(text):
        raise InvalidArgumentError(name, "contains characters that UTF-8 cannot encode", rule="openapi.yaml")
    return text


def is_encodable(text: str) -> bool:
    """Return whether UTF-8 can encode a text. Lone surrogates, as in a broken file name, cannot be encoded."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def check_page(limit: int | None, skip: int) -> None:
    """Check the bounds of a page. `limit=0` would request all items in one response.

    Raises:
        InvalidArgumentError: `limit` is outside 1 to 100, `skip` is negative, or one of them is not a whole number.
    """
    for name, figure in {"limit": 1 if limit is None else limit, "skip": skip}.items():
        _check_whole(name, figure)
    rule = "reference/facts.md#4-resources"
    if limit is not None and not 1 <= limit <= 100:
        raise InvalidArgumentError("limit", f"must be from 1 to 100, not {limit}", rule=rule)
    if skip < 0:
        raise InvalidArgumentError("skip", f"must be 0 or more, not {skip}", rule=rule)


def _check_whole(name: str, figure: object) -> None:
    if isinstance(figure, bool) or not isinstance(figure, Integral):
        raise InvalidArgumentError(name, f"must be a whole number, not {figure!r}", rule="openapi.yaml")


def check_timeout(timeout: object) -> None:
    """Check a timeout. With None or NaN, the SDK would wait without a limit.

    Raises:
        InvalidArgumentError: The timeout is not a number.
    """
    if not isinstance(timeout, Real) or math.isnan(timeout):
        raise InvalidArgumentError("timeout", f"must be a number of seconds, not {timeout!r}")


def check_callback(**callbacks: object) -> None:
    """Check callbacks that the SDK calls without awaiting them.

    Raises:
        InvalidArgumentError: A callback is a coroutine function, whose body would never run.
    """
    for name, callback in callbacks.items():
        if inspect.iscoroutinefunction(callback):
            raise InvalidArgumentError(
                name, "must be a plain function, because the SDK does not await it. A coroutine function would not run"
            )


def check_count(name: str, items: Sequence[object], *, most: int, rule: str) -> None:
    """Check the number of items of a list.

    Raises:
        InvalidArgumentError: The list is empty, or has more than `most` items.
    """
    if not items:
        raise InvalidArgumentError(name, "must not be empty", rule=rule)
    if len(items) > most:
        raise InvalidArgumentError(name, f"must have at most {most} entries, not {len(items)}", rule=rule)
