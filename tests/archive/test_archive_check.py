"""`check_archive` checks an existing ZIP, and neither changes nor deletes the file."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from launch_async.archive.archive import MAX_ARCHIVE_SIZE, Archive, check_archive
from launch_async.errors import ArchiveError, InvalidArgumentError

FILLER = os.urandom(1500)


def make_zip(path: Path, *names: str, link: str | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("index.html", FILLER)
        for name in names:
            target.writestr(name, "content")
        if link is not None:
            info = zipfile.ZipInfo("app/link")
            info.create_system = 3
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            target.writestr(info, link)
    return path


def patched(path: Path, before: bytes, after: bytes) -> Path:
    content = path.read_bytes()
    assert before in content
    path.write_bytes(content.replace(before, after))
    return path


def test_a_valid_zip_is_described_and_not_changed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "site.zip", "b/", "b/two", "a")
    before = path.read_bytes()

    with check_archive(path) as archive:
        assert archive.path == path
        assert archive.size == len(before)
        assert [(entry.path, entry.size, entry.mode) for entry in archive.listing.entries] == [
            ("a", 7, 0o644),
            ("b/two", 7, 0o644),
            ("index.html", 1500, 0o644),
        ]
        assert not archive.temporary

    assert path.read_bytes() == before


def test_an_executable_stays_executable(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        info = zipfile.ZipInfo("run")
        info.external_attr = (stat.S_IFREG | 0o750) << 16
        target.writestr(info, FILLER)

    assert check_archive(tmp_path / "a.zip").listing.entries[0].mode == 0o755


@pytest.mark.parametrize(
    "name", ["../up", "a/../../up", "/etc/passwd", "C:/x", "a//b", ".//a", "a/./b", "./../a", "a:b", "a\\..\\b", ".."]
)
def test_a_name_that_leads_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "a.zip", name)

    with pytest.raises(ArchiveError, match="is not a plain path") as caught:
        check_archive(path)

    assert caught.value.paths == (name,)


def test_names_that_begin_with_a_dot_folder_are_accepted(tmp_path: Path) -> None:
    archive = check_archive(make_zip(tmp_path / "a.zip", "./", "./about.html", "././b/c"))

    assert [entry.path for entry in archive.listing.entries] == ["about.html", "b/c", "index.html"]


def test_a_name_that_occurs_twice_in_two_spellings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"index\.html' occurs twice"):
        check_archive(make_zip(tmp_path / "a.zip", "./index.html"))


@pytest.mark.parametrize("target", ["../../out", "/etc/passwd", "..//../x", "../.."])
def test_a_link_that_leads_outside_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(ArchiveError, match="app/link' is a link that leads out of the archive"):
        check_archive(make_zip(tmp_path / "a.zip", link=target))


def test_a_link_that_stays_inside_is_accepted(tmp_path: Path) -> None:
    archive = check_archive(make_zip(tmp_path / "a.zip", link="../index.html"))

    assert "app/link" in [entry.path for entry in archive.listing.entries]


def test_a_device_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        info = zipfile.ZipInfo("null")
        info.external_attr = (stat.S_IFCHR | 0o666) << 16
        target.writestr(info, FILLER)

    with pytest.raises(ArchiveError, match="null' is not a file"):
        check_archive(tmp_path / "a.zip")


def test_a_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = patched(make_zip(tmp_path / "a.zip", "one", "two"), b"two", b"one")

    with pytest.raises(ArchiveError, match="one' occurs twice"):
        check_archive(path)


def test_a_file_that_is_not_a_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip" * 1000)

    with pytest.raises(ArchiveError, match="is not a ZIP"):
        check_archive(tmp_path / "a.zip")


def test_a_truncated_zip_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", "b")
    path.write_bytes(path.read_bytes()[:-30])

    with pytest.raises(ArchiveError, match="is not a ZIP, or is incomplete"):
        check_archive(path)


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = patched(make_zip(tmp_path / "a.zip"), FILLER[100:120], b"x" * 20)

    with pytest.raises(ArchiveError, match=r"index\.html' is damaged"):
        check_archive(path)


def test_an_encrypted_file_is_refused_by_name(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)

    with pytest.raises(ArchiveError, match=r"index\.html' is encrypted"):
        check_archive(path)


def test_the_error_about_an_unknown_compression_names_deflate(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 10] = 97
    path.write_bytes(content)

    with pytest.raises(ArchiveError, match="Use deflate"):
        check_archive(path)


@pytest.mark.parametrize("name", [".env", "app/.env.local", ".git/config", "id_rsa"])
def test_a_zip_with_a_secret_is_refused_unless_secrets_may_be_sent(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "a.zip", name)

    with pytest.raises(ArchiveError, match="contains secrets") as caught:
        check_archive(path)

    assert caught.value.paths == (name,)
    assert isinstance(check_archive(path, secrets="send"), Archive)
    with pytest.raises(InvalidArgumentError, match="secrets: must be 'refuse', 'drop' or 'send', not 'dropped'"):
        check_archive(path, secrets="dropped")  # type: ignore[arg-type]


def test_a_private_key_in_a_zip_is_found_by_its_content(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr("index.html", FILLER)
        target.writestr("./deploy_key", "-----BEGIN OPENSSH PRIVATE KEY-----")

    with pytest.raises(ArchiveError, match="contains secrets: deploy_key"):
        check_archive(tmp_path / "a.zip")


def test_secrets_cannot_be_dropped_from_a_zip(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r'or pass secrets="send"\. secrets="drop" works only with a folder'):
        check_archive(make_zip(tmp_path / "a.zip", ".env"), secrets="drop")

    assert isinstance(check_archive(make_zip(tmp_path / "b.zip", "about.html"), secrets="drop"), Archive)


def test_a_zip_below_the_minimum_size_is_refused_with_advice(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr("a", "a")

    with pytest.raises(ArchiveError, match="Pass the folder instead"):
        check_archive(tmp_path / "a.zip")


def test_a_zip_over_100_mib_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "a.zip").open("wb") as file:
        file.truncate(MAX_ARCHIVE_SIZE + 1)

    with pytest.raises(ArchiveError, match="at most 100 MiB"):
        check_archive(tmp_path / "a.zip")


def test_a_zip_without_files_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.mkdir("folder") if hasattr(target, "mkdir") else target.writestr("folder/", "")
        target.comment = b"x" * 1024

    with pytest.raises(ArchiveError, match="contains no file"):
        check_archive(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["absent.zip", "."])
def test_a_path_without_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="is not a file"):
        check_archive(tmp_path / name)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_any_damage_is_an_archive_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]], near_the_end: bool
) -> None:
    path = make_zip(tmp_path_factory.getbasetemp() / "damaged.zip", "größe", "b/c", link="../index.html")
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[-1 - place % 300 if near_the_end else place % len(content)] = value
    path.write_bytes(content)

    refused = ""
    names: list[str] = []
    try:
        names = [entry.path for entry in check_archive(path).listing.entries]
    except ArchiveError as error:
        refused = str(error)
    assert bool(refused) != bool(names)
    assert all(".." not in name.split("/") for name in names)
