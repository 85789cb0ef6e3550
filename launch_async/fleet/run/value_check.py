"""Whether the values of variables are those that a run began with, told by a mark that gives no value away.

A journal holds no value. It holds a mark of all values together, with a salt of its own, made slowly (scrypt). Other
values have another mark. The mark has 32 bits, so that many guesses fit it, and nobody can tell which is right.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Final

__all__ = ["fits", "mark_of"]

_COST: Final = 2**14
_BYTES: Final = 4


def mark_of(values: Mapping[str, str]) -> dict[str, str]:
    """Return a mark of some values, for a journal."""
    salt = secrets.token_bytes(16)
    return {"salt": salt.hex(), "mark": _mark(values, salt)}


def fits(values: Mapping[str, str], mark: Mapping[str, str]) -> bool:
    """Return whether a mark is of these values."""
    return _mark(values, bytes.fromhex(mark["salt"])) == mark["mark"]


def _mark(values: Mapping[str, str], salt: bytes) -> str:
    text = json.dumps(sorted(values.items())).encode()
    return hashlib.scrypt(text, salt=salt, n=_COST, r=8, p=1, dklen=_BYTES).hex()
