"""Archive of 20 000 files, compared with the zipfile of the standard library: same files, same compression level.

`zip -r` shows the speed of C code. Goals: 1.5 times the speed of zipfile, and the same bytes in each run.
`build_archive` also searches for ignore files and secrets, and hashes every file and the ZIP. The others only pack.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks._report import Mark, Report, Row, present, ratios
from launch_async.archive.archive import build_archive, list_archive

FILES, LEVEL = 20_000, 6
WORDS = [
    f"{stem}{ending}" for stem in ("con", "dis", "re", "pro", "ex", "in") for ending in ("tent", "play", "port", "t")
]


def measure(rounds: int) -> Report:
    """Let each contestant pack the same tree, in turn."""
    seconds: dict[str, list[float]] = {"zipfile": [], "build_archive": [], "  of that, list_archive": [], "zip -r": []}
    hashes: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        size = make_tree(Path(folder), FILES)
        for _ in range(rounds):
            seconds["zipfile"].append(timed(lambda: pack_with_zipfile(folder, LEVEL)))
            seconds["build_archive"].append(timed(lambda: hashes.add(pack_with_build_archive(folder))))
            seconds["  of that, list_archive"].append(timed(lambda: list_archive(folder)))
            if shutil.which("zip"):
                seconds["zip -r"].append(timed(lambda: pack_with_zip(folder)))
    return Report(
        f"Archive of {FILES} files, {size / 1e6:.0f} MB, level {LEVEL}",
        [Row(name, "s", found, "less", name == "zipfile") for name, found in seconds.items() if found],
        [
            Mark("build_archive / zipfile", ratios(seconds["zipfile"], seconds["build_archive"]), 1.5),
            Mark("different archives", [len(hashes)], 1, "less"),
        ],
    )


def timed(work: Callable[[], object]) -> float:
    """Return the duration of a call in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def pack_with_build_archive(folder: str) -> str:
    """Return the hash of the archive."""
    with build_archive(folder, level=LEVEL) as archive:
        return archive.sha256


def pack_with_zip(folder: str) -> None:
    """Pack with Info-ZIP."""
    with tempfile.TemporaryDirectory() as target:
        command = ["zip", "-r", "-q", f"-{LEVEL}", f"{target}/site.zip", "."]
        subprocess.run(command, cwd=folder, check=True)


def make_tree(folder: Path, files: int) -> int:
    """Write source-like text files, most of them small, in folders of 50, and return their size in bytes."""
    chance = random.Random(20_000)
    size = 0
    for number in range(files):
        place = folder / f"part{number // 2500:02}" / f"package{number // 50:04}"
        place.mkdir(parents=True, exist_ok=True)
        words = chance.choices(WORDS, k=int(chance.lognormvariate(5.5, 1)))
        content = " ".join(f"{word}{chance.randrange(1000)}" for word in words).encode()
        (place / f"module{number}.js").write_bytes(content)
        size += len(content)
    (folder / ".gitignore").write_text("node_modules/\ndist/\n*.log\n*.tmp\n/build/**\n!keep.log\n")
    return size


def pack_with_zipfile(folder: str, level: int) -> None:
    with (
        tempfile.NamedTemporaryFile(suffix=".zip") as spool,
        zipfile.ZipFile(spool, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as target,
    ):
        for place, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(place, name)  # noqa: PTH118 - the fastest that zipfile can be given
                target.write(path, os.path.relpath(path, folder))


if __name__ == "__main__":
    present(measure, __doc__, rounds=5)
