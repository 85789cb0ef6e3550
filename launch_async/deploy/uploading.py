"""A ZIP gets to storage: sent again after a failure, to a new signed URL where the old one is of no use any more.

An upload is safe to repeat: nothing is created before its UID is used (FACTS §5). A broken connection is tried again
with the same URL while that is young; a URL that the storage refused, or that is nearly ten minutes old, is replaced.
Where storage says how long to wait, as it does when it is too busy, it is not asked earlier.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from launch_async.errors import StorageError
from launch_async.models.upload import SignedUploadUrl
from launch_async.resources.uploads import Uploads, nearly_over

__all__ = ["upload"]

_LOG: Final = logging.getLogger(__name__)
_TRIES: Final = 4
_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 600.0


async def upload(
    uploads: Uploads,
    signed_url: Callable[[], Awaitable[SignedUploadUrl]],
    file: Path,
    *,
    on_progress: Callable[[int], object] | None,
    remaining: Callable[[], float] = lambda: _LONGEST_PAUSE,
) -> str:
    """Send a ZIP to storage, by signed URLs of the right level, and return its upload UID.

    `remaining` says how many seconds are left. A pause that is longer than that is not begun.

    Raises:
        InvalidArgumentError: The file is not there, too small or too large.
        StorageError: The storage refused it or broke off, four times in all or for good.
        LaunchError: No signed URL was to be had.
    """
    signed = await signed_url()
    for attempt in itertools.count(1):
        try:
            await uploads.send(signed, file, on_progress=on_progress)
            break
        except StorageError as error:
            error.attempts = attempt
            if not error.retryable or attempt == _TRIES:
                raise
            pause = max(_PAUSE * 2 ** (attempt - 1) * random.random(), error.retry_after or 0.0)  # noqa: S311 - it spreads delays
            if pause >= remaining():
                raise
            _LOG.warning("Upload attempt %d of %d failed: %s", attempt, _TRIES, error.message)
            refused = error.status is not None and error.status < 500
        await asyncio.sleep(pause)
        if refused or nearly_over(signed):
            signed = await signed_url()
    return signed.upload_uid
