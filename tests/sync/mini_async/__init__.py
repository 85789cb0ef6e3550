"""A package with every shape that the generator knows."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mini_async._version import __version__

if TYPE_CHECKING:
    from mini_async.client import Client, connect
    from mini_async.data import Thing
    from mini_async.listing import Listing
    from mini_async.plugs import Credentials

__all__ = ["Client", "Credentials", "Listing", "Thing", "__version__", "connect"]

_HOMES = {
    "Client": "client",
    "Credentials": "plugs",
    "Listing": "listing",
    "Thing": "data",
    "connect": "client",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
