"""``python -m launch_async.emulator``: an emulator as a process, for tests in any language.

Its first line on standard output is one JSON object with ``url``, ``organization_uid``, ``authtoken``,
``access_token``, ``client_id``, ``client_secret``, ``email``, ``password`` and, with ``--control``, ``control_secret``;
by then it answers.
SIGTERM or SIGINT end it with exit code 0.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import ssl
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import FrameType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from launch_async.emulator.options import TYPES, EmulatorOptions, explanations
from launch_async.emulator.server import LaunchEmulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until it is told to stop; returns the exit code."""
    return asyncio.run(_serve(vars(_parser().parse_args(arguments))))


async def _serve(options: dict[str, Any]) -> int:
    try:
        certificate, key = options.pop("tls_cert"), options.pop("tls_key")
        emulator = LaunchEmulator(tls=_tls(certificate, key), **options)
        with _stop_signals() as told:
            async with emulator:
                _announce(emulator, control=options["control"])
                await told.wait()
    except (OSError, ValueError) as error:
        # A validator's error holds more than its text.
        reason = error.args[0] if isinstance(error, ValueError) else error
        sys.stderr.write(f"launch emulator: {reason}\n")
        return 2
    return 0


def _announce(emulator: LaunchEmulator, *, control: bool) -> None:
    line = {
        "url": emulator.url,
        "organization_uid": emulator.organization_uid,
        "authtoken": emulator.authtoken,
        "access_token": emulator.access_token,
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
        "email": emulator.email,
        "password": emulator.password,
    }
    if control:
        line["control_secret"] = emulator.control_secret
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


def _parser() -> argparse.ArgumentParser:
    """Every option of `EmulatorOptions` under its name; one that is on by default is turned off by ``--no-...``."""
    parser = argparse.ArgumentParser(
        prog="python -m launch_async.emulator", description="A Contentstack Launch to test against."
    )
    told = explanations()
    for option in attrs.fields(EmulatorOptions):
        if option.name == "tls":
            parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="serve https with this certificate (PEM)")
            parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, if it is in another file")
        elif option.name != "clock":
            _add(parser, option.name, option.default, told.get(option.name, ""))
    return parser


def _add(parser: argparse.ArgumentParser, name: str, default: object, told: str) -> None:
    """Add one option, in the way that its type asks for."""
    flag, told = name.replace("_", "-"), told.replace("%", "%%")
    kinds: tuple[Any, ...] = get_args(TYPES[name]) if get_origin(TYPES[name]) in (Union, UnionType) else (TYPES[name],)
    kind = kinds[0]
    if kind is bool and default:
        parser.add_argument(f"--no-{flag}", dest=name, action="store_false", help=f"not: {told}")
    elif kind is bool:
        parser.add_argument(f"--{flag}", action="store_true", help=told)
    elif get_origin(kind) is tuple:
        parser.add_argument(f"--{flag}", nargs="*", choices=get_args(get_args(kind)[0]), default=default, help=told)
    elif get_origin(kind) is Literal:
        parser.add_argument(f"--{flag}", choices=get_args(kind), default=default, help=f"{told} (default: {default})")
    else:
        read = _or_none(kind) if NoneType in kinds else kind
        told = f"{told} (default: {default})"
        parser.add_argument(f"--{flag}", type=read, default=default, metavar=_METAVARS[kind], help=told)


_METAVARS: Mapping[object, str] = {int: "N", float: "X", str: "TEXT", Path: "FILE"}


def _or_none(kind: Callable[[str], object]) -> Callable[[str], object]:
    def read(text: str) -> object:
        return None if text == "none" else kind(text)

    read.__name__ = f"{getattr(kind, '__name__', 'value')} or none"
    return read


if __name__ == "__main__":
    sys.exit(main())
