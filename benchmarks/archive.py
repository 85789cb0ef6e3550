"""Archive of 20 000 files against the standard library's zipfile, same files, same compression level.

    python benchmarks/archive.py [--files 20000] [--rounds 5] [--level 6]

Goal (design §5): 1.5 times the speed, byte-identical from run to run. Rounds alternate, and the best
of each is compared: other work on the machine only ever adds. `build_archive` also searches for ignore files
and secrets, and hashes every file and the ZIP; zipfile only packs.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
import zipfile
from pathlib import Path

from launch_async.workflows.archive import build_archive, list_archive

WORDS = [
    f"{stem}{ending}" for stem in ("con", "dis", "re", "pro", "ex", "in") for ending in ("tent", "play", "port", "t")
]


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare build_archive with zipfile.")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--level", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = make_tree(Path(folder), options.files)
        ours: list[float] = []
        theirs: list[float] = []
        hashes: set[str] = set()
        for _ in range(options.rounds):
            started = time.perf_counter()
            pack_with_zipfile(folder, options.level)
            theirs.append(time.perf_counter() - started)
            started = time.perf_counter()
            with build_archive(folder, level=options.level) as archive:
                ours.append(time.perf_counter() - started)
                hashes.add(archive.sha256)
        started = time.perf_counter()
        list_archive(folder)
        listing = time.perf_counter() - started
    print(f"{options.files} files, {size / 1e6:.1f} MB, level {options.level}, {os.cpu_count()} cores")
    print(f"{'zipfile':<28}{min(theirs):>8.2f} s")
    print(f"{'build_archive':<28}{min(ours):>8.2f} s")
    print(f"{'  of it, list_archive':<28}{listing:>8.2f} s")
    print(f"{'ratio (goal 1.5)':<28}{min(theirs) / min(ours):>8.2f}")
    print(f"{'byte-identical':<28}{'yes' if len(hashes) == 1 else 'NO':>8}")


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
    main()
