"""Check whether values of variables are those that a run began with, without storing a value.

A journal contains a hash of all values together, salted and computed slowly (scrypt). Other values have another hash.
The hash has 32 bits, so many guesses match it, and it does not show which guess is right.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Final

__all__ = ["hash_of", "is_hash_of"]

_SCRYPT_COST: Final = 2**14
_HASH_BYTES: Final = 4


def hash_of(values: Mapping[str, str]) -> dict[str, str]:
    """Return the salted hash of values, for a journal."""
    salt = secrets.token_bytes(16)
    return {"salt": salt.hex(), "mark": _mark(values, salt)}


def is_hash_of(values: Mapping[str, str], mark: Mapping[str, str]) -> bool:
    """Return whether a hash belongs to these values."""
    return _mark(values, bytes.fromhex(mark["salt"])) == mark["mark"]


def _mark(values: Mapping[str, str], salt: bytes) -> str:
    text = json.dumps(sorted(values.items())).encode()
    return hashlib.scrypt(text, salt=salt, n=_SCRYPT_COST, r=8, p=1, dklen=_HASH_BYTES).hex()
