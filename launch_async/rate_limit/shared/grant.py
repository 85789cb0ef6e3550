"""A slot of the shared budget that was given to one process for good."""

from __future__ import annotations

import attrs

__all__ = ["Grant"]


@attrs.define(eq=False, kw_only=True)
class Grant:
    """A slot that was given for good; number 0 if it is of the local share.

    Attributes:
        number: Its number in the shared state.
        not_before: When it begins, by the loop's clock.
        not_after: From when on it would be too late to be sure how long the service counts the request.
        sent_at: When the request left.
    """

    number: int
    not_before: float
    not_after: float
    sent_at: float = 0.0
