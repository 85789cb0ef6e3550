"""Translate the patterns of ignore files to regular expressions over bytes, with the rules of git's `wildmatch.c`.

No pattern is slow, because `*` and `**/` are atomic groups: each stops at the first place where the next part of the
pattern matches, and never tries a later place. No match is lost, because a later place leaves less of the path for the
rest of the pattern. The time is therefore at most proportional to the length of the pattern times the length of the
path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

__all__ = ["compile_glob", "literal_length"]

_SPECIAL = re.compile(rb"[*?\[\\]")
_NOT_SLASH = rb"[^/]"
_NEVER = rb"(?!)"
_SLASH = ord("/")


def _members(condition: str) -> frozenset[int]:
    return frozenset(re.sub(rb"[^%s]" % condition.encode(), b"", bytes(range(128))))


# The character types of git (git-compat-util.h): they contain only ASCII, and \v and \f are not spaces.
_CLASSES = {
    b"alnum": _members(r"0-9A-Za-z"),
    b"alpha": _members(r"A-Za-z"),
    b"blank": _members(r" \t"),
    b"cntrl": _members(r"\x00-\x1f\x7f"),
    b"digit": _members(r"0-9"),
    b"graph": _members(r"!-~"),
    b"lower": _members(r"a-z"),
    b"print": _members(r" -~"),
    b"punct": _members(r"!-/:-@\[-`{-~"),
    b"space": _members(r" \t\n\r"),
    b"upper": _members(r"A-Z"),
    b"xdigit": _members(r"0-9A-Fa-f"),
}


class _Malformed(Exception):
    """The pattern ends within brackets or after a backslash, or has an unknown class, so it matches no path."""


@attrs.frozen
class _Byte:
    """One byte of the path: `regex` matches it. `value` is the byte if `regex` matches only one."""

    regex: bytes
    value: int | None = None


@attrs.frozen
class _Stars:
    """`*` within one name, or `**` with the slash after it. For `**`, `skip` is the expression for the folders."""

    skip: bytes = b""


_Token = _Byte | _Stars


def literal_length(pattern: bytes) -> int:
    """Return the number of bytes before the first wildcard or backslash of the pattern."""
    found = _SPECIAL.search(pattern)
    return found.start() if found else len(pattern)


def compile_glob(pattern: bytes) -> re.Pattern[bytes] | None:
    """Return a regular expression that matches the whole path; None if the pattern matches no path.

    Args:
        pattern: Pattern without a slash at its beginning or end. Git compares the part before the first wildcard
            separately, so `a**/x` means `a` followed by `**/x`.
    """
    literal = literal_length(pattern)
    try:
        tokens = list(_tokens(pattern[literal:]))
    except _Malformed:
        return None
    return re.compile(re.escape(pattern[:literal]) + b"".join(_groups(tokens)) + rb"\Z", re.DOTALL)


def _tokens(pattern: bytes) -> Iterator[_Token]:
    at, end = 0, len(pattern)
    while at < end:
        letter = pattern[at : at + 1]
        if letter == b"*":
            begin = at
            while pattern[at : at + 1] == b"*":
                at += 1
            bounded = at - begin > 1 and (begin == 0 or pattern[begin - 1] == _SLASH)
            if bounded and at == end:
                yield _Stars(b".*")
            elif bounded and pattern[at] == _SLASH:
                yield _Stars(b"(?:[^/]*/)*?")
                at += 1
            elif bounded and pattern.startswith(b"\\/", at):
                yield _Stars(b"(?:[^/]*/)+?")  # In git, this pattern needs at least one folder.
                at += 2
            else:
                yield _Stars()
        elif letter == b"[":
            regex, at = _brackets(pattern, at + 1)
            yield _Byte(regex)
        elif letter == b"?":
            yield _Byte(_NOT_SLASH)
            at += 1
        else:
            at += letter == b"\\"
            if at == end:
                raise _Malformed
            yield _Byte(re.escape(pattern[at : at + 1]), pattern[at])
            at += 1


def _brackets(pattern: bytes, at: int) -> tuple[bytes, int]:
    """Return the regular expression for a bracket expression, and the position after it."""

    def byte_at(place: int) -> int:
        if place >= len(pattern):
            raise _Malformed
        return pattern[place]

    negated = byte_at(at) in b"!^"
    at += negated
    first = at
    members: set[int] = set()
    range_start: int | None = None
    while (letter := byte_at(at)) != ord("]") or at == first:
        if letter == ord("\\"):
            at += 1
            range_start = byte_at(at)
            members.add(range_start)
        elif letter == ord("-") and range_start is not None and byte_at(at + 1) != ord("]"):
            at += 1
            if byte_at(at) == ord("\\"):
                at += 1
            members.update(range(range_start, byte_at(at) + 1))
            range_start = None
        elif letter == ord("[") and byte_at(at + 1) == ord(":"):
            close = pattern.find(b"]", at + 2)
            name = pattern[at + 2 : close]
            if close < 0 or (name.endswith(b":") and name[:-1] not in _CLASSES):
                raise _Malformed
            if name.endswith(b":"):
                members |= _CLASSES[name[:-1]]
                at, range_start = close, None
            else:
                members.add(letter)
                range_start = letter
        else:
            members.add(letter)
            range_start = letter
        at += 1
    if negated:
        members = set(range(256)) - members
    members.discard(_SLASH)
    return (b"[" + b"".join(b"\\x%02x" % one for one in sorted(members)) + b"]" if members else _NEVER), at + 1


def _groups(tokens: list[_Token]) -> Iterator[bytes]:
    """Split the pattern at `**`. Each part matches at the first possible place."""
    skip = b""
    group: list[_Token] = []
    for token in tokens:
        if isinstance(token, _Stars) and token.skip:
            yield b"(?>%s%s)" % (skip, _names(group))
            skip, group = token.skip, []
        else:
            group.append(token)
    yield skip + _names(group)


def _names(tokens: list[_Token]) -> bytes:
    """Return the expression for names and the slashes between them. Each `*` takes its first possible match."""
    out: list[bytes] = []
    piece: list[bytes] = []
    after_star = False
    for token in tokens:
        if isinstance(token, _Stars):
            out.append(_piece(piece, after_star=after_star, ends_name=False))
            piece, after_star = [], True
        else:
            piece.append(token.regex)
            if token.value == _SLASH:
                out.append(_piece(piece, after_star=after_star, ends_name=True))
                piece, after_star = [], False
    out.append(_piece(piece, after_star=after_star, ends_name=True))
    return b"".join(out)


def _piece(piece: list[bytes], *, after_star: bool, ends_name: bool) -> bytes:
    regex = b"".join(piece)
    if not after_star:
        return regex
    # The last piece must match at the end of the name. Every other piece matches at the first possible place.
    return (b"[^/]*%s" if ends_name else b"(?>[^/]*?%s)") % regex
