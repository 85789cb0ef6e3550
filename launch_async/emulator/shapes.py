"""What a decoded JSON value is, so that the rest can work with real types."""

from typing import cast


def as_object(value: object) -> dict[str, object] | None:
    """``value`` if it is a JSON object."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object] | None:
    """``value`` if it is a JSON array."""
    return cast("list[object]", value) if isinstance(value, list) else None
