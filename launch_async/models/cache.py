"""The CDN cache: the daily quota of revalidations."""

from __future__ import annotations

import attrs

from launch_async._views import Displayable
from launch_async.models.base import JSONValue, WireModel


@attrs.frozen(slots=False, kw_only=True)
class CacheRevalidationUsage(Displayable, WireModel):
    """The usage of the organization's daily quota of cache revalidations (`CacheRevalidationUsage` in `openapi.yaml`).

    Attributes:
        current_cache_revalidations: Number of revalidations since the last reset.
        max_cache_revalidations: Number of revalidations that are allowed until the next reset.
        usage_reset: Time at which the count starts again, as the service sends it. The vendor does not document whether
            the value is a date or a number of seconds since 1970.
    """

    current_cache_revalidations: int | None = None
    max_cache_revalidations: int | None = None
    usage_reset: JSONValue = None

    @property
    def remaining(self) -> int | None:
        """Number of revalidations that are left; None if the service does not send both numbers."""
        if self.current_cache_revalidations is None or self.max_cache_revalidations is None:
            return None
        return max(0, self.max_cache_revalidations - self.current_cache_revalidations)
