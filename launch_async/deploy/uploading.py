"""Upload a ZIP to storage, with retries.

An upload is safe to repeat: the service creates nothing before its UID is used. After a broken connection,
the SDK uses the same signed URL again. It requests a new URL if the storage refused the old URL, or if the old URL is
nearly ten minutes old. If the storage says how long to wait, the SDK waits that long.
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
from launch_async.resources.uploads import Uploads, is_too_old

__all__ = ["upload"]

_LOG: Final = logging.getLogger(__name__)
_TRIES: Final = 4
_PAUSE_S: Final = 0.5
_MAX_PAUSE_S: Final = 600.0


async def upload(
    uploads: Uploads,
    signed_url: Callable[[], Awaitable[SignedUploadUrl]],
    file: Path,
    *,
    on_progress: Callable[[int], object] | None,
    remaining: Callable[[], float] = lambda: _MAX_PAUSE_S,
) -> str:
    """Send a ZIP to storage with signed URLs, and return its upload UID.

    `remaining` returns the seconds that are left. The upload fails instead of starting a longer pause.

    Raises:
        InvalidArgumentError: The file does not exist, or is too small or too large.
        StorageError: The upload failed four times, or with an error that a retry cannot fix.
        LaunchError: The service returned no signed URL.
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
            pause = max(_PAUSE_S * 2 ** (attempt - 1) * random.random(), error.retry_after or 0.0)  # noqa: S311 - jitter, not a secret
            if pause >= remaining():
                raise
            _LOG.warning("Upload attempt %d of %d failed; the SDK tries again: %s", attempt, _TRIES, error.message)
            refused = error.status is not None and error.status < 500
        await asyncio.sleep(pause)
        if refused or is_too_old(signed):
            signed = await signed_url()
    return signed.upload_uid
