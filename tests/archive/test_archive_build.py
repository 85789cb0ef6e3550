"""`build_archive` packs a folder: the same bytes every time, every file, bounded memory and no leftover files."""

from __future__ import annotations

import asyncio
import errno
import gc
import hashlib
import os
import random
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from launch_async.archive import walk as _walk, zip_writer as _zip
from launch_async.archive.archive import (
    MIN_ARCHIVE_SIZE,
    build_archive,
    check_archive,
    create_archive,
    list_archive,
)
from launch_async.errors import ArchiveError, InvalidArgumentError

MIB = 1 << 20


@pytest.fixture(autouse=True)
def spool(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test a separate folder for temporary files, and check that the folder is empty after the test."""
    place = tmp_path_factory.mktemp("spool")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    gc.collect()
    assert left_in(place) == []


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "css").mkdir()
    (tmp_path / "index.html").write_text("<h1>Hello</h1>" * 50)
    (tmp_path / "css/größe.css").write_text("a{}")
    (tmp_path / "empty").touch()
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    return tmp_path


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_the_same_files_give_the_same_bytes_for_any_times_and_permissions(site: Path) -> None:
    with build_archive(site) as first:
        before = first.path.read_bytes()
    for number, path in enumerate(sorted(site.rglob("*"))):
        os.utime(path, (number, number))
    (site / "index.html").chmod(0o600)

    with build_archive(site) as second:
        assert second.path.read_bytes() == before
        assert (second.sha256, second.content_hash) == (first.sha256, first.content_hash)
        assert second.sha256 == hashlib.sha256(before).hexdigest()


def test_the_bytes_do_not_depend_on_the_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big").write_bytes(b"words and " * 300_000 + noise(MIB))
    for number in range(200):
        (tmp_path / f"file{number}").write_bytes(noise(number * 10))
    with build_archive(tmp_path) as parallel:
        monkeypatch.setattr(_zip, "_THREADS", 1)
        monkeypatch.setattr(_zip, "_MOST_PENDING", 1)
        with build_archive(tmp_path) as serial:
            assert serial.sha256 == parallel.sha256


def test_the_zip_keeps_names_modes_and_contents(site: Path) -> None:
    with build_archive(site) as archive, zipfile.ZipFile(archive.path) as packed:
        assert packed.testzip() is None
        infos = packed.infolist()
        assert [info.filename for info in infos] == ["css/größe.css", "empty", "index.html", "run.sh"]
        assert [info.filename for info in infos] == [entry.path for entry in archive.listing.entries]
        assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
        assert all(info.flag_bits & 0x800 and stat.S_ISREG(info.external_attr >> 16) for info in infos)
        assert [stat.S_IMODE(info.external_attr >> 16) for info in infos] == [0o644, 0o644, 0o644, 0o755]
        assert packed.read("index.html") == (site / "index.html").read_bytes()


names = st.text("aé図☃-' 1", max_size=6).map("n".__add__)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@settings(max_examples=60)
@given(st.dictionaries(paths, st.binary(max_size=3000) | st.just(b"long " * 2000), min_size=1, max_size=8))
def test_any_tree_is_packed_whole_and_its_content_hash_can_be_checked(tree: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        expected = {}
        for path, content in tree.items():
            target = Path(name, path)
            if target.is_dir() or any(parent.is_file() for parent in target.parents):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            expected[path] = content
        with build_archive(name, follow_ignore_files=False) as archive, zipfile.ZipFile(archive.path) as packed:
            assert packed.testzip() is None
            sent = {entry.path for entry in archive.listing.entries}
            assert {info.filename: packed.read(info) for info in packed.infolist()} == {
                path: content for path, content in expected.items() if path in sent
            }
            assert check_archive(archive.path).content_hash == archive.content_hash


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 7])
def test_a_file_larger_than_a_block_is_packed_whole(tmp_path: Path, size: int) -> None:
    content = (noise(40_000) * (size // 40_000 + 1))[:size]
    (tmp_path / "big").write_bytes(content)

    with build_archive(tmp_path) as archive, zipfile.ZipFile(archive.path) as packed:
        assert packed.read("big") == content


def test_a_block_is_compressed_with_the_window_before_it(tmp_path: Path) -> None:
    # 30 000 incompressible bytes, repeated: a block compresses well only with the window before it.
    content = noise(30_000) * 140
    (tmp_path / "big").write_bytes(content)

    with build_archive(tmp_path) as archive:
        assert archive.size < len(zlib.compress(content)) * 1.02


def test_memory_stays_bounded_for_a_huge_file(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(160 * MIB)
    script = (
        "import resource, sys\n"
        "from launch_async.archive.archive import build_archive\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "build_archive(sys.argv[1], level=1).close()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    grown = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert int(grown.stdout) < 64 * 1024


def test_a_file_system_that_reads_in_small_pieces_gives_the_same_archive(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with build_archive(site) as whole:
        read = os.read
        monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 3)))

        with build_archive(site) as piecemeal:
            assert piecemeal.sha256 == whole.sha256


def test_incompressible_files_are_stored(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(noise(5000))

    with build_archive(tmp_path) as archive, zipfile.ZipFile(archive.path) as packed:
        assert packed.getinfo("photo").compress_type == zipfile.ZIP_STORED


def test_a_tiny_site_is_padded_to_the_minimum_size(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hi")

    with build_archive(tmp_path) as archive:
        assert archive.size == archive.path.stat().st_size == MIN_ARCHIVE_SIZE
        assert check_archive(archive.path).sha256 == archive.sha256
        with zipfile.ZipFile(archive.path) as packed:
            assert packed.read("index.html") == b"hi"


def test_an_archive_over_the_limit_is_refused_with_its_largest_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch_async.archive.archive.MAX_ARCHIVE_SIZE", 300_000)
    for number in range(1, 8):
        (tmp_path / f"movie{number}").write_bytes(noise(number * 20_000))

    with pytest.raises(
        ArchiveError, match=r"larger than 100 MiB. The largest files are movie7 \(136.7 KiB\), movie6"
    ) as caught:
        build_archive(tmp_path)

    assert caught.value.paths == ("movie7", "movie6", "movie5", "movie4", "movie3")


def test_the_central_directory_of_the_zip_counts_towards_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "a.zip").open("wb") as out:
        container = _zip.Container(out, limit=110)
        container.add("name", 0o644, 0, 0, 0, b"")

        with pytest.raises(_zip.SizeExceeded):
            container.finish()


def test_a_zip_can_have_more_than_65535_entries(tmp_path: Path) -> None:
    with (tmp_path / "many.zip").open("wb") as out:
        container = _zip.Container(out, limit=100 * MIB)
        for number in range(65_540):
            container.add(f"{number}", 0o644, 0, 0, 0, b"")
        container.finish()

    with zipfile.ZipFile(tmp_path / "many.zip") as packed:
        assert len(packed.namelist()) == 65_540


def test_a_zip_can_contain_a_file_larger_than_4_gib(tmp_path: Path) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(b"x" * 16 * MIB) + deflate.flush(zlib.Z_FULL_FLUSH)
    with (tmp_path / "huge.zip").open("wb") as out:
        container = _zip.Container(out, limit=100 * MIB)
        container.begin("huge", 0o644, 5 << 30)
        for _ in range(320):
            container.write(block)
        container.end(7)
        container.add("small", 0o644, 0, zlib.crc32(b"hello"), 5, b"hello")
        container.finish()

    with zipfile.ZipFile(tmp_path / "huge.zip") as packed:
        assert packed.getinfo("huge").file_size == 5 << 30
        assert packed.getinfo("huge").CRC == 7
        assert packed.read("small") == b"hello"
        with packed.open("huge") as file:
            assert file.read(100) == b"x" * 100


def vanish(path: Path) -> None:
    path.unlink()


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def shrink(path: Path) -> None:
    path.write_bytes(b"")


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, (1, 1))


def replace_with_a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def replace_with_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_the_folder_with_a_link(path: Path) -> None:
    other = path.parent.with_name("other")
    other.mkdir()
    (other / path.name).write_bytes(path.read_bytes())
    path.parent.rename(path.parent.with_name("was"))
    path.parent.symlink_to(other)


CHANGES = [vanish, grow, shrink, rewrite, replace_with_a_link, replace_with_a_pipe, replace_the_folder_with_a_link]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [100, 2 * MIB])
def test_a_file_that_changed_since_it_was_listed_is_refused(
    tmp_path: Path, change: Callable[[Path], None], size: int
) -> None:
    path = tmp_path / "folder/file"
    path.parent.mkdir()
    path.write_bytes(b"0123456789" * (size // 10))
    listing = list_archive(tmp_path)
    change(path)

    with pytest.raises(ArchiveError, match="folder/file' changed or vanished") as caught:
        build_archive(listing)

    assert caught.value.paths == ("folder/file",)


@pytest.mark.parametrize("change", [grow, shrink])
def test_a_large_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 4 * MIB)
    original = _zip.Container.begin

    def begin(container: _zip.Container, name: str, mode: int, size: int) -> None:
        change(path)
        original(container, name, mode, size)

    monkeypatch.setattr(_zip.Container, "begin", begin)
    monkeypatch.setattr(_zip, "_MOST_PENDING", 1)

    with pytest.raises(ArchiveError, match="log' changed or vanished"):
        build_archive(tmp_path)


def test_an_unreadable_file_is_an_error_that_names_the_file(
    open_folder: Path, as_ordinary_user: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (open_folder / "closed").touch(mode=0o000)
    (open_folder / "spool").mkdir()
    (open_folder / "spool").chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder / "spool"))

    with (
        as_ordinary_user(),
        pytest.raises(ArchiveError, match=r"closed' cannot be read \(Permission denied\)") as caught,
    ):
        build_archive(open_folder)

    assert caught.value.paths == ("closed",)
    assert left_in(open_folder / "spool") == []


FULL = textwrap.dedent(
    """
    import resource, signal, sys, tempfile
    from launch_async import ArchiveError, build_archive

    tempfile.tempdir = sys.argv[2]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        build_archive(sys.argv[1])
    except ArchiveError as error:
        print(error)
    """
)


def test_a_full_temporary_folder_is_an_error_that_says_what_to_do(tmp_path: Path, spool: Path) -> None:
    (tmp_path / "photo").write_bytes(noise(300_000))

    output = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(spool)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    ).stdout

    assert f"the ZIP cannot be written to {spool} (File too large)" in output
    assert "TMPDIR" in output


def test_a_missing_temporary_folder_is_an_error_that_names_the_folder(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(site / "absent"))

    with pytest.raises(ArchiveError, match=r"cannot be written to .*absent \(No such file or directory\)\. Free space"):
        build_archive(site)


def test_a_read_error_names_the_file(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(descriptor: int, size: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "read", broken)

    with pytest.raises(ArchiveError, match=r"cannot be read \(Input/output error\)"):
        build_archive(site)


def test_only_the_files_of_a_given_listing_are_packed(site: Path) -> None:
    listing = list_archive(site)
    (site / "later.html").touch()

    with build_archive(listing) as archive, zipfile.ZipFile(archive.path) as packed:
        assert "later.html" not in packed.namelist()
        assert archive.listing is listing


@pytest.mark.parametrize("change", ["content", "name", "mode"])
def test_the_content_hash_depends_on_content_name_and_mode(site: Path, change: str) -> None:
    with build_archive(site) as before:
        pass
    if change == "content":
        (site / "empty").write_text("no more")
    elif change == "name":
        (site / "empty").rename(site / "void")
    else:
        (site / "empty").chmod(0o755)

    with build_archive(site) as after:
        assert after.content_hash != before.content_hash


def test_the_content_hash_does_not_depend_on_the_compression(site: Path) -> None:
    with build_archive(site, level=1) as fast, build_archive(site, level=9) as small:
        assert fast.content_hash == small.content_hash


@pytest.mark.parametrize("level", [-1, 10])
def test_a_level_that_zlib_does_not_have_is_refused(site: Path, level: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"must be a whole number from 0 to 9, not {level}"):
        build_archive(site, level=level)


def test_closing_deletes_the_spool_file_once(site: Path, spool: Path) -> None:
    archive = build_archive(site)
    assert [archive.path] == left_in(spool)
    assert stat.S_IMODE(archive.path.stat().st_mode) == 0o600

    archive.close()
    archive.close()

    assert not archive.path.exists()


def test_an_archive_that_was_not_closed_is_deleted_with_its_object(site: Path, spool: Path) -> None:
    archive = build_archive(site)
    del archive
    gc.collect()

    assert left_in(spool) == []


async def test_create_archive_makes_the_same_archive_as_build_archive(site: Path) -> None:
    with build_archive(site) as expected, await create_archive(site) as archive:
        assert archive.sha256 == expected.sha256


async def test_create_archive_raises_the_errors_of_build_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="contains no file to send"):
        await create_archive(tmp_path)


async def cancelled_during(place: object, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Cancel `create_archive` while it calls `place.name`, and return how often it called that function."""
    original = getattr(place, name)
    calls: list[object] = []
    begun, proceed = threading.Event(), threading.Event()

    def wait_then_call(*arguments: object) -> object:
        calls.append(arguments)
        begun.set()
        assert proceed.wait(10)
        return original(*arguments)

    monkeypatch.setattr(place, name, wait_then_call)
    task = asyncio.create_task(create_archive(folder))
    await asyncio.to_thread(begun.wait, 10)

    task.cancel()
    await asyncio.sleep(0)
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    return len(calls)


async def test_a_cancelled_create_archive_stops_and_deletes_its_file(
    tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1000):
        (tmp_path / f"{number}").touch()

    packed = await cancelled_during(_zip.Container, "add", tmp_path, monkeypatch)

    assert 0 < packed < 1000
    assert left_in(spool) == []


async def test_a_cancellation_ends_the_listing_of_a_folder(
    tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        (tmp_path / f"{number}").touch()

    visited = await cancelled_during(_walk, "holds_secret", tmp_path, monkeypatch)

    assert 0 < visited < 10
    assert left_in(spool) == []


async def test_an_archive_finished_before_the_cancellation_is_deleted(
    site: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cancelled_during(hashlib, "file_digest", site, monkeypatch)

    gc.collect()
    assert left_in(spool) == []


def test_many_small_files_are_packed_in_order(tmp_path: Path) -> None:
    for number in range(2000):
        place = tmp_path / f"{number % 40}"
        place.mkdir(exist_ok=True)
        (place / f"{number}.txt").write_text(f"file {number} " * (number % 50))

    with build_archive(tmp_path) as archive, zipfile.ZipFile(archive.path) as packed:
        assert packed.namelist() == sorted(packed.namelist())
        assert packed.testzip() is None
        assert len(packed.namelist()) == 2000
