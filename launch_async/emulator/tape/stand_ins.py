"""Stand-ins for texts: the same text gets the same stand-in everywhere, within one process.

A UID in a listing, in a path and in a log message therefore has one stand-in. A stand-in is a keyed hash. The key is
only in memory, so a reader of a tape cannot verify a guess.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote

from launch_async.emulator.tape.vocabulary import is_known

_KEY: Final = os.urandom(32)
_UID: Final = r"blt[0-9a-f]{16}|[0-9a-f]{24}"
_IS_UID: Final = re.compile(_UID)
# Each pattern can match only at the start of a token, so that the search takes linear time.
_RECOGNIZED: Final = re.compile(
    r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://\S+"
    r"|(?<!\S)[^\s@]+@[^\s@]+"
    rf"|(?<![0-9A-Za-z])(?:{_UID})(?![0-9A-Za-z])"
    r"|(?<![\w.-])(?!launch\.)(?:(?:[a-z0-9-]+\.)+[a-z]{2,24}|\d{1,3}(?:\.\d{1,3}){3})(?![\w.-])(?::\d+)?)"
)
_PUNCTUATION: Final = ".,;:!?()[]'\""
_PLACES: Final = frozenset({"projects", "environments", "deployments", "domains", "deploy"})
"""Segments of a path before a UID."""
_LITERAL: Final = "upload"
"""The only other segment after one of these."""


def word(text: str) -> str:
    """Return the stand-in for any text."""
    return f"masked_{_digest(text)[:12]}" if text else ""


def is_uid(text: str) -> bool:
    """Return whether a text has the form of a UID."""
    return _IS_UID.fullmatch(text) is not None


def uid(text: str) -> str:
    """Return the stand-in for a UID, in the form of a UID of the same kind. A UID of zeros stays unchanged."""
    if not text.removeprefix("blt").strip("0"):
        return text
    return f"blt{_digest(text)[:16]}" if text.startswith("blt") and is_uid(text) else _digest(text)[:24]


def commit(text: str) -> str:
    """Return the stand-in for a commit hash, of the same length.

    The stand-in for a short hash is the beginning of the stand-in for the full hash.
    """
    return (_digest(text[:7])[:7] + "0" * len(text))[: len(text)]


def mail(text: str) -> str:
    """Return the stand-in for an e-mail address."""
    return f"{word(text)}@mail.invalid"


def host(text: str) -> str:
    """Return the stand-in for a host. Hosts with different ports have different stand-ins."""
    name = re.sub(r":(?:80|443)$", "", text.rpartition("@")[2].lower())
    return f"host-{_digest(name)[:12]}.invalid" if name else ""


def url(text: str) -> str:
    """Return the stand-in for a URL, or for a host with a path. Query and fragment are removed."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        rest = text
    rest, _, _ = rest.partition("#")
    rest, question, _ = rest.partition("?")
    place, slash, inside = rest.partition("/")
    beginning = f"{scheme if scheme == 'http' else 'https'}://" if mark else ""
    return f"{beginning}{host(place)}{slash}{path(inside)}{'?masked' if question else ''}"


def path(text: str) -> str:
    """Return a path, with a stand-in for each segment that does not consist of known words."""
    return "/".join(_segments(text.split("/")))


def _segments(segments: Iterable[str]) -> Iterator[str]:
    before = ""
    for segment in segments:
        if not segment or (is_known(segment) and (before not in _PLACES or segment == _LITERAL)):
            yield segment
        else:
            given = unquote(segment)
            yield uid(given) if before in _PLACES or is_uid(given) else word(given)
        before = segment


def sentence(text: str) -> str:
    """Return a message with its known words, and stand-ins for UIDs, addresses and each run of other words."""
    parts = enumerate(_RECOGNIZED.split(text))
    return "".join(_address(part) if position % 2 else _words(part) for position, part in parts)


def _address(found: str) -> str:
    if is_uid(found):
        return uid(found)
    if "://" in found:
        return url(found)
    return mail(found) if "@" in found else host(found)


def _words(part: str) -> str:
    """Mask each run of unknown words, and reduce white space to single spaces."""
    shown: list[str] = []
    run: list[str] = []
    for piece in part.split():
        core = piece.strip(_PUNCTUATION)
        if core and not _is_plain(core):
            run.append(piece)
            continue
        if run:
            shown.append(word(" ".join(run)))
            run.clear()
        shown.append(piece)
    if run:
        shown.append(word(" ".join(run)))
    return f"{' ' if part[:1].isspace() else ''}{' '.join(shown)}{' ' if part[-1:].isspace() and shown else ''}"


def _is_plain(core: str) -> bool:
    """Return whether a word of a message is known. A word that contains a full stop is unknown: it may be a host."""
    return is_known(core) and (core.startswith("launch.") or "." not in core)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=_KEY, digest_size=32).hexdigest()
