"""Type checks of decoded JSON values."""

from typing import cast


def as_object(value: object) -> dict[str, object] | None:
    """Return ``value`` if it is a JSON object, otherwise None."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object] | None:
    """Return ``value`` if it is a JSON array, otherwise None."""
    return cast("list[object]", value) if isinstance(value, list) else None
