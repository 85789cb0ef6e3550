"""`list_archive` shows which files will be sent, and why the other files are left out."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from launch_async.archive.archive import ArchiveListing, list_archive
from launch_async.errors import ArchiveError, InvalidArgumentError

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n"


def lay_out(folder: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    return folder


def sent(listing: ArchiveListing) -> list[str]:
    return [entry.path for entry in listing.entries]


def reasons(listing: ArchiveListing) -> dict[str, str]:
    return {exclusion.path: exclusion.reason for exclusion in listing.excluded}


def test_entries_are_ordered_by_path_with_sizes_and_modes(tmp_path: Path) -> None:
    lay_out(tmp_path, {"b": "22", "a/z": "1", "a.txt": "", "run.sh": "#!"})
    (tmp_path / "run.sh").chmod(0o700)
    (tmp_path / "b").chmod(0o666)

    listing = list_archive(tmp_path)

    shown = [(entry.path, entry.size, entry.mode) for entry in listing.entries]
    assert shown == [("a.txt", 0, 0o644), ("a/z", 1, 0o644), ("b", 2, 0o644), ("run.sh", 2, 0o755)]
    assert listing.total_size == 5


def test_the_vendor_exclusions_are_left_out_with_their_reason(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        {
            "index.html": "",
            "node_modules/x/y.js": "",
            "app/node_modules/y.js": "",
            ".git/HEAD": "",
            "app/.git": "gitdir: elsewhere",
            ".hg/x": "",
            "app/.next/x": "",
            ".nuxt/x": "",
            ".vscode/x": "",
            ".cs-launch.json": "{}",
            "logs/x": "",
            "site.zip": "",
            "coverage/x": "",
            ".DS_Store": "",
            ".env/bin/python": "",
        },
    )

    listing = list_archive(tmp_path)

    assert sent(listing) == ["index.html"]
    assert reasons(listing) == {
        ".DS_Store": "os noise",
        ".cs-launch.json": "vendor default",
        ".env/": "vendor default",
        ".git/": "vcs",
        ".hg/": "vcs",
        ".nuxt/": "build cache",
        ".vscode/": "vendor default",
        "app/.git": "vcs",
        "app/.next/": "build cache",
        "app/node_modules/": "vendor default",
        "coverage/": "build cache",
        "logs/": "vendor default",
        "node_modules/": "vendor default",
        "site.zip": "vendor default",
    }


def test_build_output_and_similar_names_are_sent(tmp_path: Path) -> None:
    files = ["build/b", "dist/a", "dist/coverage/index.html", "dist/logs/x", "downloads/all.zip", "out/c", "public/d"]
    lay_out(tmp_path, dict.fromkeys(files, ""))

    assert sent(list_archive(tmp_path)) == files


def test_an_ignored_build_folder_is_sent_if_it_is_the_given_folder(tmp_path: Path) -> None:
    lay_out(tmp_path, {".gitignore": "dist/\n", "dist/index.html": ""})

    assert sent(list_archive(tmp_path / "dist")) == ["index.html"]


def test_links_are_left_out_for_any_target(tmp_path: Path) -> None:
    outside = lay_out(tmp_path / "outside", {"private.txt": "x"})
    site = lay_out(tmp_path / "site", {"index.html": ""})
    (site / "out").symlink_to(outside)
    (site / "file").symlink_to(outside / "private.txt")
    (site / "in").symlink_to("index.html")
    (site / "dead").symlink_to("nowhere")

    listing = list_archive(site)

    assert sent(listing) == ["index.html"]
    assert reasons(listing) == dict.fromkeys(["dead", "file", "in", "out"], "link")


def test_sockets_and_pipes_are_left_out_without_reading_them(tmp_path: Path) -> None:
    lay_out(tmp_path, {"index.html": ""})
    os.mkfifo(tmp_path / "queue.pem")
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{short}/s")
        Path(f"{short}/s").rename(tmp_path / "s")
        listing = list_archive(tmp_path)

    assert sent(listing) == ["index.html"]
    assert reasons(listing) == {"queue.pem": "pipe", "s": "socket"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make a device")
def test_devices_are_left_out(tmp_path: Path) -> None:
    lay_out(tmp_path, {"index.html": ""})
    try:
        os.mknod(tmp_path / "null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this root may not make devices")

    assert reasons(list_archive(tmp_path)) == {"null": "device"}


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing/in/here").mkdir(parents=True)

    with pytest.raises(ArchiveError, match="contains no file to send"):
        list_archive(tmp_path)


def test_the_error_about_a_missing_relative_folder_names_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ArchiveError, match=f"'site' does not exist in {re.escape(str(tmp_path))}"):
        list_archive("site")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="does not exist"):
        list_archive(tmp_path / "absent")


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ArchiveError, match="is not a folder"):
        list_archive(tmp_path / "file")


def test_an_unreadable_folder_is_refused_by_name(
    open_folder: Path, as_ordinary_user: Callable[[], AbstractContextManager[None]]
) -> None:
    lay_out(open_folder, {"index.html": "", "closed/x": ""})
    (open_folder / "closed").chmod(0)

    with as_ordinary_user(), pytest.raises(ArchiveError, match=r"closed/' cannot be read") as caught:
        list_archive(open_folder)

    (open_folder / "closed").chmod(0o755)
    assert caught.value.paths == ("closed/",)


def test_a_file_in_a_folder_that_cannot_be_entered_is_refused_by_name(
    open_folder: Path, as_ordinary_user: Callable[[], AbstractContextManager[None]]
) -> None:
    lay_out(open_folder, {"half/x": ""})
    (open_folder / "half").chmod(0o444)

    with as_ordinary_user(), pytest.raises(ArchiveError) as caught:
        list_archive(open_folder)

    (open_folder / "half").chmod(0o755)
    assert caught.value.paths == ("half/x",)


def test_names_that_a_zip_cannot_contain_are_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, {"index.html": "", "back\\slash": ""})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff")).touch()

    with pytest.raises(ArchiveError) as caught:
        list_archive(tmp_path)

    assert sorted(caught.value.paths) == ["b\\udcff", "back\\slash"]
    assert str(caught.value).encode()


def test_undecodable_names_may_be_ignored(tmp_path: Path) -> None:
    lay_out(tmp_path, {"index.html": "", ".launchignore": "b?\n"})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff")).touch()

    listing = list_archive(tmp_path)

    assert reasons(listing) == {"b\\udcff": "ignored by .launchignore:1"}
    assert json.dumps(listing.to_dict()).encode()


def test_a_listing_is_shown_as_a_short_table_and_as_plain_data(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"page{number:02}.html": "x" * number for number in range(30)})
    lay_out(tmp_path, {"big.js": "x" * 3000, "huge.js": "x" * 2_500_000, "node_modules/x": "", ".DS_Store": "1"})

    listing = list_archive(tmp_path)
    lines = str(listing).splitlines()

    assert lines[:3] == [
        "32 files to send, 2.4 MiB before compression; largest first:",
        "   2.4 MiB  huge.js",
        "   2.9 KiB  big.js",
    ]
    assert lines[-4:] == [
        "            ... and 12 more",
        "2 left out:",
        "       1 B  .DS_Store  (os noise)",
        "            node_modules/  (vendor default)",
    ]
    data = json.loads(json.dumps(listing.to_dict()))
    assert data["entries"][0] == {"path": "big.js", "size": 3000, "mode": 0o644}
    assert data["excluded"][1] == {"path": "node_modules/", "reason": "vendor default", "size": None}


SECRETS = {
    ".env": "A=1",
    "app/.env.production": "A=1",
    ".ENV.local": "A=1",
    ".envrc": "export A=1",
    "old/.env~": "A=1",
    ".env-production": "A=1",
    "keys/id_rsa": "x",
    "id_ed25519": "x",
    "server.key": KEY,
    "chain.PEM": f"-----BEGIN CERTIFICATE-----\n{KEY}",
    "store.p12": "x",
    "store.pfx": "x",
    ".npmrc": "registry=x\n//registry.example/:_authToken=abc\n",
    "old/.npmrc": "_auth = abc\n",
    ".yarnrc.yml": 'npmAuthToken: "abc"\n',
    ".netrc": "machine x",
    ".pypirc": "[pypi]",
    ".aws/credentials": "x",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_refused_by_name_with_advice(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path, {"index.html": "", name: SECRETS[name]})

    with pytest.raises(ArchiveError, match="contains secrets") as caught:
        list_archive(tmp_path)

    assert caught.value.paths == (name,)
    assert 'secrets="drop"' in str(caught.value)
    assert "abc" not in str(caught.value)


def test_dropped_secrets_are_listed_and_logged_as_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lay_out(tmp_path, {"index.html": "", **SECRETS})

    with caplog.at_level(logging.WARNING, logger="launch_async.archive"):
        listing = list_archive(tmp_path, secrets="drop")

    assert sent(listing) == ["index.html"]
    assert listing.secrets == tuple(sorted(SECRETS))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "app/.env.production" in record.getMessage()


def test_secrets_are_sent_on_request(tmp_path: Path) -> None:
    lay_out(tmp_path, {"index.html": "", ".env": "A=1", "app/id_rsa": "key", ".git/config": "", "left/.env": ""})
    (tmp_path / ".launchignore").write_text("left/\n")

    listing = list_archive(tmp_path, secrets="send")

    assert sent(listing) == [".env", ".launchignore", "app/id_rsa", "index.html"]
    assert listing.secrets == ()


def test_an_unknown_value_of_secrets_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, {"index.html": "", ".env": "A=1"})

    with pytest.raises(InvalidArgumentError, match="secrets: must be 'refuse', 'drop' or 'send', not 'refused'"):
        list_archive(tmp_path, secrets="refused")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env.example", "A="),
        (".env.sample", "A="),
        (".env.production.template", "A="),
        (".envrc.sample", "use nix"),
        ("environment.env", "x"),
        ("cert.pem", "-----BEGIN CERTIFICATE-----"),
        ("id_rsa.pub", "ssh-rsa"),
        ("en.key", "greeting"),
        (".npmrc", "//registry.example/:_authToken=${NPM_TOKEN}\n# _auth=abc\nsave-exact=true\n"),
        (".yarnrc.yml", "npmAuthToken: ${NPM_TOKEN}\n"),
    ],
)
def test_sample_files_and_public_keys_are_sent(tmp_path: Path, name: str, content: str) -> None:
    lay_out(tmp_path, {name: content})

    assert sent(list_archive(tmp_path)) == [name]


def test_an_ignored_secret_is_no_error(tmp_path: Path) -> None:
    lay_out(tmp_path, {"index.html": "", ".gitignore": ".env*\n", ".env": "A=1", "node_modules/x/.npmrc": "_auth=abc"})

    assert reasons(list_archive(tmp_path)) == {".env": "ignored by .gitignore:1", "node_modules/": "vendor default"}


@pytest.mark.parametrize(
    "line", ["!.env.production", "!/app/.env.production", "!app/.env.production", "!**/.env.production"]
)
def test_launchignore_can_send_a_secret_that_it_names_in_full(tmp_path: Path, line: str) -> None:
    lay_out(tmp_path, {"a": "", ".launchignore": f"{line}\n", "app/.env.production": "PUBLIC_URL=x"})

    assert "app/.env.production" in sent(list_archive(tmp_path))


@pytest.mark.parametrize("line", ["!*", "!.env*", "!app/", "!app/**", "!.env.productio?"])
def test_wildcards_and_folders_in_launchignore_send_no_secret(tmp_path: Path, line: str) -> None:
    lay_out(tmp_path, {"a": "", ".launchignore": f"{line}\n", "app/.env.production": "TOKEN=x"})

    with pytest.raises(ArchiveError, match=r"app/\.env\.production") as caught:
        list_archive(tmp_path)

    assert "add a line to .launchignore: !/app/.env.production" in str(caught.value)


def test_gitignore_cannot_send_a_secret(tmp_path: Path) -> None:
    lay_out(tmp_path, {"a": "", ".gitignore": ".env*\n!.env.production\n", ".env.production": "TOKEN=x"})

    assert list_archive(tmp_path, secrets="drop").secrets == (".env.production",)


def test_launchignore_cannot_send_version_control_data(tmp_path: Path) -> None:
    lay_out(tmp_path, {"a": "", ".launchignore": "!.git\n!HEAD\n", ".git/HEAD": ""})

    assert reasons(list_archive(tmp_path)) == {".git/": "vcs"}


def verdicts() -> list[tuple[str, str, str]]:
    lines = Path(__file__).with_name("secret_files.txt").read_text("utf-8").splitlines()[1:]
    return [(*line.split("\t\t")[0].split(" ", 1), line.split("\t\t")[1]) for line in lines]  # type: ignore[misc]


@pytest.mark.parametrize(("verdict", "name", "content"), verdicts())
def test_each_collected_sample_has_its_verdict(tmp_path: Path, verdict: str, name: str, content: str) -> None:
    lay_out(tmp_path, {"index.html": "", name: content})

    listing = list_archive(tmp_path, secrets="drop")

    assert listing.secrets == ((name,) if verdict == "refuse" else ())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("server.key.bak", KEY),
        ("server.key.old", KEY),
        ("backup/id_rsa~", "x"),
        ("terraform.tfstate.backup", "{}"),
        ("production.tfvars", "token = 1"),
        ("production.auto.tfvars.json", "{}"),
        (".terraform.d/credentials.tfrc.json", "{}"),
        ("old/.pgpass.orig", "x"),
        ("home/.docker/config.json.bak", "{}"),
        ("app.env", "# settings\nexport TOKEN=abc\n"),
        (".env.js", "x"),
        ("notes.txt", f"keep this safe:\n{KEY}"),
        ("k8s/secret.yaml", f"data: |\n  {KEY}"),
        ("id.json", '{"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIE"}'),
        ("putty", "PuTTY-User-Key-File-3: ssh-ed25519"),
        ("signing.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----"),
        ("age.txt", "AGE-SECRET-KEY-1QQQ"),
    ],
)
def test_backup_names_and_contents_reveal_a_secret(tmp_path: Path, name: str, content: str) -> None:
    lay_out(tmp_path, {"index.html": "", name: content})

    assert list_archive(tmp_path, secrets="drop").secrets == (name,)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{}"),
        ("docker/config.json", "{}"),
        ("example.env", "TOKEN=\n"),
        ("sample.env", "TOKEN=abc\n"),
        (".env.dist", "A=1"),
        (".dev.vars.example", "A=1"),
        (".environment", "x"),
        ("api.key", "greeting"),
        ("guide.md", f"a key begins like this: {KEY}"),
        ("test/keys.js", f"const key = `{KEY}`"),
        ("id_ed25519.pub", "ssh-ed25519 AAAA"),
        ("public.pem", "-----BEGIN PUBLIC KEY-----"),
    ],
)
def test_a_file_that_only_resembles_a_secret_is_sent(tmp_path: Path, name: str, content: str) -> None:
    lay_out(tmp_path, {name: content})

    assert sent(list_archive(tmp_path)) == [name]


def vanishing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Delete a file right after the SDK has read its folder."""
    scandir = os.scandir

    @contextmanager
    def read_and_remove(folder: str) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(folder) as entries:
            found = list(entries)
        for entry in found:
            if entry.name == name:
                Path(entry.path).unlink()
        yield found

    monkeypatch.setattr(os, "scandir", read_and_remove)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("page.html.swp", "ignored by .gitignore:1"), ("4913", "ignored by .launchignore:1"), (".DS_Store", "os noise")],
)
def test_a_file_that_is_left_out_may_vanish_during_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    lay_out(tmp_path, {"index.html": "", ".gitignore": "*.swp\n", ".launchignore": "4913\n", name: "x"})
    vanishing(monkeypatch, name)

    listing = list_archive(tmp_path)

    assert [(one.path, one.reason, one.size) for one in listing.excluded] == [(name, reason, None)]


def test_a_file_to_send_that_vanishes_is_an_error_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, {"index.html": "", "page.tmp": ""})
    vanishing(monkeypatch, "page.tmp")

    with pytest.raises(ArchiveError, match=r"page\.tmp' vanished .* list the file in \.launchignore"):
        list_archive(tmp_path)


def test_a_listing_shows_names_without_control_characters(tmp_path: Path) -> None:
    lay_out(tmp_path, {"a\x1b[2Jb": "", "line\nbreak.html": "", "\u202egnp.exe": "", "\x9bx/.DS_Store": ""})
    lay_out(tmp_path, {"\x07/.gitignore": "z\n", "\x07/z": ""})

    listing = list_archive(tmp_path)

    assert "a\x1b[2Jb" in sent(listing)
    assert all(line.isprintable() for line in str(listing).split("\n"))
    assert "a\\x1b[2Jb" in str(listing)


def test_an_error_about_a_name_contains_no_control_characters(tmp_path: Path) -> None:
    lay_out(tmp_path, {"\x1b[2J/.env": "A=1"})

    with pytest.raises(ArchiveError) as caught:
        list_archive(tmp_path)

    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("name", "blamed"), [("a:b", "a:b"), ("C:/x", "C:")])
def test_a_name_that_check_archive_refuses_is_not_packed(tmp_path: Path, name: str, blamed: str) -> None:
    lay_out(tmp_path, {"index.html": "", name: ""})

    with pytest.raises(ArchiveError, match="contains names that a ZIP cannot contain") as caught:
        list_archive(tmp_path)

    assert caught.value.paths == (blamed,)
