"""The disk of a world: real files on a disk that is sometimes full, and torn writes of killed processes."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Generator
from io import FileIO
from typing import Any
from unittest import mock

from launch_async.deploy.release import journal as _release_journal
from launch_async.fleet.journal import file as _journal_file
from tests.worlds.chance import Chance
from tests.worlds.process import running_process

__all__ = ["Disk"]


class Disk:
    """The disk that contains the journals of a world.

    Args:
        chance: Determines how much of a failed write is written.
        on_torn: Called when a process was killed in the middle of a write. Its file looks like a copy after that.

    Attributes:
        is_full: Whether the disk is full.
        torn: Share of the writes during which a process is killed, by its name.
    """

    def __init__(self, chance: Chance, on_torn: Callable[[], object]) -> None:
        self.is_full = False
        self.torn: dict[str, float] = {}
        self._chance = chance
        self._on_torn = on_torn

    @contextlib.contextmanager
    def in_use(self) -> Generator[None]:
        """Write journals to this disk, without waiting for a real disk."""
        disk = self

        class File(FileIO):
            """A file that is closed when its process is killed."""

            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                self._process = running_process()
                if self._process is not None:
                    self._process.files.add(self)

            def close(self) -> None:
                super().close()
                if getattr(self, "_process", None) is not None:
                    self._process.files.discard(self)  # type: ignore[union-attr]

            def write(self, content: Any) -> int:
                return disk._write(self, memoryview(content))

            def write_plainly(self, content: memoryview) -> int:
                return super().write(content)

        with (
            mock.patch.object(_journal_file, "FileIO", File),
            mock.patch.object(_release_journal, "FileIO", File),
            mock.patch("os.fsync"),
        ):
            yield

    def _write(self, file: Any, content: memoryview) -> int:
        process, chance = file._process, self._chance
        if process is not None and process.alive and chance.happens(self.torn.get(process.name, 0.0)):
            file.write_plainly(content[: chance.dice.randrange(len(content))])
            process.kill()
            self._on_torn()
            raise OSError(errno.EIO, "the process is dead")
        if self.is_full:
            file.write_plainly(content[: chance.dice.randrange(len(content))])
            raise OSError(errno.ENOSPC, "No space left on device")
        written: int = file.write_plainly(content)
        return written
