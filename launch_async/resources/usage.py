"""Usage of the quotas: `Launch Product Analytics` in the API reference."""

from __future__ import annotations

from typing import Final

from launch_async.http.operation import Operation
from launch_async.models.cache import CacheRevalidationUsage
from launch_async.resources._resource import Resource

__all__ = ["Usage"]

_REVALIDATIONS: Final = Operation("getCacheRevalidationUsage", "GET", "/usage-analytics/revalidate-cdn-cache")


class Usage(Resource):
    """The organization's quotas."""

    async def cache_revalidations(self) -> CacheRevalidationUsage:
        """Return the usage of the daily quota of cache revalidations.

        API: `getCacheRevalidationUsage`. The vendor does not document the scope; `launch:manage` suffices.
        """
        return await self._one(_REVALIDATIONS, CacheRevalidationUsage)
