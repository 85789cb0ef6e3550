"""A lock on an open file that is gone when the file is closed or its process dies, and not before.

`flock` belongs to the open file: closing another descriptor of the same file, even in the same process, leaves it.
(A lock by `fcntl` would be lost then.) Over NFS, Linux asks the server to lock the file. On Windows a byte far behind
the end is locked, so that everybody can still read the file; that was not tried.
"""

from __future__ import annotations

import errno
import sys
from io import FileIO

__all__ = ["lock"]


def lock(file: FileIO) -> bool:
    """Lock a file that is open for writing, without waiting; return False if somebody else has locked it.

    Raises:
        OSError: It cannot be locked here.
    """
    try:
        _lock(file)
    except ImportError as error:
        raise OSError(errno.ENOTSUP, "this platform has no file locks") from error
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


if sys.platform == "win32":

    def _lock(file: FileIO) -> None:
        import msvcrt

        file.seek(0x7FFF0000)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: FileIO) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
