"""A package with every construct that the generator supports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy
from mini_async._version import __version__ as __version__

if TYPE_CHECKING:
    from mini_async.client import Client as Client, connect as connect
    from mini_async.data import Thing as Thing
    from mini_async.listing import Listing as Listing
    from mini_async.plugs import Credentials as Credentials
else:
    __getattr__, __dir__ = lazy(__name__)
