"""The emulator as a process: its start, its options, its announcement and its end."""

import asyncio
import io
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import get_type_hints

import aiohttp
import attrs
import pytest
import trustme

import launch_sync.emulator
from launch_async.emulator import LaunchEmulator
from launch_async.emulator.__main__ import _parser, main
from launch_async.emulator.options import TYPES, EmulatorKeywords, EmulatorOptions, RequiredSetting, explanations
from tests.support.gates import needs_ipv6
from tests.support.git_project import GIT_PROJECT

ROOT = Path(__file__).resolve().parents[2]


async def run(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "launch_async.emulator", *arguments,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return process, await process.stdout.readline()


async def stopped(process, line):
    """End an emulator, and return its first line."""
    process.terminate()
    await process.communicate()
    return line


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_announces_its_address_answers_and_stops_cleanly(stop):
    process, line = await run("--port", "0", "--rate-limit", "none", "--build-seconds", "0")
    announced = json.loads(line)
    headers = {"authtoken": announced["authtoken"], "organization_uid": announced["organization_uid"]}
    async with aiohttp.ClientSession(headers=headers) as session:
        statuses = {(await session.get(f"{announced['url']}/projects")).status for _ in range(15)}
        process.send_signal(stop)
        out, err = await process.communicate()

    assert statuses == {200}
    assert sorted(announced) == [
        "access_token", "authtoken", "client_id", "client_secret", "email", "organization_uid", "password", "url",
    ]  # fmt: skip
    assert (process.returncode, out, err) == (0, b"", b"")


def test_the_command_has_every_option_of_the_class():
    options = vars(_parser().parse_args([]))
    chosen = {name: value for name, value in options.items() if not name.startswith("tls_")}

    assert attrs.evolve(EmulatorOptions(), **chosen) == EmulatorOptions()
    assert {*chosen, "tls", "clock"} == {field.name for field in attrs.fields(EmulatorOptions)}


def test_every_option_is_explained_in_the_order_of_the_class():
    assert list(explanations()) == list(TYPES)


def test_every_option_is_a_keyword_of_the_same_type():
    path = str | os.PathLike[str] | None
    wider = {"state": path, "tape": path, "required_settings": Iterable[RequiredSetting]}

    assert get_type_hints(EmulatorKeywords) == {**TYPES, **wider}


def test_options_can_be_passed_as_an_object_and_by_keyword():
    whole = EmulatorOptions(rate_limit=5, list_order="uid")

    emulator = LaunchEmulator(whole, rate_limit=7)

    assert emulator._service.options == EmulatorOptions(rate_limit=7, list_order="uid")
    assert whole.rate_limit == 5


@pytest.mark.parametrize("make", [LaunchEmulator, launch_sync.emulator.LaunchEmulator])
def test_the_error_about_an_unknown_option_lists_the_options(make):
    with pytest.raises(
        TypeError, match=r"no option 'rate_limt'\. Did you mean rate_limit\? The options are host, .*\."
    ):
        make(rate_limt=5)


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        (["--no-git-connected"], "git_connected", False),
        (["--rate-limit", "none"], "rate_limit", None),
        (["--port", "none"], "port", None),
        (["--state", "here"], "state", Path("here")),
        (["--required-settings", "buildCommand"], "required_settings", ["buildCommand"]),
        (["--latency", "0.5"], "latency", 0.5),
        (["--list-order", "uid"], "list_order", "uid"),
    ],
)
def test_the_command_reads_each_kind_of_option(flags, name, value):
    assert vars(_parser().parse_args(flags))[name] == value


@pytest.mark.parametrize(
    "wrong",
    [
        ["--create-status", "999"],
        ["--rate-limit", "0"],
        ["--latency", "-1"],
        ["--port", "65536"],
        ["--tls-cert", "nowhere.pem"],
        ["--tls-key", "alone.pem"],
    ],
    ids=" ".join,
)
def test_an_invalid_option_of_the_command_is_refused_with_the_reason(capsys, wrong):
    code = main(wrong)
    message = capsys.readouterr().err

    assert code == 2
    assert message.startswith("launch emulator: ")
    assert wrong[1] in message
    assert "Attribute(" not in message


class StopsWhenAnnounced(io.StringIO):
    """A standard output whose reader sends SIGTERM as soon as it has read the announcement."""

    def flush(self):
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_right_after_the_announcement_stops_the_process(monkeypatch):
    out, before = StopsWhenAnnounced(), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "stdout", out)

    code = main(["--rate-limit", "5", "--control", "--upload-style", "gcp"])

    assert code == 0
    assert json.loads(out.getvalue())["url"].startswith("http://127.0.0.1:")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_port_in_use_and_an_invalid_option_are_refused_with_a_message(capsys):
    async def with_taken_port():
        async with LaunchEmulator() as emulator:
            port = emulator.url.rpartition(":")[2]
            return await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "launch_async.emulator", "--port", port],
                cwd=ROOT, capture_output=True, text=True,
            )  # fmt: skip

    taken = asyncio.run(with_taken_port())
    invalid = main(["--build-seconds", "-1"])

    assert (taken.returncode, invalid) == (2, 2)
    assert "launch emulator:" in taken.stderr
    assert "Traceback" not in taken.stderr
    assert "build_seconds" in capsys.readouterr().err


@pytest.fixture
def certificate(tmp_path):
    """The files of a certificate for 127.0.0.1 and of its key, and a context that trusts the certificate."""
    authority, file, key = trustme.CA(), tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(file)
    issued.private_key_pem.write_to_path(key)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return file, key, trusting


async def test_tls_is_used_for_the_api_and_the_sites(certificate):
    file, key, trusting = certificate
    process, line = await run("--tls-cert", str(file), "--tls-key", str(key), "--build-seconds", "0")
    announced = json.loads(line)
    headers = {"Authorization": f"Bearer {announced['access_token']}"}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusting), headers=headers, raise_for_status=True
    ) as session:
        made = await (await session.post(f"{announced['url']}/projects", json=GIT_PROJECT)).json()
        path = f"{announced['url']}/projects/{made['project']['uid']}/environments"
        environment = (await (await session.get(path)).json())["environments"][0]
        page = await session.get(f"https://{environment['domains'][0]['url']}/")
        status = page.status
        await page.read()
    process.send_signal(signal.SIGTERM)
    await process.communicate()

    assert announced["url"].startswith("https://")
    assert status == 200


async def test_start_and_stop_can_be_called_twice_and_leave_no_files():
    emulator = LaunchEmulator()
    await emulator.start()
    await emulator.start()
    folder = emulator._folder
    was_there = folder.is_dir()
    await emulator.stop()
    await emulator.stop()

    assert was_there
    assert not folder.exists()


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:"), pytest.param("::1", "http://[::1]:", marks=needs_ipv6)],
)
async def test_the_urls_of_an_emulator_reach_this_machine(start, archive, host, url):
    async with start(host=host, build_seconds=0) as api:
        environment = await api.site(archive)
        page = await api.page(environment)

    assert api.emulator.url.startswith(url)
    assert "Hello from the archive" in page.text


async def test_two_emulators_can_run_at_the_same_time():
    async with LaunchEmulator() as first, LaunchEmulator() as second:
        assert first.url != second.url
        assert first.access_token != second.access_token


async def test_the_same_seed_gives_the_same_credentials():
    first, second = [json.loads(await stopped(*await run("--seed", "1", "--control"))) for _ in range(2)]

    assert {**first, "url": ""} == {**second, "url": ""}
    assert {"authtoken", "access_token", "client_id", "client_secret", "control_secret"} <= first.keys()


def test_importing_the_emulator_does_not_import_the_client():
    code = (
        "import sys, launch_async.emulator;"
        "print([name for name in sys.modules if name.startswith('launch_async.') and '.emulator' not in name])"
    )

    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert json.loads(shown.replace("'", '"')) in ([], ["launch_async._lazy", "launch_async._version"])


def test_credentials_are_not_in_a_repr():
    other = LaunchEmulator().add_organization()

    assert other.organization_uid in repr(other)
    assert not any(secret in repr(other) for secret in (other.authtoken, other.access_token, other.client_secret))
