"""A file as a request body."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

__all__ = ["FileBody"]


@attrs.frozen
class FileBody:
    """A file as a request body. The transport reads the file from disk each time that it sends the request.

    Attributes:
        path: Path of the file.
        size: Size of the file in bytes. The transport must send exactly this number of bytes.
        fields: Fields of the form, which the transport must send before the file.
        form: Whether the body is a form (multipart/form-data) with the file as its last part, named `file`. Otherwise
            the body is the file itself.
        on_progress: If set, the transport calls it on the event loop with the number of bytes sent so far.
        idle_timeout: The transport must raise `AttemptTimeout` after this many seconds without a sent byte.
    """

    path: Path
    size: int
    fields: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    form: bool = False
    on_progress: Callable[[int], object] | None = None
    idle_timeout: float = 120.0
