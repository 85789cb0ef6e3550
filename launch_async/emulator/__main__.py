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

from launch_async.emulator.server import LaunchEmulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until it is told to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    return asyncio.run(_serve(options))


async def _serve(options: argparse.Namespace) -> int:
    try:
        emulator = LaunchEmulator(
            host=options.host,
            port=options.port,
            tls=_tls(options.tls_cert, options.tls_key),
            rate_limit=options.rate_limit,
            rate_window=options.rate_window,
            rate_headers=options.rate_headers,
            split_rate=options.split_rate,
            latency=options.latency,
            upload_style=options.upload_style,
            build_seconds=options.build_seconds,
            queue_seconds=options.queue_seconds,
            create_delay=options.create_delay,
            log_bound=options.log_bound,
            token_seconds=options.token_seconds,
            revalidation_quota=options.revalidation_quota,
            control=options.control,
            build=options.build,
            state=options.state,
            seed=options.seed,
        )
        with _stop_signals() as told:
            async with emulator:
                _announce(emulator)
                await told.wait()
    except (OSError, ValueError) as error:
        sys.stderr.write(f"launch emulator: {error}\n")
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
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _limit(text: str) -> int | None:
    return None if text == "none" else int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m launch_async.emulator", description="A Contentstack Launch to test against."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")
    parser.add_argument("--tls-cert", type=Path, help="serve https with this certificate (PEM)")
    parser.add_argument("--tls-key", type=Path, help="its key, if it is in another file")
    parser.add_argument(
        "--rate-limit", type=_limit, default=10, metavar="N|none", help="requests per second (default: 10)"
    )
    parser.add_argument("--rate-window", choices=("sliding", "fixed", "bucket"), default="sliding")
    parser.add_argument("--rate-headers", action="store_true", help="send X-RateLimit-* and Retry-After")
    parser.add_argument("--split-rate", action="store_true", help="count reads and writes apart")
    parser.add_argument("--latency", type=float, default=0.0, metavar="S", help="one-way delay in seconds")
    parser.add_argument("--upload-style", choices=("aws", "azure", "gcp"), default="aws")
    parser.add_argument("--build-seconds", type=float, default=0.3, metavar="S", help="length of a build")
    parser.add_argument("--queue-seconds", type=float, default=0.0, metavar="S", help="time before a build starts")
    parser.add_argument(
        "--create-delay", type=float, default=0.0, metavar="S", help="how late a first environment shows"
    )
    parser.add_argument("--log-bound", choices=("exclusive", "inclusive"), default="exclusive")
    parser.add_argument("--token-seconds", type=float, default=3600.0, metavar="S", help="life of bearer tokens")
    parser.add_argument("--revalidation-quota", type=int, default=500, metavar="N")
    parser.add_argument("--control", action="store_true", help="answer orders under /__emulator__/")
    parser.add_argument("--build", action="store_true", help="really run build commands, as this user")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep everything in this file for the next start")
    parser.add_argument("--seed", type=int, help="draw the same uids and tokens in every run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
