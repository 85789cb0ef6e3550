"""What is wrong with an answer of a site, if anything: pure, and nothing of it can hold a secret of ours."""

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

_HEAD: Final = 200
_SEARCHED: Final = 4096
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NAMED_SECRET: Final = re.compile(
    r"""(?ix) \b ((?:bearer|basic) \s+
    | [\w.-]* (?:token|secret|passw(?:or)?d|authorization|api[_-]?key|access[_-]?key|private[_-]?key|credential|cookie)
      [\w.-]* ["']? \s* [:=]+ \s* (?:(?:bearer|basic)\s+)? ["']?) [^\s"'<>,;&]+"""
)


@attrs.frozen
class Verdict:
    """What one attempt found.

    Attributes:
        problem: What is wrong; empty if nothing is.
        status: Status of the answer; None without one.
        head: Beginning of the answer's body.
        is_refused: Whether the site asked for a login.
    """

    problem: str = ""
    status: int | None = None
    head: str = ""
    is_refused: bool = False


def verdict_of(check: Check, response: Response, body: bytes) -> Verdict:
    """Return what a check says of an answer.

    Args:
        check: The check.
        response: The answer.
        body: The part of its body that was read.
    """
    problem, is_refused = _refusal(check, response), False
    if problem:
        is_refused = True
    else:
        problem = _problem(check, response, body)
    return Verdict(problem, response.status, head_of(body) if problem else "", is_refused)


def redirect_of(check: Check, url: str, response: Response) -> str | None:
    """Return where a redirect within the site leads, if it is to be followed."""
    location = response.header("Location")
    if response.status not in _REDIRECTS or response.status in check.statuses or not location:
        return None
    target = urljoin(url, location)
    return target if _origin(target) == _origin(url) else None


def head_of(body: bytes) -> str:
    """Return the beginning of a body on one line, without what looks like a secret."""
    text = " ".join(printable(body[:_SEARCHED].decode("utf-8", "replace")).split())
    shown = _NAMED_SECRET.sub(r"\1[redacted]", redact(text, ()))
    return shown if len(shown) <= _HEAD else f"{shown[:_HEAD]}..."


def _refusal(check: Check, response: Response) -> str:
    """Say so if the site wants a login, which checks do not have."""
    if response.status in check.statuses:
        return ""
    challenge = response.header("WWW-Authenticate") or ""
    if response.status == 401 and challenge.lower().startswith("basic"):
        return (
            "the site asks for a password, and checks send none: the environment has password protection. Check it "
            "with a function that knows the password, or expect status=401"
        )
    host = urlsplit(response.header("Location") or "").hostname or ""
    if response.status in _REDIRECTS and (host == "contentstack.com" or host.endswith(".contentstack.com")):
        return (
            "the site sends visitors to log in at Contentstack, and checks have no login: the environment has "
            f"Contentstack authentication. Expect status={response.status}, or switch it off for this environment"
        )
    return ""


def _problem(check: Check, response: Response, body: bytes) -> str:
    if response.status not in check.statuses:
        wanted = listed(list(map(str, check.statuses)), 4)
        return f"status {response.status} instead of {wanted}{_elsewhere(response)}"
    for name, value in check.headers.items():
        found = response.header(name)
        if found is None:
            return f"it has no header {printable(name)}"
        if value is not None and found.strip() != value.strip():
            return f"its header {printable(name)} is {_short(found)} instead of {_short(value)}"
    if check.contains is not None and check.contains not in _text(response, body):
        return f"its body does not contain {_short(check.contains)}"
    return "" if check.json is UNSET else _json_problem(check.json, body)


def _text(response: Response, body: bytes) -> str:
    """Return a body as text, in the encoding that its Content-Type names."""
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
    return f", a redirect to {printable(host)[:100]}, which is not followed" if host else ", a redirect too many"


def _json_problem(wanted: JSONValue, body: bytes) -> str:
    try:
        found = load_json(body)
    except ValueError:
        return "its body is not JSON"
    place = _difference(wanted, found, "$")
    return f"its JSON is not as expected at {place}" if place else ""


def _difference(wanted: JSONValue, found: JSONValue, place: str) -> str:
    """Return the first place at which what was found lacks what is wanted; empty if it does not."""
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
    # As JSON, where true is not 1.
    return "" if json.dumps(wanted, sort_keys=True) == json.dumps(found, sort_keys=True) else place


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _short(text: str) -> str:
    shown = _NAMED_SECRET.sub(r"\1[redacted]", printable(text))
    return repr(shown if len(shown) <= 80 else f"{shown[:80]}...")
