"""A ZIP writer that compresses in several threads. Its output depends only on names, modes and contents.

The writer of the standard library compresses in the calling thread and stores the current time. This writer reads,
hashes and compresses files in up to four threads (zlib and system calls release the interpreter lock), and writes them
in the given order. It splits a large file into blocks of 1 MiB and compresses the blocks in parallel. The dictionary of
each block is the last 32 KiB of the block before. The writer then joins the blocks to one deflate stream, as pigz does.
The memory use is therefore limited, and the ZIP is hardly larger than without blocks.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import BinaryIO, NamedTuple

from launch_async.archive.entries import ArchiveEntry, refused
from launch_async.errors import ArchiveError

__all__ = ["Container", "SizeExceeded", "open_member", "pack", "read_head"]

BLOCK = 1 << 20
_BATCH_FILES = 64
_DICTIONARY_BYTES = 1 << 15
_THREADS = min(os.cpu_count() or 1, 4)
_MOST_PENDING = 2 * _THREADS + 1

_STORED, _DEFLATED = 0, 8
_UTF8_NAME = 0x0800
_TIME, _DATE = 0, 0x0021  # 1980-01-01 00:00, the earliest time that a ZIP can store.
_MADE_BY_UNIX = 3 << 8
_LIMIT_16, _LIMIT_32 = 0xFFFF, 0xFFFFFFFF
_PADDING = b"Padding up to the minimum size of an upload."
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")


class SizeExceeded(Exception):
    """The ZIP is larger than the limit."""


def identity_of(info: os.stat_result) -> tuple[int, ...]:
    """Return values that change if a file is replaced or changed."""
    return info.st_ino, info.st_dev, info.st_size, info.st_mtime_ns


def pack(
    root: str,
    members: Sequence[ArchiveEntry],
    out: BinaryIO,
    *,
    level: int,
    limit: int,
    pad_to: int,
    checkpoint: Callable[[], None],
) -> list[bytes]:
    """Write a ZIP of `members` in their order, and return the SHA-256 of the content of each file.

    The function calls `checkpoint` between files and between the blocks of a large file. `checkpoint` may raise to stop
    the function. An archive comment enlarges a smaller ZIP to `pad_to` bytes.

    Raises:
        ArchiveError: A file vanished, changed or cannot be read.
        SizeExceeded: The ZIP would have more than `limit` bytes.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="launch-archive") as pool:
        packer = _Packer(root, Container(out, limit=limit), pool, level)
        writes: deque[Callable[[], None]] = deque()
        try:
            for write in packer.writes(members):
                checkpoint()
                writes.append(write)
                if len(writes) > _MOST_PENDING:
                    writes.popleft()()
            while writes:
                writes.popleft()()
                checkpoint()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    packer.container.finish(pad_to=pad_to)
    return packer.digests


class _Packed(NamedTuple):
    member: ArchiveEntry
    method: int
    crc: int
    digest: bytes
    data: bytes


class _Packer:
    """Starts to compress the files in order, and yields the functions that write them, in the same order."""

    def __init__(self, root: str, container: Container, pool: ThreadPoolExecutor, level: int) -> None:
        self.container = container
        self.digests: list[bytes] = []
        self._root = root
        self._pool = pool
        self._level = level

    def writes(self, members: Sequence[ArchiveEntry]) -> Iterator[Callable[[], None]]:
        batch: list[ArchiveEntry] = []
        size = 0
        for member in members:
            if batch and (size + member.size > BLOCK or len(batch) == _BATCH_FILES):
                yield self._start_batch(batch)
                batch, size = [], 0
            if member.size > BLOCK:
                yield from self._large(member)
            else:
                batch.append(member)
                size += member.size
        if batch:
            yield self._start_batch(batch)

    def _start_batch(self, batch: list[ArchiveEntry]) -> Callable[[], None]:
        return partial(self._write_batch, self._pool.submit(_pack_batch, self._root, batch, self._level))

    def _write_batch(self, packed: Future[list[_Packed]]) -> None:
        for one in packed.result():
            self.container.add(one.member.path, one.member.mode, one.method, one.crc, one.member.size, one.data)
            self.digests.append(one.digest)

    def _large(self, member: ArchiveEntry) -> Iterator[Callable[[], None]]:
        yield partial(self.container.begin, member.path, member.mode, member.size)
        crc, digest, dictionary, left = 0, hashlib.sha256(), b"", member.size
        with open_member(self._root, member.path, member.identity) as file:
            while left:
                block = _next_block(file, member.path, min(BLOCK, left))
                if not block:
                    raise _changed(member.path)
                left -= len(block)
                compressed = self._pool.submit(_deflate_block, block, dictionary, self._level, last=not left)
                crc = zlib.crc32(block, crc)
                digest.update(block)
                dictionary = block[-_DICTIONARY_BYTES:]
                yield partial(self._write_block, compressed)
            _check_unchanged(file.fileno(), member)
        yield partial(self._end, crc, digest.digest())

    def _write_block(self, compressed: Future[bytes]) -> None:
        self.container.write(compressed.result())

    def _end(self, crc: int, digest: bytes) -> None:
        self.container.end(crc)
        self.digests.append(digest)


def _next_block(file: BinaryIO, name: str, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise _unreadable(name, error) from error


def _deflate_block(block: bytes, dictionary: bytes, level: int, *, last: bool) -> bytes:
    # zlib refuses an empty dictionary, so the first block has no dictionary.
    options = (dictionary,) if dictionary else ()
    deflate = zlib.compressobj(
        level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, *options
    )
    return deflate.compress(block) + deflate.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


def _pack_batch(root: str, batch: list[ArchiveEntry], level: int) -> list[_Packed]:
    return [_pack_small(root, member, level) for member in batch]


def _pack_small(root: str, member: ArchiveEntry, level: int) -> _Packed:
    # For a small file, creating a file object would take as long as reading the content.
    descriptor = _open(root, member.path, member.identity)
    try:
        content = _read(descriptor, member.path, member.size + 1)
        _check_unchanged(descriptor, member)
    finally:
        os.close(descriptor)
    if len(content) != member.size:
        raise _changed(member.path)
    method, data = _DEFLATED, zlib.compress(content, level, -zlib.MAX_WBITS)
    if len(data) >= len(content):
        method, data = _STORED, content
    return _Packed(member, method, zlib.crc32(content), hashlib.sha256(content).digest(), data)


def open_member(root: str, name: str, identity: tuple[int, ...]) -> BinaryIO:
    """Open a listed file for reading. The function does not follow links and does not wait for a pipe."""
    # The file is buffered, because a raw file may return fewer bytes than requested.
    return os.fdopen(_open(root, name, identity), "rb", buffering=8192)


def read_head(root: str, name: str, identity: tuple[int, ...], size: int) -> bytes:
    """Return the first `size` bytes of a listed file, opened as by `open_member`."""
    descriptor = _open(root, name, identity)
    try:
        return _read(descriptor, name, size)
    finally:
        os.close(descriptor)


def _open(root: str, name: str, identity: tuple[int, ...]) -> int:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(f"{root}/{name}", flags)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}:
            raise _changed(name) from error
        raise _unreadable(name, error) from error
    info = os.fstat(descriptor)
    # The inode also shows whether a parent folder was replaced by a link.
    if not stat.S_ISREG(info.st_mode) or identity_of(info) != identity:
        os.close(descriptor)
        raise _changed(name)
    return descriptor


def _read(descriptor: int, name: str, size: int) -> bytes:
    try:
        content = os.read(descriptor, size)
        while len(content) < size and (more := os.read(descriptor, size - len(content))):
            content += more
    except OSError as error:
        raise _unreadable(name, error) from error
    return content


def _check_unchanged(descriptor: int, member: ArchiveEntry) -> None:
    if identity_of(os.fstat(descriptor)) != member.identity:
        raise _changed(member.path)


def _unreadable(name: str, error: OSError) -> ArchiveError:
    problem = f"cannot be read ({error.strerror}). Give your user read permission, or list the file in .launchignore"
    return refused("folder", name, problem)


def _changed(name: str) -> ArchiveError:
    return refused(
        "folder",
        name,
        "changed or vanished while the SDK made the archive. Stop the program that writes to the folder (a build, a "
        "watcher), then try again",
    )


class Container:
    """The ZIP format: a header before each file, and a directory at the end (APPNOTE.TXT 6.3.10, section 4.3)."""

    def __init__(self, out: BinaryIO, *, limit: int) -> None:
        """Start a ZIP of at most `limit` bytes in an empty, seekable file."""
        self._out = out
        self._limit = limit
        self._offset = 0
        self._directory: list[bytes] = []
        self._directory_size = 0
        self._open: tuple[bytes, int, int, int] = b"", 0, 0, 0

    def add(self, name: str, mode: int, method: int, crc: int, size: int, data: bytes) -> None:
        """Append one compressed file. `size` is its uncompressed size in bytes, below 4 GiB."""
        encoded = name.encode()
        start = self._offset
        self.write(_local_header(encoded, method, crc, size, len(data)))
        self.write(data)
        self._list(encoded, mode, method, crc, size, len(data), start)

    def begin(self, name: str, mode: int, size: int) -> None:
        """Start one deflated file. Pass its data to `write`, then call `end`. `size` is its uncompressed size."""
        encoded = name.encode()
        self._open = encoded, mode, size, self._offset
        self.write(_local_header(encoded, _DEFLATED, 0, size, 0))

    def write(self, data: bytes) -> None:
        """Append bytes to the ZIP."""
        self._offset += len(data)
        if self._offset + self._directory_size + _END.size > self._limit:
            raise SizeExceeded
        self._out.write(data)

    def end(self, crc: int) -> None:
        """Complete the file that `begin` started."""
        encoded, mode, size, start = self._open
        compressed = self._offset - start - len(_local_header(encoded, _DEFLATED, 0, size, 0))
        self._out.seek(start)
        self._out.write(_local_header(encoded, _DEFLATED, crc, size, compressed))
        self._out.seek(self._offset)
        self._list(encoded, mode, _DEFLATED, crc, size, compressed, start)

    def finish(self, *, pad_to: int = 0) -> None:
        """Write the directory, and an archive comment that enlarges a smaller ZIP to `pad_to` bytes."""
        start, count, size = self._offset, len(self._directory), self._directory_size
        directory, self._directory_size = self._directory, 0
        self.write(b"".join(directory))
        if count >= _LIMIT_16:
            end_64 = self._offset
            self.write(_END_64.pack(b"PK\x06\x06", _END_64.size - 12, 45, 45, 0, 0, count, count, size, start))
            self.write(_LOCATOR_64.pack(b"PK\x06\x07", 0, end_64, 1))
        shown = min(count, _LIMIT_16)
        comment = _PADDING.ljust(_LIMIT_16)[: max(0, pad_to - self._offset - _END.size)]
        self.write(_END.pack(b"PK\x05\x06", 0, 0, shown, shown, size, start, len(comment)) + comment)

    def _list(self, name: bytes, mode: int, method: int, crc: int, size: int, compressed: int, start: int) -> None:
        extra = struct.pack("<2HQ", 1, 8, size) if size >= _LIMIT_32 else b""
        version = 45 if extra else 20
        header = _CENTRAL.pack(
            b"PK\x01\x02", _MADE_BY_UNIX | version, version, _UTF8_NAME, method, _TIME, _DATE, crc, compressed,
            min(size, _LIMIT_32), len(name), len(extra), 0, 0, 0, (stat.S_IFREG | mode) << 16, start,
        )  # fmt: skip
        self._directory.append(header + name + extra)
        self._directory_size += len(self._directory[-1])


def _local_header(name: bytes, method: int, crc: int, size: int, compressed: int) -> bytes:
    if size < _LIMIT_32:
        extra, version, shown = b"", 20, (compressed, size)
    else:
        extra, version, shown = struct.pack("<2H2Q", 1, 16, size, compressed), 45, (_LIMIT_32, _LIMIT_32)
    fields = (version, _UTF8_NAME, method, _TIME, _DATE, crc, *shown, len(name), len(extra))
    return _LOCAL.pack(b"PK\x03\x04", *fields) + name + extra
