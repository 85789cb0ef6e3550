"""`Check`: a condition for a healthy site, and `CheckResult`: its outcome.

The SDK repeats a check until a number of successes or failures in a row decides it, as Argo Rollouts and Kubernetes do.
In the first `grace` seconds, failures do not count: the CDN may not answer for a new deployment yet, or may still serve
the previous version.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from numbers import Real
from typing import Final, Literal, TypeAlias, cast, get_args

import attrs

from launch_async._text import count_of, listed, printable
from launch_async._views import Displayable
from launch_async.errors import InvalidArgumentError
from launch_async.models.base import UNSET, JSONValue, Unset

__all__ = ["Check", "CheckLike", "CheckResult", "OnFailure", "check_on_failure", "checks_of", "name_of"]

OnFailure: TypeAlias = Literal["keep", "restore"]
"""The action after a failed check: keep the deployment, or restore the version that was live before."""

WITHIN: Final = 2.0
ATTEMPTS: Final = 3
EVERY: Final = 2.0
GRACE: Final = 45.0
SUCCESSES: Final = 1


def _path(_: object, __: object, path: object) -> None:
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        raise InvalidArgumentError("path", f"must be a path that starts with a single slash, not {path!r:.80}")
    if not path.isascii() or not path.isprintable() or " " in path or "#" in path:
        raise InvalidArgumentError(
            "path", f"must be percent-encoded, without spaces and without a fragment, not {path!r:.80}"
        )


def _statuses(status: object) -> tuple[int, ...]:
    several = tuple(cast("Iterable[object]", status)) if isinstance(status, Iterable) else (status,)
    if not several or not all(type(one) is int and one in range(100, 600) for one in several):
        raise InvalidArgumentError("status", f"must be one HTTP status or several, not {status!r:.80}")
    return cast("tuple[int, ...]", several)


def _headers(header: object) -> Mapping[str, str | None]:
    """Return the required headers, each with its value; None for any value."""
    if header is None:
        return {}
    found: Mapping[object, object] = {"": None}
    if isinstance(header, str):
        name, colon, wanted = header.partition(":")
        found = {name.strip(): wanted.strip() if colon else None}
    elif isinstance(header, Mapping):
        found = dict(cast("Mapping[object, object]", header))
    elif isinstance(header, tuple) and len(cast("tuple[object, ...]", header)) == 2:
        found = dict([cast("tuple[object, object]", header)])
    if not all(isinstance(name, str) and name and isinstance(value, str | None) for name, value in found.items()):
        raise InvalidArgumentError(
            "header", 'must be {"name": "value"}, ("name", "value"), "name: value" or "name" for any value'
        )
    return cast("Mapping[str, str | None]", found)


def _text(_: object, __: object, contains: str | None) -> None:
    given: object = contains
    if given is not None and not (isinstance(given, str) and given):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError("contains", f"must be a non-empty string, not {given!r:.80}")


def _check_json(document: object) -> None:
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise InvalidArgumentError("json", f"must be a JSON value, not {document!r:.80}") from None


def _seconds(_: object, attribute: attrs.Attribute[float], seconds: object) -> None:
    least = "0 or more" if attribute.name == "grace" else "positive"
    figure = math.nan if isinstance(seconds, bool) or not isinstance(seconds, Real) else float(seconds)
    if not math.isfinite(figure) or figure < 0 or (figure == 0 and attribute.name != "grace"):
        raise InvalidArgumentError(attribute.name, f"must be a number of seconds, {least}, not {seconds!r:.80}")


def _count(_: object, attribute: attrs.Attribute[int], count: object) -> None:
    if type(count) is not int or count < 1:
        raise InvalidArgumentError(attribute.name, f"must be a whole number, at least 1, not {count!r:.80}")


@attrs.frozen
class Check:
    """The expected response of one address of a site: `Check("/health", contains="ok")`.

    The SDK sends a GET without credentials over a separate connection. The request does not count against the rate
    limit. The SDK follows up to five redirects within the site, unless `status` names a redirect. It follows no
    redirect to another host. It reads up to 1 MiB of the response.

    Attributes:
        path: Path of the address, with its query if any; percent-encoded.
        status: The expected status, or several accepted ones.
        contains: A text that the body must contain.
        header: Required headers: a mapping of names to values, one pair, `"name: value"`, or a name alone for any
            value. A header that changes with each release proves that the new version answers, not a cached one.
        within: Seconds in which the complete response must arrive.
        attempts: Failures in a row after which the check fails.
        every: Seconds from one attempt to the next.
        grace: Seconds after the deployment went live in which failures do not count.
        json: Expected JSON of the body. An object must have at least the given members, also inside other objects; all
            other values must be equal. `Check("/version.json", json={"commit": sha})` proves that the new version
            answers.
        successes: Successes in a row after which the check passes.

    Raises:
        InvalidArgumentError: A value is out of its range.
    """

    path: str = attrs.field(default="/", validator=_path)
    status: int | tuple[int, ...] = attrs.field(default=200)
    contains: str | None = attrs.field(default=None, validator=_text)
    header: Mapping[str, str | None] | tuple[str, str] | str | None = None
    within: float = attrs.field(default=WITHIN, validator=_seconds)
    attempts: int = attrs.field(default=ATTEMPTS, validator=_count)
    every: float = attrs.field(default=EVERY, validator=_seconds)
    grace: float = attrs.field(default=GRACE, validator=_seconds)
    json: JSONValue | Unset = attrs.field(default=UNSET, kw_only=True)
    successes: int = attrs.field(default=SUCCESSES, kw_only=True, validator=_count)

    def __attrs_post_init__(self) -> None:
        _statuses(self.status)
        _headers(self.header)
        if self.json is not UNSET:
            _check_json(self.json)

    @property
    def statuses(self) -> tuple[int, ...]:
        """The accepted statuses."""
        return _statuses(self.status)

    @property
    def headers(self) -> Mapping[str, str | None]:
        """The required headers, each with its value; None for any value."""
        return _headers(self.header)

    def __str__(self) -> str:
        facts = [
            f"GET {self.path}",
            f"status {listed(list(map(str, self.statuses)), 4)}",
            "" if self.contains is None else f"contains {self.contains!r:.60}",
            *(f"header {name}: {value or 'any'}" for name, value in self.headers.items()),
            "" if self.json is UNSET else "JSON",
        ]
        return printable(", ".join(filter(None, facts)))


CheckLike: TypeAlias = Check | Callable[[str], bool | Awaitable[bool]]
"""A check, or a function that gets the URL of the site and returns whether it is healthy.

The SDK awaits a coroutine function and runs any other function in a thread. An exception counts as a failure.
"""


@attrs.frozen(kw_only=True)
class CheckResult(Displayable):
    """The outcome of one check.

    Attributes:
        name: The check as text, or the name of the function.
        passed: Whether the site passed the check.
        problem: The problem of the last attempt; empty if there was none.
        status: Status of the last response; None without a response.
        head: Beginning of the last response body, on one line, with texts that look like secrets removed.
        attempts: Number of attempts.
        seconds: Seconds from the first attempt to the decision.
        is_refused: Whether the site required a login, so that the SDK cannot determine its health.
        is_decided: Whether the check ended with a decision. False if another check failed first.
    """

    name: str
    passed: bool
    problem: str = ""
    status: int | None = None
    head: str = ""
    attempts: int = 0
    seconds: float = 0.0
    is_refused: bool = False
    is_decided: bool = True

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the result as plain data for JSON."""
        return attrs.asdict(self)

    def __str__(self) -> str:
        if self.passed:
            return f"passed: {self.name}"
        outcome = "failed" if self.is_decided else "not decided"
        answer = f' The response began with "{self.head}".' if self.head else ""
        attempts = count_of(self.attempts, "attempt")
        return f"{outcome}: {self.name}: {self.problem or 'not tried'} ({attempts}).{answer}"


def name_of(check: CheckLike) -> str:
    """Return the name of a check: the check as text, or the name of the function."""
    if isinstance(check, Check):
        return str(check)
    named: object = getattr(check, "__qualname__", None) or type(check).__name__
    return printable(str(named).rpartition(".<locals>.")[2])


def checks_of(verify: CheckLike | Iterable[CheckLike]) -> tuple[CheckLike, ...]:
    """Return one check or several checks as a tuple.

    Raises:
        InvalidArgumentError: An item is not a check.
    """
    if isinstance(verify, Check) or (callable(verify) and not isinstance(verify, type)):
        return (verify,)
    if isinstance(verify, str) or not isinstance(verify, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError("verify", f'must be checks, such as (Check("/"),), not {verify!r:.80}')
    checks = tuple(verify)
    for check in checks:
        if isinstance(check, type) or not (isinstance(check, Check) or callable(check)):
            raise InvalidArgumentError(
                "verify", f"must be Check objects or functions that take the site's URL, not {check!r:.80}"
            )
    return checks


def check_on_failure(on_failure: str, checks: tuple[CheckLike, ...]) -> None:
    """Check the option `on_failure`.

    Raises:
        InvalidArgumentError: It is neither "keep" nor "restore", or it is "restore" and there are no checks.
    """
    if on_failure not in get_args(OnFailure):
        raise InvalidArgumentError("on_failure", f'must be "keep" or "restore", not {on_failure!r:.80}')
    if on_failure == "restore" and not checks:
        raise InvalidArgumentError("on_failure", '"restore" needs at least one check. Pass verify=Check("/")')
