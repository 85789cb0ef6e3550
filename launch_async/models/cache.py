"""The CDN cache: what to purge, and how much of the daily quota is used."""

from __future__ import annotations

import attrs

from launch_async._views import Displayable
from launch_async.models.base import JSONValue, WireModel


@attrs.frozen(slots=False, kw_only=True)
class CacheRevalidationUsage(Displayable, WireModel):
    """How much of the organization's daily quota is used (`CacheRevalidationUsage` in `openapi.yaml`).

    Attributes:
        current_cache_revalidations: Revalidations so far.
        max_cache_revalidations: Revalidations allowed.
        usage_reset: When counting starts anew, as the service sends it (FACTS §11 row 23).
    """

    current_cache_revalidations: int | None = None
    max_cache_revalidations: int | None = None
    usage_reset: JSONValue = None

    @property
    def remaining(self) -> int | None:
        """Revalidations that are left; None where the service does not say."""
        if self.current_cache_revalidations is None or self.max_cache_revalidations is None:
            return None
        return max(0, self.max_cache_revalidations - self.current_cache_revalidations)
