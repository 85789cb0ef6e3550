"""The CDN cache: the daily quota of revalidations."""

from __future__ import annotations

import attrs

from launch_async._views import Displayable
from launch_async.models.base import JSONValue, WireModel


@attrs.frozen(slots=False, kw_only=True)
class CacheRevalidationUsage(Displayable, WireModel):
    """The usage of the organization's daily quota of cache revalidations (`CacheRevalidationUsage` in `openapi.yaml`).

    Attributes:
        current_cache_revalidations: Revalidations so far.
        max_cache_revalidations: Revalidations allowed.
        usage_reset: Time at which counting starts again, unchanged. Whether it is a date or an epoch is not documented.
    """

    current_cache_revalidations: int | None = None
    max_cache_revalidations: int | None = None
    usage_reset: JSONValue = None

    @property
    def remaining(self) -> int | None:
        """Revalidations that are left; None if the service does not send both figures."""
        if self.current_cache_revalidations is None or self.max_cache_revalidations is None:
            return None
        return max(0, self.max_cache_revalidations - self.current_cache_revalidations)
