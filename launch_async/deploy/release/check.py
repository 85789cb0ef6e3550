"""`Check`: what must be true of a site for its release to count as healthy, and `CheckResult`: what came of it.

A check is asked again and again until it is decided, as Argo Rollouts and Kubernetes count: by successes in a row and
by failures in a row. In the first `grace` seconds failures do not count: the edge of a fresh deployment may not answer
yet, or still with the version before it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from numbers import Real
from typing import Final, Literal, TypeAlias, cast, get_args

import attrs

from launch_async._text import listed, printable
from launch_async._views import Displayable
from launch_async.errors import InvalidArgumentError
from launch_async.models.base import UNSET, JSONValue, Unset

__all__ = ["Check", "CheckLike", "CheckResult", "OnFailure", "check_on_failure", "checks_of", "name_of"]

OnFailure: TypeAlias = Literal["keep", "restore"]
"""What to do about a deployment that fails a check: keep it, or put back what served before."""

WITHIN: Final = 2.0
ATTEMPTS: Final = 3
EVERY: Final = 2.0
GRACE: Final = 45.0
SUCCESSES: Final = 1


def _path(_: object, __: object, path: object) -> None:
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        raise InvalidArgumentError("path", f"must be a path of the site that starts with one /, not {path!r:.80}")
    if not path.isascii() or not path.isprintable() or " " in path or "#" in path:
        raise InvalidArgumentError("path", f"must be percent-encoded, without spaces or a fragment: {path!r:.80}")


def _statuses(status: object) -> tuple[int, ...]:
    several = tuple(cast("Iterable[object]", status)) if isinstance(status, Iterable) else (status,)
    if not several or not all(type(one) is int and one in range(100, 600) for one in several):
        raise InvalidArgumentError("status", f"must be one HTTP status or several, not {status!r:.80}")
    return cast("tuple[int, ...]", several)


def _headers(header: object) -> Mapping[str, str | None]:
    """Return the headers that must be there, each with its value, or None where any value will do."""
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
        raise InvalidArgumentError("contains", f"must be a text that is not empty, not {given!r:.80}")


def _check_json(document: object) -> None:
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise InvalidArgumentError("json", f"must be what JSON can hold, not {document!r:.80}") from None


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
    """What one address of a site must answer: `Check("/health", contains="ok")`.

    The request is a GET without credentials, over a connection of its own, and costs no budget. A redirect within the
    site is followed, up to five times, unless `status` names a redirect; a redirect to another host is not followed.
    Up to 1 MiB of the answer is read.

    Attributes:
        path: Path, and query if any, of the address; percent-encoded.
        status: The status, or several of which any will do.
        contains: A text that must be in the body.
        header: Headers that must be there: a mapping of names to values, one pair, `"name: value"`, or a name alone
            for any value. A header that differs from release to release proves that the new version answers, and not
            one that was cached.
        within: Seconds within which the whole answer must be there.
        attempts: Failures in a row after which the check has failed.
        every: Seconds from one attempt to the next.
        grace: Seconds after the deployment went live in which failures do not count.
        json: What the body must hold as JSON: of an object, the members that are given, each of which may be an object
            again; everything else must be equal. `Check("/version.json", json={"commit": sha})` proves that the new
            version answers.
        successes: Successes in a row after which the check has passed.

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
        """The statuses that are right."""
        return _statuses(self.status)

    @property
    def headers(self) -> Mapping[str, str | None]:
        """The headers that must be there, each with its value; None for any value."""
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

A coroutine function is awaited; any other function runs in a thread. What it raises counts as a failure.
"""


@attrs.frozen(kw_only=True)
class CheckResult(Displayable):
    """What came of one check.

    Attributes:
        name: What was checked: the check as text, or the name of the function.
        passed: Whether the site passed it.
        problem: What was wrong at the last attempt; empty if nothing was.
        status: Status of the last answer; None without one.
        head: Beginning of the last answer's body, on one line, without what looks like a secret.
        attempts: How often it was tried.
        seconds: Seconds from the first attempt to the decision.
        is_refused: Whether the site asked for a login, so that nobody can tell whether it is healthy.
        is_decided: Whether it came to a decision; another check may have failed before.
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
        """Return it as plain data, ready for JSON."""
        return attrs.asdict(self)

    def __str__(self) -> str:
        if self.passed:
            return f"passed: {self.name}"
        outcome = "failed" if self.is_decided else "not decided"
        answer = f' The answer began "{self.head}".' if self.head else ""
        return f"{outcome}: {self.name}: {self.problem or 'not tried'} ({self.attempts} attempts).{answer}"


def name_of(check: CheckLike) -> str:
    """Return what is checked, in words: the check as text, or the name of the function."""
    if isinstance(check, Check):
        return str(check)
    named: object = getattr(check, "__qualname__", None) or type(check).__name__
    return printable(str(named).rpartition(".<locals>.")[2])


def checks_of(verify: CheckLike | Iterable[CheckLike]) -> tuple[CheckLike, ...]:
    """Return checks that were given one by one or as several.

    Raises:
        InvalidArgumentError: One is no check.
    """
    if isinstance(verify, Check) or (callable(verify) and not isinstance(verify, type)):
        return (verify,)
    if isinstance(verify, str) or not isinstance(verify, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError("verify", f'expected checks, such as (Check("/"),), got {verify!r:.80}')
    checks = tuple(verify)
    for check in checks:
        if isinstance(check, type) or not (isinstance(check, Check) or callable(check)):
            raise InvalidArgumentError("verify", f"expected a Check or a function of the site's URL, got {check!r:.80}")
    return checks


def check_on_failure(on_failure: str, checks: tuple[CheckLike, ...]) -> None:
    """Check what is to be done about a failure.

    Raises:
        InvalidArgumentError: It is neither "keep" nor "restore", or there is nothing that could fail.
    """
    if on_failure not in get_args(OnFailure):
        raise InvalidArgumentError("on_failure", f'{on_failure!r:.80} is neither "keep" nor "restore"')
    if on_failure == "restore" and not checks:
        raise InvalidArgumentError("on_failure", 'without checks nothing can fail: give verify=(Check("/"),)')
