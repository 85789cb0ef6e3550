"""``python -m launch_async.emulator``: an emulator as a process, for tests in any language.

Its first line on standard output is one JSON object with ``url``, ``organization_uid``, ``authtoken``,
``access_token``, ``client_id`` and ``client_secret``; by then it answers. SIGTERM or SIGINT end it with exit code 0.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import ssl
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, get_args

from launch_async.emulator.latency import LogNormal
from launch_async.emulator.options import (
    CommitForm,
    DownloadKey,
    ListOrder,
    LogBound,
    OauthPath,
    RateWindow,
    RefusalBody,
    RequiredSetting,
    ScopeParameter,
    ServerLogsKey,
    UnsetFields,
    UpdateMethod,
    UploadExpiry,
    UploadStyle,
    UsageReset,
    UsageScope,
    VariablesUpdate,
    WhileBuilding,
    WrongRegion,
)
from launch_async.emulator.server import LaunchEmulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until it is told to stop; returns the exit code."""
    return asyncio.run(_serve(vars(_parser().parse_args(arguments))))


async def _serve(options: dict[str, Any]) -> int:
    try:
        certificate, key = options.pop("tls_cert"), options.pop("tls_key")
        latency = LogNormal(options.pop("latency"), options.pop("latency_sigma"), options["seed"])
        emulator = LaunchEmulator(tls=_tls(certificate, key), latency=latency, **options)
        with _stop_signals() as told:
            async with emulator:
                _announce(emulator)
                await told.wait()
    except (OSError, ValueError) as error:
        # A validator's error holds more than its text.
        reason = error.args[0] if isinstance(error, ValueError) else error
        sys.stderr.write(f"launch emulator: {reason}\n")
        return 2
    return 0


def _announce(emulator: LaunchEmulator) -> None:
    line = {
        "url": emulator.url,
        "organization_uid": emulator.organization_uid,
        "authtoken": emulator.authtoken,
        "access_token": emulator.access_token,
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _stop_signals() -> Generator[asyncio.Event, None, None]:
    """An event that SIGTERM and SIGINT set; whoever reads the announcement may send one at once."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(told.set)

    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise ValueError(f"--tls-key {key} needs --tls-cert")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # it names no file
        files = " and ".join(str(file) for file in (certificate, key) if file)
        raise ValueError(f"no usable certificate and key in {files}: {error}") from None
    return context


def _limit(text: str) -> int | None:
    return None if text == "none" else int(text)


def _parser() -> argparse.ArgumentParser:
    """The options of `LaunchEmulator`, under its names."""
    parser = argparse.ArgumentParser(
        prog="python -m launch_async.emulator", description="A Contentstack Launch to test against."
    )
    _add_process_options(parser)
    _add_wire_options(parser)
    _add_platform_options(parser)
    _add_unknown_options(parser)
    _add_unknown_rules(parser)
    return parser


def _add_process_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="serve https with this certificate (PEM)")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, if it is in another file")
    parser.add_argument("--control", action="store_true", help="answer orders under /__emulator__/")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep everything in this file for the next start")
    parser.add_argument("--seed", type=int, metavar="N", help="draw the same uids, tokens and delays in every run")
    parser.add_argument("--site-listeners", type=int, default=200, metavar="N", help="sites with a port of their own")


def _add_wire_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("budget and delays")
    group.add_argument("--rate-limit", type=_limit, default=10, metavar="N|none", help="requests per second (10)")
    group.add_argument("--rate-window", choices=get_args(RateWindow), default="sliding")
    group.add_argument("--rate-headers", action="store_true", help="send X-RateLimit-* and Retry-After")
    group.add_argument("--split-rate", action="store_true", help="count reads and writes apart")
    group.add_argument("--count-refused", action="store_true", help="let refused requests spend budget too")
    group.add_argument("--free-deletes", dest="count_deletes", action="store_false", help="let DELETE spend none")
    group.add_argument("--refusal-body", choices=get_args(RefusalBody), default="coded")
    group.add_argument("--latency", type=float, default=0.0, metavar="S", help="median one-way delay in seconds")
    group.add_argument("--latency-sigma", type=float, default=0.0, metavar="X", help="its log-normal spread (0.2, 0.9)")


def _add_platform_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("builds and limits")
    group.add_argument("--build", action="store_true", help="really run build commands, as this user")
    group.add_argument("--build-seconds", type=float, default=0.3, metavar="S", help="length of a build (0.3)")
    group.add_argument("--queue-seconds", type=float, default=0.0, metavar="S", help="time before a build starts")
    group.add_argument("--create-delay", type=float, default=0.0, metavar="S", help="how late first environments show")
    group.add_argument("--token-seconds", type=float, default=3600.0, metavar="S", help="life of bearer tokens (3600)")
    group.add_argument("--upload-seconds", type=float, default=600.0, metavar="S", help="life of signed URLs (600)")
    group.add_argument("--unpacked-limit", type=int, default=512 * 1024 * 1024, metavar="BYTES", help="of an archive")
    group.add_argument("--revalidation-quota", type=int, default=500, metavar="N", help="per organization and day")
    group.add_argument("--project-limit", type=int, metavar="N", help="projects of an organization")
    group.add_argument("--environment-limit", type=int, metavar="N", help="environments of a project")


def _add_unknown_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where nobody knows how the service behaves")
    group.add_argument("--upload-style", choices=get_args(UploadStyle), default="aws")
    group.add_argument("--upload-expiry", choices=get_args(UploadExpiry), default="seconds")
    group.add_argument("--download-key", choices=get_args(DownloadKey), default="downloadUrl")
    group.add_argument("--create-status", type=int, default=201, metavar="N")
    group.add_argument("--revalidate-status", type=int, default=200, metavar="N")
    group.add_argument("--no-revalidate-body", dest="revalidate_body", action="store_false", help="answer with nothing")
    group.add_argument("--quota-status", type=int, default=429, metavar="N")
    group.add_argument("--usage-reset", choices=get_args(UsageReset), default="iso")
    group.add_argument("--unset-fields", choices=get_args(UnsetFields), default="omitted")
    group.add_argument("--list-order", choices=get_args(ListOrder), default="newest")
    group.add_argument("--log-bound", choices=get_args(LogBound), default="exclusive")
    group.add_argument("--server-logs-key", choices=get_args(ServerLogsKey), default="logs")
    group.add_argument("--static-server-logs-fail", action="store_true", help="500 for server logs of a static site")
    group.add_argument("--server-logs-window-status", type=int, default=400, metavar="N")
    group.add_argument("--log-retention", type=float, metavar="S", help="seconds after which log lines are gone")
    group.add_argument("--git-repository-status", type=int, default=200, metavar="N")
    group.add_argument("--wrong-method-status", type=int, default=405, metavar="N")
    group.add_argument("--domains", action="store_true", help="have the operations on domains")


def _add_unknown_rules(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where nobody knows what the service allows")
    group.add_argument("--second-factor-status", type=int, default=422, metavar="N")
    group.add_argument("--wrong-region", choices=get_args(WrongRegion), help="refuse every credential")
    group.add_argument("--no-git", dest="git_connected", action="store_false", help="no usable Git connection")
    group.add_argument("--oauth-path", choices=get_args(OauthPath), default="any")
    group.add_argument("--scope-parameter", choices=get_args(ScopeParameter), default="either")
    group.add_argument("--machine-refresh-token", action="store_true", help="hand out refresh tokens to M2M apps")
    group.add_argument("--missing-organization-status", type=int, default=403, metavar="N")
    group.add_argument("--check-bearer-organization", action="store_true", help="refuse a foreign organization_uid")
    group.add_argument("--app-token-git-status", type=int, default=403, metavar="N")
    group.add_argument("--usage-scope", choices=get_args(UsageScope), default="any")
    group.add_argument("--git-needs-commit", action="store_true", help="refuse Git deployments without a commit")
    group.add_argument("--commit-form", choices=get_args(CommitForm), default="short")
    group.add_argument("--environment-update", choices=get_args(UpdateMethod), default="PUT")
    group.add_argument("--variables-update", choices=get_args(VariablesUpdate), default="replace")
    group.add_argument(
        "--required-settings", nargs="*", choices=get_args(RequiredSetting), default=(), help="of a new environment"
    )
    group.add_argument("--while-building", choices=get_args(WhileBuilding), default="queue")
    group.add_argument("--deployments-kept", type=int, metavar="N", help="archive older ones")


if __name__ == "__main__":
    sys.exit(main())
