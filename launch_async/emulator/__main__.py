"""``python -m launch_async.emulator``: an emulator as a process, for tests in any language.

When the emulator accepts requests, it prints one JSON object as the first line on standard output, with ``url``,
``organization_uid``, ``authtoken``, ``access_token``, ``client_id``, ``client_secret``, ``email``, ``password`` and,
with ``--control``, ``control_secret``. SIGTERM and SIGINT end the emulator with exit code 0.
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
    """Run the emulator until a signal stops it, and return the exit code."""
    return asyncio.run(_serve(vars(_parser().parse_args(arguments))))


async def _serve(options: dict[str, Any]) -> int:
    try:
        certificate, key = options.pop("tls_cert"), options.pop("tls_key")
        emulator = LaunchEmulator(tls=_tls(certificate, key), **options)
        with _stop_signals() as stopped:
            async with emulator:
                _announce(emulator, control=options["control"])
                await stopped.wait()
    except (OSError, ValueError) as error:
        sys.stderr.write(f"launch emulator: {_reason(error)}\n")
        return 2
    return 0


def _reason(error: OSError | ValueError) -> str:
    """Return the text of an error, in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


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
    """Return an event that SIGTERM and SIGINT set.

    Enter this before the first line is printed: its reader may send a signal immediately.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stopped.set)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise ValueError(f"--tls-key {key} has no certificate: add --tls-cert FILE")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # the error text does not name the file
        files = " and ".join(str(file) for file in (certificate, key) if file)
        raise ValueError(f"The certificate and the key cannot be read from {files}: {error}") from None
    return context


def _parser() -> argparse.ArgumentParser:
    """Return a parser for every option of `EmulatorOptions`. ``--no-...`` turns off an option that is on by default."""
    parser = argparse.ArgumentParser(
        prog="python -m launch_async.emulator",
        description="Run a Contentstack Launch server on this machine.",
        epilog="The documentation explains the questions in the table 'Undocumented behaviour' on the page 'Emulator'.",
    )
    descriptions = explanations()
    for option in attrs.fields(EmulatorOptions):
        if option.name == "tls":
            parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="Certificate for https (PEM).")
            parser.add_argument(
                "--tls-key",
                type=Path,
                metavar="FILE",
                help="Private key (PEM), if it is not in the certificate's file.",
            )
        elif option.name != "clock":
            _add(parser, option.name, option.default, descriptions.get(option.name, ""))
    return parser


def _add(parser: argparse.ArgumentParser, name: str, default: object, description: str) -> None:
    """Add one option in the form that its type needs."""
    flag, text = name.replace("_", "-"), description.replace("%", "%%")
    kinds: tuple[Any, ...] = get_args(TYPES[name]) if get_origin(TYPES[name]) in (Union, UnionType) else (TYPES[name],)
    kind = kinds[0]
    shown = "none" if default is None else default
    if kind is bool and default:
        parser.add_argument(f"--no-{flag}", dest=name, action="store_false", help=f"Do not {text[0].lower()}{text[1:]}")
    elif kind is bool:
        parser.add_argument(f"--{flag}", action="store_true", help=text)
    elif get_origin(kind) is tuple:
        parser.add_argument(f"--{flag}", nargs="*", choices=get_args(get_args(kind)[0]), default=default, help=text)
    elif get_origin(kind) is Literal:
        parser.add_argument(f"--{flag}", choices=get_args(kind), default=default, help=f"{text} Default: {shown}.")
    else:
        read = _or_none(kind) if NoneType in kinds else kind
        text = f"{text} Default: {shown}."
        parser.add_argument(f"--{flag}", type=read, default=default, metavar=_METAVARS[kind], help=text)


_METAVARS: Mapping[object, str] = {int: "N", float: "X", str: "TEXT", Path: "FILE"}


def _or_none(kind: Callable[[str], object]) -> Callable[[str], object]:
    def read(text: str) -> object:
        return None if text == "none" else kind(text)

    read.__name__ = f"{getattr(kind, '__name__', 'value')} or none"
    return read


if __name__ == "__main__":
    sys.exit(main())
