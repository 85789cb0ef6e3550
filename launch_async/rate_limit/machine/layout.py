"""The layout of a budget's file: a header with the version and a checksum, numbers, slots, reservations."""

from __future__ import annotations

import operator
import struct
import zlib
from array import array
from typing import Final

from launch_async.rate_limit.shared.state import BudgetState, Reservation, SlotOut

__all__ = ["pack", "unpack"]

_HEADER: Final = struct.Struct("<4sIII")
_FIGURES: Final = struct.Struct("<dqqddddddd2qdd5d3q3q")
_SLOT: Final = struct.Struct("<qdd?")
_RESERVATION: Final = struct.Struct("<QBqd")
_NAMES: Final = (
    "written",
    "number",
    "ticket",
    "paused_until",
    "spaced_until",
    "last",
    "full_until",
    "next_poll",
    "low",
    "since",
    "stated",
    "lowest",
    "per",
    "agreed_until",
    "turned",
    "shortest",
    "shortest_before",
    "longest",
    "longest_before",
)
"""The attributes of the state that are single numbers, in the order of the file."""
_figures_of: Final = operator.attrgetter(*_NAMES)
_MEANING: Final = 1
"""Increase this number if the meaning of a field changes."""
_VERSION: Final = zlib.crc32(f"{_MEANING} {_FIGURES.format} {_SLOT.format} {_RESERVATION.format}".encode())


def pack(state: BudgetState) -> bytes:
    """Return the content of the file."""
    body = b"".join(
        [
            _FIGURES.pack(
                *_figures_of(state),
                *state.passed_over,
                len(state.frees),
                len(state.out),
                len(state.reservations),
            ),
            state.frees.tobytes(),
            *(_SLOT.pack(number, slot.at, slot.free, slot.is_poll) for number, slot in state.out.items()),
            *(
                _RESERVATION.pack(reservation.worker, reservation.priority, reservation.ticket, reservation.at)
                for reservation in state.reservations
            ),
        ]
    )
    return _HEADER.pack(b"CSLB", _VERSION, len(body), zlib.crc32(body)) + body


def unpack(content: bytes) -> BudgetState | None:
    """Return the state from the content of a file; None if the content has another version or is damaged."""
    if len(content) < _HEADER.size:
        return None
    magic, version, length, checksum = _HEADER.unpack_from(content)
    body = content[_HEADER.size : _HEADER.size + length]
    if (magic, version) != (b"CSLB", _VERSION) or len(body) != length or zlib.crc32(body) != checksum:
        return None
    *figures, interactive, write, poll, frees, out, _ = _FIGURES.unpack_from(body)
    slots_at = _FIGURES.size + 8 * frees
    reservations_at = slots_at + _SLOT.size * out
    state = BudgetState.begin(0.0)
    for name, figure in zip(_NAMES, figures, strict=True):
        setattr(state, name, figure)
    state.passed_over = [interactive, write, poll]
    state.frees = array("d", body[_FIGURES.size : slots_at])
    state.out = {number: SlotOut(*slot) for number, *slot in _SLOT.iter_unpack(body[slots_at:reservations_at])}
    state.reservations = [Reservation(*fields) for fields in _RESERVATION.iter_unpack(body[reservations_at:])]
    return state
