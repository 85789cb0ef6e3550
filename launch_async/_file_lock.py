"""A lock on an open file. The lock ends when the file is closed or its process dies, and not before.

A `flock` lock belongs to the open file. It stays if the process closes another descriptor of the same file. (A `fcntl`
lock would end.) Over NFS, Linux asks the server to lock the file. On Windows, the lock covers one byte far behind the
end, so other processes can still read the file. The Windows lock was not tested.

docs/decisions/0028-file-locks.md explains why the SDK uses no library for this.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Final

__all__ = ["NoFileLocks", "lock", "unlock"]

_TAKEN: Final = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


class NoFileLocks(OSError):
    """This platform has no file locks."""


def lock(descriptor: int) -> bool:
    """Lock a file that is open for writing, without waiting.

    Return False if another process, or another open file of this process, holds the lock.

    Raises:
        NoFileLocks: The platform has neither `flock` nor the locks of Windows.
        OSError: The file system does not support locks, or the lock failed for another reason.
    """
    try:
        _lock(descriptor)
    except ImportError as error:
        raise NoFileLocks(errno.ENOTSUP, "this platform has no file locks") from error
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def unlock(descriptor: int) -> None:
    """Release a lock before the file is closed."""
    with contextlib.suppress(OSError):
        _unlock(descriptor)


if sys.platform == "win32":
    _FAR_BEHIND: Final = 0x7FFF0000

    def _lock(descriptor: int) -> None:
        import msvcrt

        os.lseek(descriptor, _FAR_BEHIND, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        import msvcrt

        os.lseek(descriptor, _FAR_BEHIND, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:

    def _lock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)
