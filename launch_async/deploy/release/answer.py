"""The problem with a site's response, if any. No text from this module contains a secret of the caller."""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import urljoin, urlsplit

import attrs

from launch_async._text import listed, printable
from launch_async.deploy.release.check import Check
from launch_async.http.base import Response
from launch_async.models.base import UNSET, JSONValue
from launch_async.wire.error_bodies import redact
from launch_async.wire.json_body import load_json

__all__ = ["Verdict", "head_of", "redirect_of", "verdict_of"]

_HEAD_LENGTH: Final = 200
_SEARCHED_BYTES: Final = 4096
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NAMED_SECRET: Final = re.compile(
    r"""(?ix) \b ((?:bearer|basic) \s+
    | [\w.-]* (?:token|secret|passw(?:or)?d|authorization|api[_-]?key|access[_-]?key|private[_-]?key|credential|cookie)
      [\w.-]* ["']? \s* [:=]+ \s* (?:(?:bearer|basic)\s+)? ["']?) [^\s"'<>,;&]+"""
)


@attrs.frozen
class Verdict:
    """The outcome of one attempt.

    Attributes:
        problem: The problem; empty if the attempt passed.
        status: Status of the response; None without a response.
        head: Beginning of the response body.
        is_refused: Whether the site asked for a login.
    """

    problem: str = ""
    status: int | None = None
    head: str = ""
    is_refused: bool = False


def verdict_of(check: Check, response: Response, body: bytes) -> Verdict:
    """Apply a check to a response.

    Args:
        check: The check.
        response: The response.
        body: The part of its body that the SDK has read.
    """
    problem, is_refused = _refusal(check, response), False
    if problem:
        is_refused = True
    else:
        problem = _problem(check, response, body)
    return Verdict(problem, response.status, head_of(body) if problem else "", is_refused)


def redirect_of(check: Check, url: str, response: Response) -> str | None:
    """Return the target of a redirect within the site; None if the check does not follow it."""
    location = response.header("Location")
    if response.status not in _REDIRECTS or response.status in check.statuses or not location:
        return None
    target = urljoin(url, location)
    return target if _origin(target) == _origin(url) else None


def head_of(body: bytes) -> str:
    """Return the beginning of a body on one line, with texts that look like secrets removed."""
    text = " ".join(printable(body[:_SEARCHED_BYTES].decode("utf-8", "replace")).split())
    shown = _NAMED_SECRET.sub(r"\1[redacted]", redact(text, ()))
    return shown if len(shown) <= _HEAD_LENGTH else f"{shown[:_HEAD_LENGTH]}..."


def _refusal(check: Check, response: Response) -> str:
    """Return the problem if the site requires a login; checks have no login."""
    if response.status in check.statuses:
        return ""
    challenge = response.header("WWW-Authenticate") or ""
    if response.status == 401 and challenge.lower().startswith("basic"):
        return (
            "the environment has password protection, and checks send no password. Pass a function that sends the "
            "password as the check, or expect status=401"
        )
    host = urlsplit(response.header("Location") or "").hostname or ""
    if response.status in _REDIRECTS and (host == "contentstack.com" or host.endswith(".contentstack.com")):
        return (
            "the environment has Contentstack authentication, and checks cannot log in. Expect "
            f"status={response.status}, or switch the authentication off for this environment"
        )
    return ""


def _problem(check: Check, response: Response, body: bytes) -> str:
    if response.status not in check.statuses:
        wanted = listed(list(map(str, check.statuses)), 4)
        return f"status {response.status} instead of {wanted}{_elsewhere(response)}"
    for name, value in check.headers.items():
        found = response.header(name)
        if found is None:
            return f"the response has no header {printable(name)}"
        if value is not None and found.strip() != value.strip():
            return f"the header {printable(name)} is {_short(found)} instead of {_short(value)}"
    if check.contains is not None and check.contains not in _text(response, body):
        return f"the response body does not contain {_short(check.contains)}"
    return "" if check.json is UNSET else _json_problem(check.json, body)


def _text(response: Response, body: bytes) -> str:
    """Decode a body with the encoding of its Content-Type."""
    named = re.search(r"charset=[\"']?([\w.:-]+)", response.header("Content-Type") or "", re.IGNORECASE)
    try:
        return body.decode(named[1] if named else "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _elsewhere(response: Response) -> str:
    location = response.header("Location")
    if response.status not in _REDIRECTS or not location:
        return ""
    host = urlsplit(location).netloc.rpartition("@")[2]
    return (
        f", because the site redirects to {printable(host)[:100]}, which checks do not follow"
        if host
        else ", because the site has more redirects than a check follows"
    )


def _json_problem(wanted: JSONValue, body: bytes) -> str:
    try:
        found = load_json(body)
    except ValueError:
        return "the response body is not JSON"
    place = _difference(wanted, found, "$")
    return f"the JSON of the response differs at {place}" if place else ""


def _difference(wanted: JSONValue, found: JSONValue, place: str) -> str:
    """Return the first place at which a document differs from the expected one; empty if they match."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return place
        for name, value in wanted.items():
            inner = f"{place}.{printable(name)[:60]}"
            if name not in found:
                return inner
            if difference := _difference(value, found[name], inner):
                return difference
        return ""
    # Compared as JSON, because true is equal to 1 in Python.
    return "" if json.dumps(wanted, sort_keys=True) == json.dumps(found, sort_keys=True) else place


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _short(text: str) -> str:
    shown = _NAMED_SECRET.sub(r"\1[redacted]", printable(text))
    return repr(shown if len(shown) <= 80 else f"{shown[:80]}...")
